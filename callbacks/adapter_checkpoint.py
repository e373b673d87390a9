"""The trained adapters in PEFT's own layout, for every program that reads it."""

from __future__ import annotations

import logging
import shutil
from pathlib import Path
from typing import Any

import lightning as L

from synthpert.errors import InputError
from synthpert.files import seal, sync
from synthpert.student import Student

log = logging.getLogger(__name__)


class AdapterCheckpoint(L.Callback):
    """Keeps `adapter/` in the run's folder at the newest checkpoint: weights, settings, tokenizer.

    `PeftModel.from_pretrained(base, "RUN/adapter")`, vLLM and others load it; `sha256sum --check
    SHA256SUMS` in it tells whether it is intact. It is made anew with every checkpoint and when
    training ends, whole each time. Training goes on from Lightning's checkpoints, which hold the
    same weights and everything else. A student without adapters writes nothing.
    """

    def __init__(self) -> None:
        self._step: int | None = None

    def on_save_checkpoint(
        self, trainer: L.Trainer, pl_module: L.LightningModule, checkpoint: dict[str, Any]
    ) -> None:
        """Write the weights that this checkpoint holds; best and last of a step share them."""
        if trainer.global_step != self._step:
            self._write(trainer, pl_module, checkpoint["state_dict"])

    def on_fit_end(self, trainer: L.Trainer, pl_module: L.LightningModule) -> None:
        """Write the weights that training ended with, if no checkpoint did."""
        if trainer.global_step != self._step:
            # Every rank: a strategy that shards the weights gathers them.
            self._write(trainer, pl_module, trainer.strategy.lightning_module_state_dict())
        if (Path(trainer.default_root_dir) / "adapter").exists() and trainer.is_global_zero:
            log.info("adapters lie in %s", Path(trainer.default_root_dir) / "adapter")

    def _write(
        self, trainer: L.Trainer, pl_module: L.LightningModule, weights: dict[str, Any]
    ) -> None:
        # It takes a second and more, and every recipe that is only looked at would wait for it.
        from peft import PeftModel

        self._step = trainer.global_step
        if not isinstance(pl_module, Student) or not isinstance(pl_module.network, PeftModel):
            return
        if not trainer.is_global_zero:
            return
        own = {name.removeprefix("network."): weight for name, weight in weights.items()}
        folder = Path(trainer.default_root_dir) / "adapter"
        half, old = folder.with_name(".adapter-unfinished"), folder.with_name(".adapter-old")
        try:
            # What a kill has left of an earlier one.
            shutil.rmtree(half, ignore_errors=True)
            pl_module.network.save_pretrained(str(half), state_dict=own)
            pl_module.encoder.tokenizer.save_pretrained(half)
            seal(half)
            for path in (*half.iterdir(), half):
                sync(path)
            shutil.rmtree(old, ignore_errors=True)
            if folder.exists():
                folder.rename(old)
            half.rename(folder)
            sync(folder.parent)
            shutil.rmtree(old, ignore_errors=True)
        except OSError as error:
            shutil.rmtree(half, ignore_errors=True)
            raise InputError(f"cannot be written: {error.strerror or error}", file=folder) from None
