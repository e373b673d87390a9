"""What holds for every test: one thread, no accounts, no network."""

from __future__ import annotations

import os
import shutil
import socket
import subprocess
from pathlib import Path

import pytest

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

ROOT = Path(__file__).resolve().parents[1]
MADE = (".", "build/", "data/", "dist/", "runs/", "wandb/", "synthpert.egg-info/")
_connect = socket.socket.connect


def _connect_on_this_machine_only(self: socket.socket, address: object) -> None:
    if self.family in (socket.AF_INET, socket.AF_INET6):
        host = address[0] if isinstance(address, tuple) else address
        if host not in ("127.0.0.1", "::1", "localhost"):
            raise OSError(f"a test reached for the network: {address}")
    _connect(self, address)


socket.socket.connect = _connect_on_this_machine_only


def repository_files(root: Path) -> list[Path]:
    """List what git tracks or would track under `root`; where git cannot say, what was not made here."""
    git = shutil.which("git")
    names = None
    if git is not None and (root / ".git").exists():
        command = [git, "ls-files", "--cached", "--others", "--exclude-standard", "-z"]
        listed = subprocess.run(command, cwd=root, capture_output=True, text=True, check=False)
        names = listed.stdout.split("\0") if listed.returncode == 0 else None
    if names is None:
        names = [str(path.relative_to(root)) for path in root.rglob("*")]
        names = [name for name in names if not name.startswith(MADE)]
    paths = [root / name for name in names if name and "__pycache__" not in name]
    return sorted(path for path in paths if path.is_file())


@pytest.fixture(scope="session")
def repository() -> list[Path]:
    """Every file of the repository."""
    return repository_files(ROOT)


@pytest.fixture(scope="session")
def root() -> Path:
    """The repository's top folder."""
    return ROOT
