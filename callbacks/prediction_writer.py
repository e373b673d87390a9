"""Writes what `test` and `predict` answer into one prediction file."""

from __future__ import annotations

import logging
from pathlib import Path
from typing import Any

import lightning as L
import polars as pl

from callbacks.confusion import indices
from synthpert.predictions import PREDICTION_SCHEMA, write_predictions
from synthpert.scores import confusion_matrix, three_class

log = logging.getLogger(__name__)


class PredictionWriter(L.Callback):
    """Joins the answers of all ranks, in the order of the questions, into one prediction file.

    `test_step` and `predict_step` return `{"predictions": table}`, a row per question of the batch,
    and the batch's `index` says which questions of the whole those are.

    Args:
        path: The file, .parquet or .csv; if null, predictions.parquet in the run's folder, or in
            its folder predict/ for the verb of that name.
    """

    def __init__(self, path: str | None = None) -> None:
        self.path = path
        self._parts: list[pl.DataFrame] = []

    def setup(self, trainer: L.Trainer, pl_module: L.LightningModule, stage: str) -> None:
        """Begin anew, and keep Lightning from holding all predictions a second time."""
        self._parts = []
        if stage == "predict":
            trainer.predict_loop.return_predictions = False

    def on_test_batch_end(
        self,
        trainer: L.Trainer,
        pl_module: L.LightningModule,
        outputs: Any,  # noqa: ANN401 - the hook's own type
        batch: Any,  # noqa: ANN401
        batch_idx: int,
        dataloader_idx: int = 0,
    ) -> None:
        """Keep the answers of a batch."""
        index = pl.Series("index", batch["index"], dtype=pl.Int64)
        self._parts.append(outputs["predictions"].with_columns(index))

    def on_predict_batch_end(
        self,
        trainer: L.Trainer,
        pl_module: L.LightningModule,
        outputs: Any,  # noqa: ANN401
        batch: Any,  # noqa: ANN401
        batch_idx: int,
        dataloader_idx: int = 0,
    ) -> None:
        """Keep the answers of a batch."""
        self.on_test_batch_end(trainer, pl_module, outputs, batch, batch_idx)

    def on_test_epoch_end(self, trainer: L.Trainer, pl_module: L.LightningModule) -> None:
        """Write the file, and log its three-class figures as `test_...`."""
        figures = self._write(trainer)
        pl_module.log_dict({f"test_{name}": value for name, value in figures.items()})

    def on_predict_epoch_end(self, trainer: L.Trainer, pl_module: L.LightningModule) -> None:
        """Write the file."""
        self._write(trainer)

    def _write(self, trainer: L.Trainer) -> dict[str, float]:
        """Write this rank's part; rank 0 joins them. The figures come back on all ranks."""
        run = Path(trainer.default_root_dir)
        empty = pl.DataFrame(schema={**PREDICTION_SCHEMA, "index": pl.Int64})
        parts = [
            run / f".predictions-{rank}-of-{trainer.world_size}.parquet"
            for rank in range(trainer.world_size)
        ]
        run.mkdir(parents=True, exist_ok=True)
        pl.concat([empty, *self._parts]).write_parquet(parts[trainer.global_rank])
        self._parts = []
        trainer.strategy.barrier("predictions")
        figures: dict[str, float] = {}
        if trainer.is_global_zero:
            path = Path(self.path) if self.path else self._place(trainer, run)
            figures = _join(parts, path, run.resolve().name)
        return trainer.strategy.broadcast(figures)

    @staticmethod
    def _place(trainer: L.Trainer, run: Path) -> Path:
        # The answers to the user's own questions leave those to the test questions alone.
        folder = run / "predict" if trainer.predicting else run
        folder.mkdir(parents=True, exist_ok=True)
        return folder / "predictions.parquet"


def _join(parts: list[Path], path: Path, run: str) -> dict[str, float]:
    """Join the ranks' parts into the file, remove them, say where the file lies."""
    table = pl.concat([pl.read_parquet(part) for part in parts]).sort("index")
    twice = table.height - table["index"].n_unique()
    table = table.unique("index", keep="first", maintain_order=True)
    write_predictions(table.drop("index").with_columns(run=pl.lit(run)), path)
    for part in parts:
        part.unlink()
    if twice:
        # Lightning's own distributed sampler pads the ranks' shares to one length
        log.warning("%d questions were answered by two ranks; one answer of each is kept", twice)
    known = table.filter(pl.col("label").is_not_null())
    if known.is_empty():
        log.info("%s predictions lie in %s", f"{table.height:,}", path)
        return {}
    figures = _figures(known)
    log.info(
        "%s predictions lie in %s: accuracy %.4f (majority class %.4f), macro-F1 %.4f",
        f"{table.height:,}",
        path,
        figures["accuracy"],
        figures["majority_accuracy"],
        figures["macro_f1"],
    )
    return figures


def _figures(known: pl.DataFrame) -> dict[str, float]:
    labels = indices(known["label"])
    confusion = confusion_matrix(indices(known["answer"]), labels)
    majority = float(confusion.sum(axis=1).max() / confusion.sum())
    return {**three_class(confusion), "majority_accuracy": majority}
