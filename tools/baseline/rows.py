"""Questions as numbers: the arrays that the fitted baselines work on."""

from __future__ import annotations

import hashlib
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Any, Final

import numpy as np
import polars as pl

from synthpert.predictions import KEY, PROBABILITIES
from synthpert.questions import LABEL_DTYPE, LABELS

if TYPE_CHECKING:
    from collections.abc import Sequence

    from numpy.typing import NDArray

CLASSES: Final = len(LABELS)


@dataclass(frozen=True, eq=False)
class Rows:
    """Questions with their labels.

    Attributes:
        lines: Names of the cell lines.
        perts: Symbols of the perturbed genes.
        genes: Symbols of the measured genes.
        line: (rows,), indices into `lines`.
        pert: (rows,), indices into `perts`.
        gene: (rows,), indices into `genes`.
        label: (rows,), indices into `LABELS`; of test rows no baseline reads it.
    """

    lines: tuple[str, ...]
    perts: tuple[str, ...]
    genes: tuple[str, ...]
    line: NDArray[np.int64]
    pert: NDArray[np.int64]
    gene: NDArray[np.int64]
    label: NDArray[np.int64]

    def __len__(self) -> int:
        return len(self.label)

    def where(self, wanted: NDArray[np.bool_] | NDArray[np.int64]) -> Rows:
        """Some of the rows, under the same names.

        Args:
            wanted: (rows,) as a mask, or which rows by number.
        """
        parts = {name: getattr(self, name)[wanted] for name in ("line", "pert", "gene", "label")}
        return replace(self, **parts)

    def one_hot(self) -> NDArray[np.float64]:
        """(rows, 3), 1 in the column of the label."""
        return np.eye(CLASSES)[self.label]

    def counts(self, *columns: str) -> NDArray[np.float64]:
        """How many rows of each label there are, for example for each line and gene.

        Args:
            *columns: Of `line`, `pert` and `gene`.

        Returns:
            (lines, genes, 3) for `line`, `gene`.
        """
        shape = tuple(len(getattr(self, f"{name}s")) for name in columns)
        cells = np.ravel_multi_index(
            (*(getattr(self, name) for name in columns), self.label), (*shape, CLASSES)
        )
        counted = np.bincount(cells, minlength=int(np.prod(shape)) * CLASSES)
        return counted.reshape(*shape, CLASSES).astype(np.float64)

    def shares(self) -> NDArray[np.float64]:
        """(lines, 3), the class shares of each cell line, or of all where it has no row."""
        counts = self.counts("line")
        total = counts.sum(axis=1, keepdims=True)
        overall = counts.sum(axis=0) / max(len(self), 1)
        shares: NDArray[np.float64] = np.where(total > 0, counts / np.maximum(total, 1), overall)
        return shares

    def folds(self, column: str, count: int) -> NDArray[np.int64]:
        """A fold for each name, the same on every machine and whatever the other names are.

        Args:
            column: `line`, `pert` or `gene`.
            count: How many folds.

        Returns:
            (names,), from 0 to `count` - 1.
        """
        return np.array([stable(name) % count for name in getattr(self, f"{column}s")], np.int64)


def stable(*words: str) -> int:
    """A number for words, the same in every process.

    Args:
        *words: Any.

    Returns:
        64 bits of the SHA-256 of the words.
    """
    return int.from_bytes(hashlib.sha256("\t".join(words).encode()).digest()[:8])


def numbered(train: pl.DataFrame, test: pl.DataFrame) -> tuple[Rows, Rows]:
    """Number the cell lines, perturbations and genes of both splits.

    Args:
        train: Columns cell_line, pert, gene, label.
        test: The same.

    Returns:
        The rows of both under the same names.
    """
    names = {
        column: pl.concat([train[column], test[column]]).unique().sort().to_list() for column in KEY
    }

    def rows(table: pl.DataFrame) -> Rows:
        line, pert, gene = (_codes(table[column], names[column]) for column in KEY)
        labels = table["label"].cast(LABEL_DTYPE).to_physical().cast(pl.Int64).to_numpy()
        lines, perts, genes = (tuple(names[column]) for column in KEY)
        return Rows(lines, perts, genes, line, pert, gene, labels)

    return rows(train), rows(test)


def _codes(column: pl.Series, names: Sequence[str]) -> NDArray[np.int64]:
    codes: NDArray[np.int64] = (
        column.cast(pl.Enum(names)).to_physical().cast(pl.Int64).to_numpy()
        if names
        else np.empty(0, np.int64)
    )
    return codes


def predictions(test: pl.DataFrame, probabilities: NDArray[np.floating[Any]]) -> pl.DataFrame:
    """The test questions with probabilities.

    Args:
        test: Columns cell_line, pert, gene, label.
        probabilities: (rows, 3), not negative; each row is divided by its sum.
    """
    shares = probabilities / probabilities.sum(axis=1, keepdims=True)
    columns = {name: shares[:, place] for place, name in enumerate(PROBABILITIES)}
    return test.select(*KEY, "label").with_columns(**columns)
