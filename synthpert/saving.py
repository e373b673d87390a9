"""What a start of `fit`, `validate`, `test` or `predict` leaves in its run's folder at once."""

from __future__ import annotations

import logging
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import lightning as L
import yaml
from lightning.pytorch.cli import SaveConfigCallback
from lightning.pytorch.trainer.states import TrainerFn

from synthpert import run_record
from synthpert.files import whole_file
from synthpert.importing import import_words
from synthpert.redaction import redact

log = logging.getLogger(__name__)


class SaveConfig(SaveConfigCallback):
    """Writes the configuration, without secrets, into the run directory and to every logger.

    Args:
        args: Lightning's own.
        words: The command line.
        kwargs: Lightning's own.
    """

    def __init__(self, *args: Any, words: Sequence[str] = (), **kwargs: Any) -> None:
        super().__init__(*args, **kwargs)
        self.words = words

    def setup(self, trainer: L.Trainer, pl_module: L.LightningModule, stage: str) -> None:
        """Add a line to `starts.jsonl`.

        Not more: a checkpoint of another student is refused after this, and the configuration that
        lies there is the one that can go on.
        """
        if trainer.is_global_zero:
            folder = Path(trainer.default_root_dir)
            folder.mkdir(parents=True, exist_ok=True)
            run_record.note_start(folder, TrainerFn(stage).value, self.words, redact(self._whole()))

    def on_train_start(self, trainer: L.Trainer, pl_module: L.LightningModule) -> None:
        """Write the rest; the checkpoint has been taken."""
        super().setup(trainer, pl_module, "fit")

    def on_validation_start(self, trainer: L.Trainer, pl_module: L.LightningModule) -> None:
        """Likewise; within a fit, it is written already."""
        super().setup(trainer, pl_module, TrainerFn(trainer.state.fn).value)

    def on_test_start(self, trainer: L.Trainer, pl_module: L.LightningModule) -> None:
        """Likewise."""
        super().setup(trainer, pl_module, "test")

    def on_predict_start(self, trainer: L.Trainer, pl_module: L.LightningModule) -> None:
        """Likewise."""
        super().setup(trainer, pl_module, "predict")

    def save_config(self, trainer: L.Trainer, pl_module: L.LightningModule, stage: str) -> None:
        """Write the YAML and, of a fit, the README.md."""
        whole = self._whole()
        config = redact(whole)
        verb = TrainerFn(stage).value
        name = f"{verb}.yaml"
        if stage == "fit":
            # The file makes the run anew, even where this start only goes on with it.
            name, config["ckpt_path"] = "config.yaml", None
        folder = Path(trainer.default_root_dir)
        with whole_file(folder / name) as place:
            place.write_text(yaml.safe_dump(config, sort_keys=False), encoding="utf-8")
        if stage == "fit":
            run_record.write_readme(folder, config, import_words(self.words))
        if redact(whole) != whole:
            log.warning("%s leaves secrets out: give them again to run it", folder / name)
        for logger in trainer.loggers:
            logger.log_hyperparams(config)

    def _whole(self) -> dict[str, Any]:
        whole: dict[str, Any] = yaml.safe_load(self.parser.dump(self.config, skip_none=False))
        return whole
