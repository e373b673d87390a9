"""What every data module of this project shares: the benchmark, its split and its loaders."""

from __future__ import annotations

import logging
import math
from collections.abc import Iterator
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, Any, Literal

import lightning as L
import numpy as np
import polars as pl
from torch.utils.data import DataLoader

from data_modules.batching import Examples, ShuffledBatches, collate
from synthpert.errors import InputError
from synthpert.questions import (
    read_questions,
    read_table,
    split_questions,
    to_questions,
)

if TYPE_CHECKING:
    from synthpert.encoding import Encoder
    from synthpert.prompts import PromptSet

log = logging.getLogger(__name__)


class QuestionDataModule(L.LightningDataModule):
    """Questions of PerturbQA, split; a subclass says which examples the train split becomes.

    Validation never touches the test split: it takes whole perturbations of the train split, drawn
    by `seed`, and none of their rows is trained on.

    Args:
        data: Folder of PerturbQA; null takes `SYNTHPERT_DATA`, else `./data/perturbqa`, else the
            bundled sample.
        split: `default`, `strict` or `held_out:CELL`.
        cell_lines: Cell lines to read; all of the folder if null.
        questions: A table of questions to predict in place of the test split.
        batch_size: Examples a micro-batch and device.
        eval_batch_size: Questions a step of `test` and `predict`.
        validation_share: Share of train perturbations held out for validation.
        workers: Processes that encode; 0 encodes in the main one.
        seed: Seed of the validation draw and of the order of examples.
    """

    def __init__(
        self,
        data: Path | None = None,
        split: str = "default",
        cell_lines: list[str] | None = None,
        questions: Path | None = None,
        batch_size: int = 4,
        eval_batch_size: int = 256,
        validation_share: float = 0.02,
        workers: int = 0,
        seed: int = 0,
    ) -> None:
        super().__init__()
        self.data, self.split, self.cell_lines, self.questions = data, split, cell_lines, questions
        self.batch_size, self.eval_batch_size = batch_size, eval_batch_size
        self.validation_share, self.workers, self.seed = validation_share, workers, seed
        self.train: pl.DataFrame | None = None
        self.validation: pl.DataFrame | None = None
        self.test: pl.DataFrame | None = None
        self._pools: dict[str, pl.DataFrame] = {}

    def rows(self, train: pl.DataFrame, test: pl.DataFrame) -> pl.DataFrame:
        """The rows that become examples, validation included.

        Args:
            train: Train questions of the split.
            test: Its test questions, none of which may come back.

        Returns:
            `cell_line, pert, gene, label` and, for traces, `reasoning`.
        """
        raise TypeError(f"{type(self).__name__} defines no rows")

    def fitting(self, rows: pl.DataFrame, encoder: Encoder) -> pl.DataFrame:
        """The rows whose examples are no longer than the student's `max_tokens`."""
        raise TypeError(f"{type(self).__name__} defines no fitting")

    # Lightning

    def setup(self, stage: str) -> None:
        """Read the questions once, hold out validation perturbations, drop over-long examples."""
        if self.test is None:
            self._read()
        if stage in ("fit", "validate") and self.train is None:
            rows = self.fitting(self._rows, self.trainer.lightning_module.encoder)
            held = rows["pert"].is_in(list(self._held_out))
            self.train, self.validation = rows.filter(~held), rows.filter(held)
            if not len(self.train):
                raise InputError("no example to train on", column="data", expected="at least one")
            log.info(
                "%s examples to train on, %s to validate on (%s perturbations held out)",
                f"{len(self.train):,}",
                f"{len(self.validation):,}",
                len(self._held_out),
            )

    def train_dataloader(self) -> DataLoader[Any]:
        """Shuffled micro-batches; resumed where a run was stopped."""
        assert self.train is not None
        trainer = self.trainer
        batches = ShuffledBatches(
            len(self.train),
            self.batch_size,
            self.seed,
            trainer.global_rank,
            trainer.world_size,
            self._position,
        )
        return DataLoader(
            Examples(self.train, trainer.lightning_module.encoder),
            batch_sampler=batches,
            collate_fn=self._collate(),
            num_workers=self.workers,
            persistent_workers=False,
        )

    def val_dataloader(self) -> DataLoader[Any] | list[Any]:
        """Validation examples in order, dealt out over ranks."""
        assert self.validation is not None
        if not len(self.validation):
            return []
        trainer = self.trainer
        mine = self.validation[trainer.global_rank :: trainer.world_size]
        return DataLoader(
            Examples(mine, trainer.lightning_module.encoder),
            batch_size=self.batch_size,
            collate_fn=self._collate(),
        )

    def test_dataloader(self) -> DataLoader[Any]:
        """The test split's questions, dealt out over ranks."""
        assert self.test is not None
        return self._question_loader(self.test)

    def predict_dataloader(self) -> DataLoader[Any]:
        """The user's questions, or the test split's."""
        assert self.test is not None
        return self._question_loader(
            self.test if self.questions is None else read_table(self.questions)
        )

    # What callbacks and the student ask for

    def evaluation_questions(self, stage: Literal["validate", "test"]) -> pl.DataFrame:
        """Labelled questions to answer: of held-out train perturbations, or of the test split."""
        return self._pools[stage]

    def texts(self, prompts: PromptSet) -> Iterator[str]:
        """Texts that together hold every word of the training examples."""
        if self.test is None:
            self._read()
        rows = self._rows
        keys = ("cell_line", "pert", "gene")
        cover = pl.concat([rows.unique(key, maintain_order=True) for key in keys])
        for question in to_questions(cover):
            yield from (message["content"] for message in prompts.messages(question))
        for label in prompts.labels:
            yield prompts.answer_text(label)
        if "reasoning" in rows.columns:
            yield "<think>\n</think>\n"
            yield from rows["reasoning"]

    def _read(self) -> None:
        questions = read_questions(self.data, self.cell_lines)
        # A prompt set that offers fewer labels asks only about questions that have one of them.
        offered = [str(label) for label in self.trainer.lightning_module.prompts.labels]
        questions = questions.filter(pl.col("label").is_in(offered))
        train, self.test = split_questions(questions, self.split)
        perturbations = train["pert"].unique().sort().to_list()
        count = math.ceil(len(perturbations) * self.validation_share)
        order = np.random.default_rng(self.seed).permutation(len(perturbations))
        self._held_out = {perturbations[i] for i in order[:count]}
        self._rows = self.rows(train, self.test)
        self._pools = {
            "validate": train.filter(pl.col("pert").is_in(list(self._held_out))),
            "test": self.test,
        }

    def _position(self) -> tuple[int, int]:
        loop = self.trainer.fit_loop
        seen = loop.epoch_loop.batch_progress.current.ready
        return loop.epoch_progress.current.processed, seen

    def _collate(self) -> Any:
        tokenizer = self.trainer.lightning_module.encoder.tokenizer
        pad = tokenizer.pad_token_id
        return partial(collate, pad_id=tokenizer.eos_token_id if pad is None else pad)

    def _question_loader(self, table: pl.DataFrame) -> DataLoader[Any]:
        rank, world = self.trainer.global_rank, self.trainer.world_size
        mine = table.with_row_index("index")[rank::world]
        return DataLoader(
            _Questions(mine),
            batch_size=self.eval_batch_size,
            collate_fn=_question_batch,
        )


class _Questions:
    """Rows of a table of questions, sliced a batch at a time."""

    def __init__(self, table: pl.DataFrame) -> None:
        self.table = table

    def __len__(self) -> int:
        return len(self.table)

    def __getitems__(self, indices: list[int]) -> pl.DataFrame:
        return self.table[indices]


def _question_batch(rows: pl.DataFrame) -> dict[str, Any]:
    return {"index": rows["index"].to_list(), "questions": rows.drop("index")}
