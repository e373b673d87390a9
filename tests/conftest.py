"""What holds for every test: one thread, no accounts, no network."""

from __future__ import annotations

import os
import socket

from hypothesis import settings

# Set before torch and the Hugging Face libraries are imported: they read these once.
os.environ.update(
    OMP_NUM_THREADS="1",
    HF_HUB_OFFLINE="1",
    TOKENIZERS_PARALLELISM="false",
    WANDB_MODE="offline",
    WANDB_SILENT="true",
    LITELLM_LOCAL_MODEL_COST_MAP="True",
)
for key in [name for name in os.environ if name.endswith(("_API_KEY", "HF_TOKEN"))]:
    del os.environ[key]

# Machines are noisy: how long an example takes says nothing.
settings.register_profile("untimed", deadline=None)
settings.load_profile("untimed")

_connect = socket.socket.connect


def _connect_on_this_machine_only(self: socket.socket, address: object) -> None:
    if self.family in (socket.AF_INET, socket.AF_INET6):
        host = address[0] if isinstance(address, tuple) else address
        if host not in ("127.0.0.1", "::1", "localhost"):
            raise OSError(f"a test reached for the network: {address}")
    _connect(self, address)


socket.socket.connect = _connect_on_this_machine_only
