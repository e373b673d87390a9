"""What the train split says: which knockdowns moved a gene, and where."""

from __future__ import annotations

import hashlib
from dataclasses import dataclass
from functools import cached_property
from typing import TYPE_CHECKING, Final

import numpy as np
import polars as pl

from synthpert.knowledge.indexing import codes
from synthpert.questions import LABEL_DTYPE, LABELS, read_questions, split_questions

if TYPE_CHECKING:
    from pathlib import Path

    from numpy.typing import NDArray

_KEY: Final = ["cell_line", "pert", "gene"]


@dataclass(frozen=True, slots=True)
class GeneRows:
    """The train rows of one gene.

    Attributes:
        perts: (rows,), indices into `TrainOutcomes.perts`.
        cell_lines: (rows,), indices into `TrainOutcomes.cell_lines`.
        labels: (rows,), indices into `LABELS`.
    """

    perts: NDArray[np.int64]
    cell_lines: NDArray[np.int64]
    labels: NDArray[np.int8]

    def where(self, wanted: NDArray[np.bool_] | NDArray[np.int64]) -> GeneRows:
        """Some of the rows.

        Args:
            wanted: (rows,) as a mask, or which rows by number.
        """
        return GeneRows(self.perts[wanted], self.cell_lines[wanted], self.labels[wanted])

    def counts(self) -> NDArray[np.int64]:
        """(3,), the rows of each label in the order of `LABELS`."""
        return np.bincount(self.labels, minlength=len(LABELS))


class TrainOutcomes:
    """The train split by gene. It has no test row, so no fact taken from it can show one.

    Args:
        train: The first of what `split_questions` returns: cell_line, pert, gene, label.
    """

    def __init__(self, train: pl.DataFrame) -> None:
        rows = train.select(*_KEY, pl.col("label").cast(LABEL_DTYPE)).sort("gene", "pert", _KEY[0])
        self._content = rows
        self.perts: list[str] = rows["pert"].unique().sort().to_list()
        self.cell_lines: list[str] = rows["cell_line"].unique().sort().to_list()
        self._perts = {name: number for number, name in enumerate(self.perts)}
        self._cell_lines = {name: number for number, name in enumerate(self.cell_lines)}
        self._rows = GeneRows(
            codes(rows["pert"], self._perts),
            codes(rows["cell_line"], self._cell_lines),
            # An Enum's physical value is its place in LABELS.
            rows["label"].to_physical().to_numpy().astype(np.int8),
        )
        runs = rows["gene"].rle().struct.unnest()
        ends = runs["len"].cum_sum()
        places = zip(ends - runs["len"], ends, strict=True)
        self._places = dict(zip(runs["value"], places, strict=True))
        self.counts: NDArray[np.int64] = self._rows.counts()

    @classmethod
    def read(cls, data: Path | None = None, split: str = "default") -> TrainOutcomes:
        """Read the train part of a split.

        Args:
            data: Folder of the benchmark, as in `synthpert.questions.find_data`.
            split: `default`, `strict` or `held_out:CELL`.

        Raises:
            InputError: If there is no such data or split.
        """
        return cls(split_questions(read_questions(data), split)[0])

    @cached_property
    def fingerprint(self) -> str:
        """12 hex digits of the SHA-256 of the rows, in whatever order they came."""
        return hashlib.sha256(self._content.write_csv().encode()).hexdigest()[:12]

    def pert(self, name: str) -> int:
        """The index of a perturbation, -1 for one that is not in the train split.

        Args:
            name: Its symbol.
        """
        return self._perts.get(name, -1)

    def cell_line(self, name: str) -> int:
        """The index of a cell line, -1 for one that is not in the train split.

        Args:
            name: Its name.
        """
        return self._cell_lines.get(name, -1)

    def of_gene(self, gene: str) -> GeneRows:
        """All train rows of a gene.

        Args:
            gene: Its symbol, as in the benchmark.
        """
        start, end = self._places.get(gene, (0, 0))
        rows = self._rows
        part = slice(start, end)
        return GeneRows(rows.perts[part], rows.cell_lines[part], rows.labels[part])
