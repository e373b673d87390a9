"""Evaluates the student by what it writes: generate, parse, count, while it is being trained.

The loss does not say whether answers are right, or can be read at all. This callback asks a fixed
set of questions every so many optimiser steps, and leaves training as if it had not been there.
"""

from __future__ import annotations

import logging
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any, Literal

import lightning as L
import polars as pl
import torch
import torch.distributed
from lightning.pytorch.loggers import WandbLogger
from lightning.pytorch.utilities.seed import isolate_rng

from callbacks.confusion import draw, indices
from callbacks.question_subset import draw_subset
from synthpert.errors import InputError
from synthpert.metrics import ThreeClass
from synthpert.predictions import PREDICTION_SCHEMA, write_predictions
from synthpert.questions import LABELS, Label, to_questions
from synthpert.scoring import confusion_matrix
from synthpert.sharding import gathered

log = logging.getLogger(__name__)

SHOWN = ("cell_line", "pert", "gene", "label", "answer", "parse_status", "finish_reason")


class GenerativeEvaluation(L.Callback):
    """Asks the student the same questions every so often, and logs how well it answers.

    Logged as `eval_...`: accuracy beside `majority_accuracy` (that of always giving the subset's
    commonest label), balanced_accuracy, macro_f1, mcc, precision, recall and F1 of each class,
    parse_rate, finish_stop and finish_length (shares of the finish reasons), response_chars_mean,
    seconds. They stand in `trainer.callback_metrics`, so `ModelCheckpoint` can monitor them. Each
    evaluation also leaves `evaluation/step-000500.parquet` (every answer) and `.png` (the
    confusion matrix) in the run's folder, and a table and the picture in W&B.

    Args:
        every_n_steps: Optimiser steps between evaluations; null for none in between.
        at_start: Evaluate before the first step of a new run.
        at_end: Evaluate after the last step, before the last checkpoint is saved.
        questions: How many questions are asked; see `draw_subset`.
        seed: Chooses the questions.
        samples: How many answers are shown in the table, the same questions each time.
        stage: Whose questions are asked: `validate` holds out whole perturbations of the train
            split; `test` is the benchmark's test split, which must not steer training.
    """

    def __init__(
        self,
        every_n_steps: int | None = 500,
        at_start: bool = False,
        at_end: bool = True,
        questions: int = 300,
        seed: int = 0,
        samples: int = 20,
        stage: Literal["validate", "test"] = "validate",
    ) -> None:
        for name, value in (("every_n_steps", every_n_steps), ("questions", questions)):
            if value is not None and value < 1:
                raise InputError("must be positive", column=name, got=value, expected="1 or more")
        self.every_n_steps, self.at_start, self.at_end = every_n_steps, at_start, at_end
        self.questions, self.seed, self.samples, self.stage = questions, seed, samples, stage
        self.seconds = 0.0
        """Time spent in evaluations so far, for whoever measures the speed of training."""
        self.subset = pl.DataFrame()
        self._evaluated = -1

    def on_fit_start(self, trainer: L.Trainer, pl_module: L.LightningModule) -> None:
        """Draw the questions, so that a fault in them shows before the first step.

        Raises:
            InputError: If the data module has no labelled questions.
        """
        data: Any = getattr(trainer, "datamodule", None)
        if not hasattr(data, "evaluation_questions"):
            raise InputError(
                "the data cannot be evaluated by generation",
                file="data",
                got=type(data).__name__,
                expected="a data module with `evaluation_questions`",
            )
        self.subset = draw_subset(data.evaluation_questions(self.stage), self.questions, self.seed)

    def on_train_start(self, trainer: L.Trainer, pl_module: L.LightningModule) -> None:
        """Evaluate the untrained student if asked to."""
        # A resumed run has behind it the evaluation that was due at the step it starts from.
        self._evaluated = trainer.global_step or -1
        if self.at_start and trainer.global_step == 0:
            self.evaluate(trainer, pl_module)

    def on_train_batch_end(
        self,
        trainer: L.Trainer,
        pl_module: L.LightningModule,
        outputs: Any,  # noqa: ANN401 - the hook's own type
        batch: Any,  # noqa: ANN401
        batch_idx: int,
    ) -> None:
        """Evaluate where it is due; checkpoints are saved after this hook, with the figures."""
        step = trainer.global_step
        due = self.every_n_steps is not None and step > 0 and step % self.every_n_steps == 0
        # `global_step` stands still while gradients are accumulated
        if step != self._evaluated and (due or (self.at_end and _is_last(trainer))):
            self.evaluate(trainer, pl_module)

    def on_train_end(self, trainer: L.Trainer, pl_module: L.LightningModule) -> None:
        """Evaluate at the end of a fit whose last step was not known as such beforehand."""
        if self.at_end and trainer.global_step != self._evaluated:
            self.evaluate(trainer, pl_module)

    def evaluate(self, trainer: L.Trainer, pl_module: L.LightningModule) -> dict[str, float]:
        """Ask the questions and log what comes back; training goes on as if it had not happened.

        Every rank must call this; each asks its share of the questions.

        Args:
            trainer: The trainer of the fit.
            pl_module: A student: its `predictions` answers questions.

        Returns:
            What was logged, without the prefix; the same on all ranks.
        """
        started = time.perf_counter()
        self._evaluated = trainer.global_step
        share = self.subset[trainer.global_rank :: trainer.world_size]
        with (
            _undisturbed(pl_module),
            gathered(pl_module),
            trainer.precision_plugin.val_step_context(),
        ):
            answers = _ask(pl_module, share)
            figures = _figures(answers, pl_module.device if trainer.world_size > 1 else "cpu")
            table = _gather(answers, trainer.world_size)
            figures = {**figures, **_reference(table)}
            figures["seconds"] = time.perf_counter() - started
            if trainer.is_global_zero:
                self._show(trainer, table, figures)
        self._publish(trainer, figures)
        self.seconds += time.perf_counter() - started
        return figures

    def _publish(self, trainer: L.Trainer, figures: dict[str, float]) -> None:
        """Hand the figures to the loggers and to callbacks that monitor them.

        `log_dict` would not do: Lightning forbids it in `on_train_end`, writes only every
        `log_every_n_steps` steps, and would repeat the figures of one step at all later ones.
        """
        named = {f"eval_{name}": value for name, value in figures.items()}
        for logger in trainer.loggers:
            logger.log_metrics(named, step=trainer.global_step)
            logger.save()
        tensors = {name: torch.tensor(value) for name, value in named.items()}
        trainer.callback_metrics.update(tensors)
        log_line = "step %d: accuracy %.2f (majority %.2f) macro-F1 %.2f parse rate %.2f in %.1f s"
        if trainer.is_global_zero:
            log.info(
                log_line,
                trainer.global_step,
                *(figures[name] for name in ("accuracy", "majority_accuracy", "macro_f1")),
                figures["parse_rate"],
                figures["seconds"],
            )

    def _show(self, trainer: L.Trainer, table: pl.DataFrame, figures: dict[str, float]) -> None:
        """Write the answers and the picture into the run's folder and to W&B."""
        run = Path(trainer.default_root_dir)
        stem = run / "evaluation" / f"step-{trainer.global_step:06d}"
        table = table.with_columns(run=pl.lit(run.resolve().name))
        write_predictions(table, stem.with_suffix(".parquet"))
        title = f"step {trainer.global_step}: macro-F1 {figures['macro_f1']:.3f}"
        confusion = confusion_matrix(indices(table["answer"]), indices(table["label"]))
        draw(confusion, title, stem.with_suffix(".png"))
        shown = table.head(self.samples).select(*SHOWN, "response")
        for logger in trainer.loggers:
            if isinstance(logger, WandbLogger):
                rows = [list(row) for row in shown.iter_rows()]
                logger.log_table("eval_samples", shown.columns, rows, step=trainer.global_step)
                picture = str(stem.with_suffix(".png"))
                logger.log_image("eval_confusion", [picture], step=trainer.global_step)


