"""Traces: a teacher's reasoning and its answer, graded by a critic."""

from __future__ import annotations

import logging
from pathlib import Path
from typing import Any, Literal

import polars as pl

from data_modules.questions import QuestionDataModule
from synthpert.encoding import Encoder
from synthpert.errors import InputError
from synthpert.questions import Label, find_data, to_questions
from synthpert.traces import read_traces, select
from synthpert.traces.leaks import leaked, refuse_leaked, refuse_other_lines

log = logging.getLogger(__name__)

_AT_ONCE = 512


class TraceDataModule(QuestionDataModule):
    """Trains on the kept traces of a file.

    Args:
        traces: `traces.parquet`, JSONL, or the CSV that the paper's authors released.
        grades: Grades of the critic to keep.
        rebalance: `equal` draws as many traces of each label as the rarest has (the paper's
            control); `none` takes them as they are.
        test_traces: What to do with traces of the test split: `refuse` the file, or `drop` them
            and say how many.
        options: Everything else `QuestionDataModule` takes.
    """

    def __init__(
        self,
        traces: Path,
        grades: list[str] = ["excellent"],  # noqa: B006 - jsonargparse copies it
        rebalance: Literal["none", "equal"] = "none",
        test_traces: Literal["refuse", "drop"] = "refuse",
        **options: Any,
    ) -> None:
        super().__init__(**options)
        self.traces, self.grades = traces, grades
        self.rebalance, self.test_traces = rebalance, test_traces
        self._found: pl.DataFrame | None = None

    def prepare_data(self) -> None:
        """Read the traces, where they are trained on, before anything is said."""
        super().prepare_data()
        if self._trainer.state.fn in ("fit", "validate"):
            self._found = self._read_traces()

    def rows(self, train: pl.DataFrame, test: pl.DataFrame) -> pl.DataFrame:
        """The traces that are kept, of the wanted grades, not of the test split, rebalanced.

        Raises:
            InputError: If the file holds traces of an unknown cell line, or of the test split and
                `test_traces` is `refuse`.
        """
        traces = self._read_traces() if self._found is None else self._found
        self._found = None
        kept, rejected = select(traces, self.grades)
        self.dropped.update(rejected)
        log.info("%s: %s traces kept, rejected: %s", self.traces, f"{len(kept):,}", rejected or 0)
        safe = self._without_test(kept, test)
        wanted = safe
        if self.cell_lines is not None:
            wanted = safe.filter(pl.col("cell_line").is_in(self.cell_lines))
        drawn = self._equal(wanted) if self.rebalance == "equal" and len(wanted) else wanted
        for reason, before, after in (
            ("test_split", kept, safe),
            ("other_cell_line", safe, wanted),
            ("rebalanced", wanted, drawn),
        ):
            self.dropped[reason] += len(before) - len(after)
        return drawn.select("cell_line", "pert", "gene", "label", "reasoning")

    def fitting(self, rows: pl.DataFrame, encoder: Encoder) -> pl.DataFrame:
        """The rows that fit `max_tokens`; the others are counted, never cut."""
        fits: list[bool] = []
        for part in rows.iter_slices(_AT_ONCE):
            labels = [Label(label) for label in part["label"]]
            made = encoder.examples(to_questions(part), labels, part["reasoning"].to_list())
            fits += [example is not None for example in made]
        kept = rows.filter(pl.Series(fits, dtype=pl.Boolean))
        self.dropped["too_long"] += len(rows) - len(kept)
        if len(kept) < len(rows):
            log.warning(
                "%s of %s traces dropped: longer than %s tokens",
                f"{len(rows) - len(kept):,}",
                f"{len(rows):,}",
                encoder.max_tokens,
            )
        return kept

    def _read_traces(self) -> pl.DataFrame:
        if not self.traces.exists():
            expected = "traces, as `synthpert traces make` writes them"
            raise InputError("no such file", file=self.traces, expected=expected)
        traces = read_traces(self.traces)
        refuse_other_lines(traces, find_data(self.data), self.traces)
        return traces

    def _without_test(self, traces: pl.DataFrame, test: pl.DataFrame) -> pl.DataFrame:
        tested = leaked(traces, test, self.split)
        if self.test_traces == "refuse":
            wanted = f"traces to train {self.split} on; test_traces: drop leaves them out"
            refuse_leaked(traces, tested, self.traces, wanted)
        count = int(tested.sum())
        if count:
            log.warning("%s traces of test perturbations dropped", f"{count:,}")
        return traces.filter(~tested)

    def _equal(self, traces: pl.DataFrame) -> pl.DataFrame:
        fewest = int(traces["label"].value_counts()["count"].min())  # type: ignore[arg-type]
        parts = [
            part.sample(fewest, seed=self.seed, shuffle=True)
            for part in traces.partition_by("label", maintain_order=True)
        ]
        return pl.concat(parts)
