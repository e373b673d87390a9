"""The traces most like a question: those that share its genes, then those of similar knockdowns."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass, fields
from typing import TYPE_CHECKING, Final

import polars as pl

from synthpert.knowledge.facts import LEAST_SIMILARITY

if TYPE_CHECKING:
    from synthpert.questions import Question

MOST: Final = 5
_KEY: Final = ("cell_line", "pert", "gene")
WHY: Final = (
    "this very question",
    "same perturbation and gene, other cell line",
    "same perturbation, same cell line",
    "same gene, same cell line",
    "same perturbation, other cell line",
    "same gene, other cell line",
    "similar perturbation",
)
"""What makes a trace like a question, from the nearest to the farthest."""


@dataclass(frozen=True, slots=True)
class Alike:
    """A trace beside a question.

    Attributes:
        cell_line: Of the trace.
        pert: Its perturbation.
        gene: Its measured gene.
        label: The outcome that it explains.
        reasoning: Its text.
        grade: The critic's, where there is one.
        why: Which of `WHY`.
    """

    cell_line: str
    pert: str
    gene: str
    label: str
    reasoning: str
    grade: str | None
    why: str


class Traces:
    """The traces that a student was trained on, to be looked up.

    Args:
        table: Columns of `synthpert.traces.TRACE_SCHEMA`.
        likeness: How similar a gene is to each of others, 0 to 1.
    """

    def __init__(
        self, table: pl.DataFrame, likeness: Callable[[str, Sequence[str]], Sequence[float]]
    ) -> None:
        columns = [*_KEY, "label", "reasoning", "grade"]
        self.table = table.filter(pl.col("reasoning").is_not_null()).select(columns)
        self.likeness = likeness

    def __len__(self) -> int:
        return len(self.table)

    def like(self, question: Question, most: int = MOST) -> list[Alike]:
        """The traces most like a question, by what they share with it.

        Args:
            question: The question.
            most: How many.

        Returns:
            In the order of `WHY`; of one kind, those whose two genes are more similar to the
            question's come first, then those that come first in the file.
        """
        line, pert, gene = (
            pl.col(name) == value
            for name, value in zip(
                _KEY, (question.cell_line, question.pert, question.gene), strict=True
            )
        )
        rules = (line & pert & gene, pert & gene, line & pert, line & gene, pert, gene)
        similar = pl.col("near_pert") >= LEAST_SIMILARITY
        # From the farthest to the nearest, so that the nearest has the last word.
        rank = pl.lit(None, pl.Int64)
        for number, rule in reversed(list(enumerate((*rules, similar)))):
            rank = pl.when(rule).then(number).otherwise(rank)
        found = (
            self.table.with_columns(
                near_pert=self._near("pert", question.pert),
                near_gene=self._near("gene", question.gene),
            )
            .with_columns(rank=rank)
            .drop_nulls("rank")
            .sort("rank", -(pl.col("near_pert") + pl.col("near_gene")), maintain_order=True)
            .head(most)
        )
        names = [field.name for field in fields(Alike) if field.name != "why"]
        return [
            Alike(**{name: row[name] for name in names}, why=WHY[row["rank"]])
            for row in found.iter_rows(named=True)
        ]

    def _near(self, column: str, symbol: str) -> pl.Expr:
        names = self.table[column].unique().to_list()
        near = dict(zip(names, self.likeness(symbol, names), strict=True))
        return pl.col(column).replace_strict(near, default=0.0, return_dtype=pl.Float64)
