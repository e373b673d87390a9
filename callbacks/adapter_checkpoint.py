"""The trained adapters in PEFT's own layout, for every program that reads it."""

from __future__ import annotations

import logging
import os
import shutil
from pathlib import Path

import lightning as L
from peft import PeftModel

from synthpert.student import Student

log = logging.getLogger(__name__)


class AdapterCheckpoint(L.Callback):
    """Writes `adapter/` into the run's folder when training ends: weights, settings, tokenizer.

    `PeftModel.from_pretrained(base, "RUN/adapter")`, vLLM and others load it. To go on training,
    Lightning's checkpoints are there. A student without adapters writes nothing.
    """

    def on_fit_end(self, trainer: L.Trainer, pl_module: L.LightningModule) -> None:
        """Write the folder, whole or not at all."""
        if not isinstance(pl_module, Student) or not isinstance(pl_module.network, PeftModel):
            return
        if not trainer.is_global_zero:
            return
        folder = Path(trainer.default_root_dir) / "adapter"
        half = folder.with_name(f".adapter-{os.getpid()}")
        pl_module.network.save_pretrained(str(half))
        pl_module.encoder.tokenizer.save_pretrained(half)
        shutil.rmtree(folder, ignore_errors=True)
        half.rename(folder)
        log.info("adapters lie in %s", folder)
