"""Writes what `test` and `predict` answer into a prediction file.

`test` keeps its answers until all are there. `predict` may take days, so it writes parts as it
goes (`callbacks.screening`), unless its batches are of no block: a probe's, or another data
module's.
"""

from __future__ import annotations

import logging
from functools import partial
from pathlib import Path
from typing import Any

import lightning as L
import polars as pl

from callbacks.confusion import indices
from callbacks.prediction_record import figures_of, how_answered, where_it_lies
from callbacks.screening import Screening
from synthpert.predictions import PREDICTION_SCHEMA, write_predictions
from synthpert.ranks import is_first
from synthpert.scoring import confusion_matrix

log = logging.getLogger(__name__)


class PredictionWriter(L.Callback):
    """Joins the answers of all ranks, in the order of the questions, into one prediction file.

    What `predict` has answered stays when it is stopped or killed, and the same command goes on.

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
        self._screening: Screening | None = None
        self._prepared: Screening | None = None

    def setup(self, trainer: L.Trainer, pl_module: L.LightningModule, stage: str) -> None:
        """Begin anew, and keep Lightning from holding all predictions a second time."""
        self._parts, self._screening = [], None
        # Asked of the data, since a rank may have no batch to tell it.
        data = getattr(trainer, "datamodule", None)
        self._probe = getattr(data, "probe", None)
        if stage == "predict":
            trainer.predict_loop.return_predictions = False
            if (screening := self._prepared or self._screen(trainer, pl_module, data)) is not None:
                self._screening, self._prepared = screening, None
                assert data is not None
                data.load_blocks(partial(screening.begin, trainer))

    def prepare_predict(
        self,
        trainer: L.Trainer,
        pl_module: L.LightningModule,
        data: L.LightningDataModule,
        checkpoint: str | None,
    ) -> bool:
        """Read the questions of a `predict` before any weight is loaded.

        Args:
            trainer: The trainer.
            pl_module: The student.
            data: The data module, set up.
            checkpoint: The checkpoint that is to answer.

        Returns:
            Whether the file is there already, so that there is nothing to ask.

        Raises:
            InputError: If a question is wrong, or the file, or parts of it, answer something else.
        """
        self._prepared = self._screen(trainer, pl_module, data)
        if self._prepared is None:
            return False
        finished = self._prepared.is_finished(checkpoint)
        if not finished and is_first():
            self._prepared.open(checkpoint, Path(trainer.default_root_dir).resolve().name)
        return finished

    def _screen(
        self, trainer: L.Trainer, pl_module: L.LightningModule, data: L.LightningDataModule | None
    ) -> Screening | None:
        """The parts to write; None for a probe, and for data that is not asked in blocks."""
        if getattr(data, "probe", None) is not None or not hasattr(data, "load_blocks"):
            return None
        place = self._place(trainer, Path(trainer.default_root_dir), predicting=True)
        return Screening(place, data, pl_module)

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
        """Keep the answers of a batch; write them where they end a part."""
        if self._screening is None:
            self.on_test_batch_end(trainer, pl_module, outputs, batch, batch_idx)
        else:
            self._screening.keep(outputs["predictions"], batch)

    def on_test_epoch_end(self, trainer: L.Trainer, pl_module: L.LightningModule) -> None:
        """Write the file, and log its three-class figures as `test_...`."""
        figures = self._write(trainer)
        stage = f"test_{self._probe}" if self._probe else "test"
        pl_module.log_dict({f"{stage}_{name}": value for name, value in figures.items()})

    def on_predict_start(self, trainer: L.Trainer, pl_module: L.LightningModule) -> None:
        """Stop at once when told to: what is written is whole."""
        if self._screening is not None:
            self._screening.watch(trainer)

    def on_predict_epoch_start(self, trainer: L.Trainer, pl_module: L.LightningModule) -> None:
        """Say how much there is to do, and how long it may take."""
        if self._screening is not None:
            self._screening.announce(trainer)

    def on_predict_epoch_end(self, trainer: L.Trainer, pl_module: L.LightningModule) -> None:
        """Write the file."""
        if self._screening is None:
            self._write(trainer)
        else:
            self._screening.end(trainer, self._record(trainer))

    def on_exception(
        self, trainer: L.Trainer, pl_module: L.LightningModule, exception: BaseException
    ) -> None:
        """Say what is kept of a `predict` that ends early."""
        if self._screening is not None:
            self._screening.tell_kept(trainer)

    def teardown(self, trainer: L.Trainer, pl_module: L.LightningModule, stage: str) -> None:
        """Let other processes have the parts."""
        if self._screening is not None:
            self._screening.release()

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
            path = self._place(trainer, run, predicting=trainer.predicting)
            figures = _join(parts, path, run.resolve().name, self._record(trainer))
        return trainer.strategy.broadcast(figures)

    def _record(self, trainer: L.Trainer) -> dict[str, Any]:
        record = how_answered(trainer, self._probe)
        if self._examples is not None:
            record["train_examples"] = self._examples
        return record

    def _place(self, trainer: L.Trainer, run: Path, *, predicting: bool) -> Path:
        if self.path:
            path = Path(self.path)
            return path.with_stem(f"{path.stem}-{self._probe}") if self._probe else path
        # The answers to the user's own questions leave those to the test questions alone.
        folder = run / "predict" if predicting else run
        folder = folder / self._probe if self._probe else folder
        folder.mkdir(parents=True, exist_ok=True)
        return folder / "predictions.parquet"


def _join(parts: list[Path], path: Path, run: str, record: dict[str, Any]) -> dict[str, float]:
    """Join the ranks' parts into the file, remove them, say where the file lies."""
    table = pl.concat([pl.read_parquet(part) for part in parts]).sort("index")
    twice = table.height - table["index"].n_unique()
    table = table.unique("index", keep="first", maintain_order=True)
    table = table.with_columns(run=pl.lit(run))
    # One student answers them all.
    columns = ("model", "prompt_id", "n_samples", "mode", "seed", "run")
    same = {name: table[name][0] for name in columns if not table.is_empty()}
    write_predictions(table.drop("index"), path, {**same, **record})
    for part in parts:
        part.unlink()
    if twice:
        # Lightning's own distributed sampler pads the ranks' shares to one length
        log.warning("%d questions were answered by two ranks; one answer of each is kept", twice)
    known = table.filter(pl.col("label").is_not_null())
    figures: dict[str, float] = {}
    if not known.is_empty():
        figures = figures_of(confusion_matrix(indices(known["answer"]), indices(known["label"])))
    log.info("%s", where_it_lies(table.height, path, figures))
    return figures
