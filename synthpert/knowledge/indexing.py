"""Numbers for genes, and rows of numbers: the arrays below sets and networks."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np
import polars as pl

from synthpert.knowledge.sources import EdgeList, NameTable, SetTable

if TYPE_CHECKING:
    from collections.abc import Sequence

    from numpy.typing import NDArray


class GeneIndex:
    """One number for each gene, whichever of its symbols a source writes.

    A symbol that no name table lists as a gene's own, but one as the synonym of exactly one gene,
    stands for that gene.

    Args:
        sources: All tables of a folder.
    """

    def __init__(self, sources: Sequence[SetTable | EdgeList | NameTable]) -> None:
        official, synonyms = _names([each for each in sources if isinstance(each, NameTable)])
        written = [pl.Series("symbol", [], pl.String)]
        for table in sources:
            if isinstance(table, SetTable):
                written.append(table.members["gene"].alias("symbol"))
            elif isinstance(table, EdgeList):
                written += [table.edges[name].alias("symbol") for name in ("gene1", "gene2")]
            else:
                told = table.names.drop_nulls("full_name")["symbol"]
                written.append(told)
        symbols = pl.concat(written).unique().to_frame()
        known = synonyms.join(official, left_on="synonym", right_on="symbol", how="anti")
        gene = pl.coalesce("official", "symbol")
        mapped = symbols.join(known, left_on="symbol", right_on="synonym", how="left")
        self.symbols: list[str] = mapped.select(gene.unique().sort()).to_series().to_list()
        self._numbers = {symbol: number for number, symbol in enumerate(self.symbols)}
        for synonym, symbol in known.iter_rows():
            if symbol in self._numbers:
                self._numbers.setdefault(synonym, self._numbers[symbol])

    def __len__(self) -> int:
        return len(self.symbols)

    def number(self, gene: str) -> int | None:
        """The number of a gene, None for an unknown one.

        Args:
            gene: A symbol.
        """
        return self._numbers.get(gene)

    def numbers(self, genes: pl.Series) -> NDArray[np.int64]:
        """The numbers of known genes.

        Args:
            genes: Symbols, all of them from a source of this index.
        """
        return codes(genes, {symbol: self._numbers[symbol] for symbol in genes.unique()})


def codes(names: pl.Series, numbers: dict[str, int]) -> NDArray[np.int64]:
    """Numbers for names.

    Args:
        names: Any names.
        numbers: The number of each of them.

    Returns:
        (names,).
    """
    # An empty dictionary would give the result no type.
    if names.is_empty():
        return np.empty(0, np.int64)
    found: NDArray[np.int64] = names.replace_strict(numbers, return_dtype=pl.Int64).to_numpy()
    return found


def _names(tables: Sequence[NameTable]) -> tuple[pl.DataFrame, pl.DataFrame]:
    """The symbols that are genes' own, and the synonyms of one gene each."""
    official = [table.names.select("symbol") for table in tables]
    synonyms = [table.synonyms for table in tables]
    empty = pl.DataFrame(schema={"synonym": pl.String, "symbol": pl.String})
    every = pl.concat([empty, *synonyms]).unique()
    single = every.group_by("synonym").agg(pl.len(), official=pl.col("symbol").first())
    return (
        pl.concat([empty.select("symbol"), *official]).unique(),
        single.filter(pl.col("len") == 1).select("synonym", "official").sort("synonym"),
    )


@dataclass(frozen=True, slots=True, eq=False)
class Rows:
    """A list of numbers for each row, sorted and without repeats (compressed sparse rows).

    Attributes:
        starts: (rows + 1,), where each row begins in `values`.
        values: (entries,), the numbers of all rows.
        lengths: (rows,), how many numbers each row has.
    """

    starts: NDArray[np.int64]
    values: NDArray[np.int32]
    lengths: NDArray[np.int64]

    @classmethod
    def of(cls, rows: NDArray[np.int64], values: NDArray[np.int64], count: int) -> Rows:
        """Sort entries into rows.

        Args:
            rows: (entries,), the row of each entry.
            values: (entries,), its number, not negative.
            count: How many rows there are.
        """
        width = int(values.max(initial=0)) + 1
        # Sorted here: np.unique hashes integers, which takes five times as long.
        entries = np.sort(rows * width + values)
        entries = entries[np.diff(entries, prepend=-1) > 0]
        lengths = np.bincount(entries // width, minlength=count)
        starts = np.concatenate([[0], np.cumsum(lengths)])
        return cls(starts, (entries % width).astype(np.int32), lengths)

    def __getitem__(self, row: int) -> NDArray[np.int32]:
        return self.values[self.starts[row] : self.starts[row + 1]]

    def gather(self, rows: NDArray[np.int32]) -> NDArray[np.int32]:
        """The numbers of some rows, one row behind the other.

        Args:
            rows: (n,), which rows.
        """
        return np.concatenate([self.values[:0], *(self[row] for row in rows.tolist())])

    def owners(self) -> NDArray[np.int64]:
        """(entries,), the row of each entry."""
        return np.repeat(np.arange(len(self.lengths)), self.lengths)

    def transposed(self, count: int) -> Rows:
        """For each number the rows that hold it.

        Args:
            count: How many rows there will be: above every number.
        """
        return Rows.of(self.values.astype(np.int64), self.owners(), count)

    def where(self, wanted: NDArray[np.bool_]) -> Rows:
        """The same rows, those not wanted empty.

        Args:
            wanted: (rows,).
        """
        owners = self.owners()
        kept = wanted[owners]
        return Rows.of(owners[kept], self.values[kept].astype(np.int64), len(self.lengths))

    def closed(self) -> Rows:
        """Each row that is not empty with its own number added, as a closed neighbourhood is."""
        own = np.flatnonzero(self.lengths)
        values = np.concatenate([self.values, own])
        return Rows.of(np.concatenate([self.owners(), own]), values, len(self.lengths))

    def sums(self, weights: NDArray[np.float64]) -> NDArray[np.float64]:
        """(rows,), the sum of the weights of each row's numbers.

        Args:
            weights: One for each number.
        """
        each = weights[self.values]
        return np.bincount(self.owners(), each, len(self.lengths)).astype(np.float64)