def _is_last(trainer: L.Trainer) -> bool:
    """Whether the batch that just ended is known to be the last of the fit."""
    steps, epochs = trainer.max_steps, trainer.max_epochs
    if trainer.should_stop or (steps not in (None, -1) and trainer.global_step >= steps):
        return True
    last_epoch = epochs not in (None, -1) and trainer.current_epoch + 1 >= epochs
    return bool(last_epoch and trainer.is_last_batch)


@contextmanager
def _undisturbed(module: L.LightningModule) -> Iterator[None]:
    """Evaluation mode without gradients; random states and each module's mode come back."""
    modes = [(each, each.training) for each in module.modules()]
    with isolate_rng(), torch.no_grad():
        module.eval()
        try:
            yield
        finally:
            for each, training in modes:
                each.training = training


def _ask(student: Any, share: pl.DataFrame) -> pl.DataFrame:  # noqa: ANN401 - duck-typed student
    """The student's answers to a share of the questions, which may be empty."""
    if share.is_empty():
        return pl.DataFrame(schema=PREDICTION_SCHEMA)
    labels = [Label(label) for label in share["label"]]
    answers: pl.DataFrame = student.predictions(to_questions(share), labels, probabilities=False)
    return answers


def _figures(answers: pl.DataFrame, device: torch.device | str) -> dict[str, float]:
    """The three-class figures over all ranks' answers."""
    metric = ThreeClass().to(device)
    columns = [torch.tensor(indices(answers[name])) for name in ("answer", "label")]
    metric.update(*(column.to(device) for column in columns))
    return {name: float(value) for name, value in metric.compute().items()}


def _gather(answers: pl.DataFrame, world_size: int) -> pl.DataFrame:
    """The answers of all ranks in the order of the questions, on every rank."""
    if world_size == 1:
        return answers
    parts: list[Any] = [None] * world_size
    torch.distributed.all_gather_object(parts, answers.rows())
    rows = [row for turn in range(len(parts[0])) for part in parts for row in part[turn : turn + 1]]
    return pl.DataFrame(rows, schema=PREDICTION_SCHEMA, orient="row")


def _reference(table: pl.DataFrame) -> dict[str, float]:
    """What stands beside the figures: the majority class, why generation ended, lengths."""
    reasons, labels = table["finish_reason"], table["label"].cast(pl.String)
    # Without a thought or an answer written (decoding mode `direct`) there is no text at all.
    chars = table["response"].str.len_chars().fill_null(0).to_numpy()
    return {
        "majority_accuracy": max(int((labels == label).sum()) for label in LABELS) / table.height,
        "finish_stop": int((reasons == "stop").sum()) / table.height,
        "finish_length": int((reasons == "length").sum()) / table.height,
        "response_chars_mean": float(chars.mean()),
    }
