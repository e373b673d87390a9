"""What every data module of this project shares: the benchmark, its split and its loaders."""

from __future__ import annotations

import logging
import math
from collections import Counter
from collections.abc import Callable, Iterator, Sequence
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, Any, Literal

import lightning as L
import numpy as np
import polars as pl
import torch
from torch import Tensor
from torch.utils.data import DataLoader, Dataset, Sampler

from data_modules.batching import (
    Examples,
    LabelledExample,
    LateLoader,
    ShuffledBatches,
    collate,
)
from data_modules.evidence import refuse_other_evidence
from data_modules.mixing import Mix, Mixture
from data_modules.packing import packed, refuse_packing
from data_modules.question_blocks import asked_of, block_loader, refuse_both, table_of
from data_modules.question_rows import question_loader, refuse_odd
from synthpert.errors import InputError
from synthpert.probes import Probe
from synthpert.questions import (
    LABELS,
    read_questions,
    split_questions,
    to_questions,
)
from synthpert.screening.product import Product
from synthpert.student import Student

if TYPE_CHECKING:
    from synthpert.encoding import Encoder
    from synthpert.prompts import PromptSet
    from synthpert.screening.asked import Asked
    from synthpert.screening.blocks import Blocks

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
        product: Cell lines x perturbations x genes to predict in its place.
        part_size: Questions of a part that `predict` writes; what a kill can cost.
        batch_size: Examples a micro-batch and device.
        eval_batch_size: Questions a step of `test` and `predict`.
        validation_share: Share of train perturbations held out for validation.
        workers: Processes that encode; 0 encodes in the main one.
        seed: Seed of the validation draw and of the order of examples.
        mix: A second data set to train on beside the first; validation has none of it.
        tokens_per_batch: Pack batches up to so many tokens; this changes the examples of a step.
        probe: Ask `test` and `predict` with names exchanged, as `synthpert.probes` says.
    """

    def __init__(
        self,
        data: Path | None = None,
        split: str = "default",
        cell_lines: list[str] | None = None,
        questions: Path | None = None,
        product: Product | None = None,
        part_size: int = 2048,
        batch_size: int = 4,
        eval_batch_size: int = 256,
        validation_share: float = 0.02,
        workers: int = 0,
        seed: int = 0,
        mix: Mix | None = None,
        tokens_per_batch: int | None = None,
        probe: Probe | None = None,
    ) -> None:
        super().__init__()
        refuse_odd(batch_size, eval_batch_size, validation_share, workers, seed, part_size)
        refuse_both(questions, product)
        refuse_packing(tokens_per_batch, mixed=mix is not None)
        self.data, self.split, self.cell_lines, self.questions = data, split, cell_lines, questions
        self.product, self.part_size = product, part_size
        self.batch_size, self.eval_batch_size = batch_size, eval_batch_size
        self.validation_share, self.workers, self.seed = validation_share, workers, seed
        self.probe = probe
        self.mixture, self.tokens_per_batch = Mixture(mix, seed) if mix else None, tokens_per_batch
        self.train: pl.DataFrame | None = None
        self.validation: pl.DataFrame | None = None
        self.test: pl.DataFrame | None = None
        self._asked: pl.DataFrame | None = None
        self._loading: Callable[[], tuple[Blocks | None, Sequence[int]]] | None = None
        self._made: pl.DataFrame | None = None
        self._pools: dict[str, pl.DataFrame] = {}
        self.dropped: Counter[str] = Counter()
        """Rows of the source that become no example, by reason; for whoever shows them."""

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

    def prepare_data(self) -> None:
        """Read a file of the user's before anything is said: its error is the only line."""
        if self.mixture and self._trainer.state.fn in ("fit", "validate"):
            self.mixture.read_file()

    def setup(self, stage: str) -> None:
        """Read the questions once, hold out validation perturbations, drop over-long examples."""
        self._loading = None
        own = self.questions is not None or self.product is not None
        if stage == "predict" and own and self.probe is None:
            refuse_other_evidence(self._student.prompts, self.data, self.split)
        elif self.test is None:
            self._read()
        if stage in ("fit", "validate") and self.train is None:
            rows = self.fitting(self._rows(), self._student.encoder)
            held = rows["pert"].is_in(list(self._held_out))
            self.train, self.validation = rows.filter(~held), rows.filter(held)
            if not len(self.train):
                raise InputError("no example to train on", column="data", expected="at least one")
            counts = [int((self.train["label"].cast(pl.String) == each).sum()) for each in LABELS]
            self._student.loss.see_labels(counts)
            log.info(
                "%s examples to train on, %s to validate on (%s perturbations held out)",
                f"{len(self.train):,}",
                f"{len(self.validation):,}",
                len(self._held_out),
            )
            if self.mixture:
                self._read_mixture().fit(self._student.encoder, len(self.train))

    def train_dataloader(self) -> LateLoader:
        """Shuffled micro-batches; resumed where a run was stopped."""
        assert self.train is not None
        trainer = self._trainer
        own = Examples(self.train, self._student.encoder)
        examples: Dataset[LabelledExample] = own
        batches: Sampler[list[int]] = ShuffledBatches(
            len(self.train) + (self.mixture.count(len(self.train)) if self.mixture else 0),
            self.batch_size,
            self.seed,
            trainer.global_rank,
            trainer.world_size,
            self._position,
        )
        if self.tokens_per_batch:
            batches = packed(own, self.tokens_per_batch, self.seed, trainer, self._position)
        if self.mixture:
            batches = self.mixture.batches(batches, len(self.train), self._position)
            examples = self.mixture.examples(own)
        loader = DataLoader(
            examples,
            batch_sampler=batches,
            collate_fn=self._collate(),
            num_workers=self.workers,
            generator=torch.Generator(),
        )
        return LateLoader(loader)

    def val_dataloader(self) -> DataLoader[Any] | list[Any]:
        """Validation examples in order, dealt out over ranks."""
        assert self.validation is not None
        if not len(self.validation):
            return []
        mine = self.validation[self._trainer.global_rank :: self._trainer.world_size]
        return DataLoader(
            Examples(mine, self._student.encoder),
            batch_size=self.batch_size,
            collate_fn=self._collate(),
            generator=torch.Generator(),
        )

    def test_dataloader(self) -> DataLoader[Any]:
        """The test split's questions, dealt out over ranks."""
        assert self.test is not None
        return self._question_loader(self.test)

    def predict_dataloader(self) -> DataLoader[Any]:
        """The blocks of `load_blocks`; else all questions of `asked`."""
        if self._loading is not None:
            return block_loader(*self._loading(), self.eval_batch_size)
        return self._question_loader(table_of(self.questions, self.product, self.data, self.test))

    def asked(self) -> Asked:
        """What `predict` asks: the user's table, the product, or the test split."""
        return asked_of(self.questions, self.product, self.data, self.test)

    def load_blocks(self, loading: Callable[[], tuple[Blocks | None, Sequence[int]]]) -> None:
        """Let `predict` load the blocks that this names when they are wanted, and nothing else."""
        self._loading = loading

    # What callbacks and the student ask for

    def evaluation_questions(self, stage: Literal["validate", "test"]) -> pl.DataFrame:
        """Labelled questions to answer: of held-out train perturbations, or of the test split."""
        return self._pools[stage]

    def texts(self, prompts: PromptSet) -> Iterator[str]:
        """Texts that together hold every word of the training examples and of all prompts.

        A symbol that only the test split has is a word too, though nothing is learned of it:
        spelled in bytes that no example has, it would throw a small model off.
        """
        if self.test is None:
            self._read()
        rows = self._rows()
        keys = ("cell_line", "pert", "gene")
        asked = pl.concat([rows.select(keys), self._pools["test"].select(keys)])
        cover = pl.concat([asked.unique(key, maintain_order=True) for key in keys])
        for question in to_questions(cover):
            yield from (message["content"] for message in prompts.messages(question))
        for label in prompts.labels:
            yield prompts.answer_text(label)
        if "reasoning" in rows.columns:
            yield "<think>\n</think>\n"
            yield from rows["reasoning"]
        if self.mixture:
            yield from self._read_mixture().texts()

    def _read(self) -> None:
        refuse_other_evidence(self._student.prompts, self.data, self.split)
        questions = read_questions(self.data, self.cell_lines)
        # A prompt set that offers fewer labels asks only about questions that have one of them.
        offered = [str(label) for label in self._student.prompts.labels]
        questions = questions.filter(pl.col("label").is_in(offered))
        self._asked, self.test = train, test = split_questions(questions, self.split)
        perturbations = train["pert"].unique().sort().to_list()
        count = math.ceil(len(perturbations) * self.validation_share)
        order = np.random.default_rng(self.seed).permutation(len(perturbations))
        self._held_out = {perturbations[i] for i in order[:count]}
        held = train.filter(pl.col("pert").is_in(list(self._held_out)))
        self._pools = {"validate": held, "test": test}

    def _rows(self) -> pl.DataFrame:
        # Late and once: to test a student, nobody needs the traces that it was trained on.
        if self._made is None:
            assert self._asked is not None
            assert self.test is not None
            self._made = self.rows(self._asked, self.test)
        return self._made

    def _read_mixture(self) -> Mixture:
        assert self.mixture is not None
        assert self.test is not None
        self.mixture.read(self.test, self.split, self._held_out)
        return self.mixture

    @property
    def _trainer(self) -> L.Trainer:
        if self.trainer is None:
            raise RuntimeError("no trainer is attached yet")
        return self.trainer

    @property
    def _student(self) -> Student:
        student = self._trainer.lightning_module
        if not isinstance(student, Student):
            raise RuntimeError(f"a student is needed to encode for, not {type(student).__name__}")
        return student

    def _position(self) -> tuple[int, int]:
        loop = self._trainer.fit_loop
        return self._trainer.current_epoch, loop.epoch_loop.batch_progress.current.ready

    def _collate(self) -> Callable[[Sequence[LabelledExample]], dict[str, Tensor]]:
        return partial(collate, pad_id=self._student.encoder.pad_id)

    def _question_loader(self, table: pl.DataFrame) -> DataLoader[Any]:
        place, size = self._trainer, self.eval_batch_size
        ranks = (place.global_rank, place.world_size)
        return question_loader(table, size, *ranks, self.probe, self.test, self.seed)
