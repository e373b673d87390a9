"""Writes what `test` and `predict` answer into one prediction file."""

from __future__ import annotations

import logging
from dataclasses import asdict
from pathlib import Path
from typing import Any

import lightning as L
import polars as pl

from callbacks.confusion import indices
from synthpert.predictions import PREDICTION_SCHEMA, write_predictions
from synthpert.scoring import confusion_matrix, three_class

log = logging.getLogger(__name__)


class PredictionWriter(L.Callback):
    """Joins the answers of all ranks, in the order of the questions, into one prediction file.

    `test_step` and `predict_step` return `{"predictions": table}`, a row per question of the batch,
    and the batch's `index` says which questions of the whole those are. Where the batch has a
    `probe`, the answers go back under the questions in its `kept`, into a file of their own.

    Args:
        path: The file, .parquet or .csv; if null, predictions.parquet in the run's folder, or in
            its folder predict/ for the verb of that name. Those of a probe lie in the folder of
            its name, or have it in the file's.
    """

    def __init__(self, path: str | None = None) -> None:
        self.path = path
        self._parts: list[pl.DataFrame] = []
        self._probe: str | None = None
        self._examples: int | None = None

    def setup(self, trainer: L.Trainer, pl_module: L.LightningModule, stage: str) -> None:
        """Begin anew, and keep Lightning from holding all predictions a second time."""
        self._parts = []
        # Asked of the data, since a rank may have no batch to tell it.
        self._probe = getattr(getattr(trainer, "datamodule", None), "probe", None)
        if stage == "predict":
            trainer.predict_loop.return_predictions = False

    def on_load_checkpoint(
        self, trainer: L.Trainer, pl_module: L.LightningModule, checkpoint: dict[str, Any]
    ) -> None:
        """Note how many examples the student was trained on."""
        self._examples = checkpoint.get("terms", {}).get("examples")

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
        answers = outputs["predictions"]
        if self._probe is not None:
            model = pl.col("model") + f"/{self._probe}"
            answers = answers.with_columns(*batch["kept"].get_columns(), model)
        self._parts.append(answers.with_columns(index))

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
        stage = f"test_{self._probe}" if self._probe else "test"
        pl_module.log_dict({f"{stage}_{name}": value for name, value in figures.items()})

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
            path = self._place(trainer, run)
            record = how_answered(trainer, self._probe)
            if self._examples is not None:
                record["train_examples"] = self._examples
            figures = _join(parts, path, run.resolve().name, record)
        return trainer.strategy.broadcast(figures)

    def _place(self, trainer: L.Trainer, run: Path) -> Path:
        if self.path:
            path = Path(self.path)
            return path.with_stem(f"{path.stem}-{self._probe}") if self._probe else path
        # The answers to the user's own questions leave those to the test questions alone.
        folder = run / "predict" if trainer.predicting else run
        folder = folder / self._probe if self._probe else folder
        folder.mkdir(parents=True, exist_ok=True)
        return folder / "predictions.parquet"


def how_answered(trainer: L.Trainer, probe: str | None) -> dict[str, Any]:
    """What decides a student's answers beside its weights, for the file's record.

    Args:
        trainer: With the student and, if it has one, its data module.
        probe: What was exchanged in the questions.

    Returns:
        Names and plain values; what the student does not tell is left out.
    """
    decoding = getattr(trainer.lightning_module, "decoding", None)
    told = asdict(decoding) if decoding is not None else {}
    # How many prompts stand side by side decides no answer.
    told.pop("batch_size", None)
    split = getattr(getattr(trainer, "datamodule", None), "split", None)
    record: dict[str, Any] = {"system": "student", "decoding": told, "probe": probe, "split": split}
    return record | {"probabilities": "of the three labels after the model's own reasoning"}


def _join(parts: list[Path], path: Path, run: str, record: dict[str, Any]) -> dict[str, float]:
    """Join the ranks' parts into the file, remove them, say where the file lies."""
    table = pl.concat([pl.read_parquet(part) for part in parts]).sort("index")
    twice = table.height - table["index"].n_unique()
    table = table.unique("index", keep="first", maintain_order=True)
    table = table.with_columns(run=pl.lit(run))
    # One student answers them all.
    columns = ("model", "prompt_id", "n_samples", "seed", "run")
    same = {name: table[name][0] for name in columns if not table.is_empty()}
    write_predictions(table.drop("index"), path, {**same, **record})
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
