"""The block of a cell line that a heat map shows: which rows and columns, and in which order."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Final

import numpy as np
import polars as pl

if TYPE_CHECKING:
    from numpy.typing import NDArray

_ROUNDS: Final = 20
_PALE: Final = 0.05
_OPTIMAL: Final = 400  # leaves; the best order of a tree takes time with their square and more


@dataclass(frozen=True, slots=True, eq=False)
class Block:
    """A matrix with names, and the trees that its rows and columns are ordered by.

    Attributes:
        rows: Names, from the top down.
        columns: Names, from left to right.
        values: (rows, columns), not-a-number where there is no answer.
        row_tree: scipy's linkage over the rows in their order; None for a single row.
        column_tree: The same over the columns.
    """

    rows: list[str]
    columns: list[str]
    values: NDArray[np.float64]
    row_tree: NDArray[np.float64] | None = None
    column_tree: NDArray[np.float64] | None = None


def matrix(cells: pl.DataFrame, row: str, column: str, value: str) -> Block:
    """Spread a long table into a matrix.

    Args:
        cells: A row for each cell that is known; others are missing.
        row: Column with the row's name.
        column: Column with the column's name.
        value: Column with the number, null where missing.

    Returns:
        Rows and columns sorted by name.
    """
    rows, columns = (cells[name].unique().sort().to_list() for name in (row, column))
    values = np.full((len(rows), len(columns)), np.nan)
    at = [
        cells[name].replace_strict(names, list(range(len(names))), return_dtype=pl.Int64)
        for name, names in ((row, rows), (column, columns))
        if names
    ]
    if at:
        values[at[0].to_numpy(), at[1].to_numpy()] = cells[value].cast(pl.Float64).to_numpy()
    return Block(rows, columns, values)


def strongest(block: Block, rows: int, columns: int) -> Block:
    """Choose rows and columns together, so that what is shown has most predicted change.

    Rows by the sum of absolute values over the chosen columns and columns by that over the chosen
    rows, in turn until nothing changes; from two starts, of which the better end counts: the sums
    over all columns, and the leading singular vector. Where every cell is known this is about the
    strongest rows and columns; where few are, it prefers those that were asked about together.

    Args:
        block: The candidates.
        rows: How many to keep at most.
        columns: How many to keep at most.

    Returns:
        A smaller block. Rows and columns that would be all but white in it, with no value above a
        twentieth of the largest, are left out.
    """
    size = np.abs(np.nan_to_num(block.values))
    starts = (_largest(weights, rows) for weights in (size.sum(1), _leading(size)))
    ends = [_settled(size, start, columns) for start in starts]
    kept_rows, kept_columns = max(ends, key=lambda kept: float(size[np.ix_(*kept)].sum()))
    inside = size[np.ix_(kept_rows, kept_columns)]
    seen = inside > _PALE * inside.max(initial=0.0)
    return _taken(block, kept_rows[seen.any(1)], kept_columns[seen.any(0)])


def _leading(size: NDArray[np.float64]) -> NDArray[np.float64]:
    """Weights of rows that share strong columns: the leading singular vector, by powers."""
    weights = np.ones(size.shape[0])
    for _ in range(_ROUNDS):
        weights = size @ (size.T @ weights)
        weights /= max(float(np.linalg.norm(weights)), np.finfo(float).tiny)
    return weights


def _settled(
    size: NDArray[np.float64], kept_rows: NDArray[np.intp], columns: int
) -> tuple[NDArray[np.intp], NDArray[np.intp]]:
    """Choose columns by rows and rows by columns until nothing changes."""
    rows = len(kept_rows)
    kept_columns = _largest(size[kept_rows].sum(0), columns)
    for _ in range(_ROUNDS):
        before = kept_rows, kept_columns
        kept_rows = _largest(size[:, kept_columns].sum(1), rows)
        kept_columns = _largest(size[kept_rows].sum(0), columns)
        if np.array_equal(before[0], kept_rows) and np.array_equal(before[1], kept_columns):
            break
    return kept_rows, kept_columns


def clustered(block: Block) -> Block:
    """Order rows and columns so that similar ones stand side by side.

    Average linkage over Euclidean distances, with scipy; a missing value counts as 0, no change.
    Up to 400 rows or columns stand in the best order that the tree allows (Bar-Joseph et al.
    2001).

    Args:
        block: Any block.

    Returns:
        The same rows and columns in another order, with their trees.
    """
    filled = np.nan_to_num(block.values)
    rows, row_tree = _order(filled)
    columns, column_tree = _order(filled.T)
    taken = _taken(block, rows, columns)
    return Block(taken.rows, taken.columns, taken.values, row_tree, column_tree)


def _largest(sums: NDArray[np.float64], count: int) -> NDArray[np.intp]:
    """Places of the largest sums above 0, in their old order; of equal ones the first."""
    order = np.argsort(-sums, kind="stable")[:count]
    return np.sort(order[sums[order] > 0])


def _taken(block: Block, rows: NDArray[np.intp], columns: NDArray[np.intp]) -> Block:
    return Block(
        [block.rows[i] for i in rows],
        [block.columns[i] for i in columns],
        block.values[np.ix_(rows, columns)],
    )


def _order(vectors: NDArray[np.float64]) -> tuple[NDArray[np.intp], NDArray[np.float64] | None]:
    """An order of the rows, and the tree over them in that order."""
    from scipy.cluster.hierarchy import leaves_list, linkage

    count = len(vectors)
    if count < 2:
        return np.arange(count), None
    tree = linkage(vectors, "average", optimal_ordering=count <= _OPTIMAL)
    return leaves_list(tree).astype(np.intp), tree
