"""Over-representation of a perturbation's genes in gene sets, and how each set leans."""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

import numpy as np
import polars as pl

from tools.hits.fisher import false_discovery, odds_ratio, upper_tail
from tools.hits.ranking import DIRECTIONS

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

    from tools.hits.genesets import GeneSets

PATHWAYS: Final = (
    *("cell_line", "pert", "direction", "gene_set", "hits", "size", "called", "background"),
    *("odds_ratio", "p", "q", "score", "genes"),
)
"""The columns of pathways.csv."""
_GROUP: Final = ("cell_line", "pert")


class Pathways:
    """One-sided tests of all perturbations, collected part by part.

    A gene set is tested where the perturbation has a list in that direction, and at least
    `min_size` of the set's genes among those asked about and answered, which are the background.
    A set without a gene of the list has p = 1: it counts as a test and gets no row.

    Args:
        sets: The gene sets.
        folder: Where rows wait until all tests are known; empty.
        min_size: The fewest genes of a set in the background.
    """

    def __init__(self, sets: GeneSets, folder: Path, min_size: int) -> None:
        self.sets = sets
        self.min_size = min_size
        self.tests: dict[str, int] = {}
        self._folder = folder
        self._count = 0
        self._covered: set[str] = set()
        self._genes = set(sets.members["gene"].unique())

    @property
    def covered(self) -> int:
        """How many genes asked about are in a gene set."""
        return len(self._covered)

    def add(self, part: pl.DataFrame) -> None:
        """Test the perturbations of a part.

        Args:
            part: Whole perturbations; `up` and `down` are the lists.
        """
        self._covered |= self._genes.intersection(part["gene"].unique())
        rows, tests = over_representation(part, self.sets.members, self.min_size)
        for cell_line, count in tests.items():
            self.tests[cell_line] = self.tests.get(cell_line, 0) + count
        rows.write_parquet(self._folder / f"{self._count:06}.parquet", compression="lz4")
        self._count += 1

    def finish(self) -> None:
        """Correct for all tests of a cell line; afterwards `tables` gives the rows."""
        files = self._files()
        every = pl.concat([pl.read_parquet(file, columns=["cell_line", "p"]) for file in files])
        q = np.ones(every.height)
        for (cell_line,), rows in (
            every.with_row_index().partition_by("cell_line", as_dict=True).items()
        ):
            q[rows["index"].to_numpy()] = false_discovery(
                rows["p"].to_numpy(), self.tests[cell_line]
            )
        start = 0
        for file in files:
            table = pl.read_parquet(file)
            table = table.with_columns(q=pl.Series(q[start : start + table.height]))
            table.write_parquet(file, compression="lz4")
            start += table.height

    def tables(self) -> Iterator[pl.DataFrame]:
        """The rows of pathways.csv, part by part.

        Yields:
            Columns `PATHWAYS`, sorted by cell line, perturbation, direction, p and gene set.
        """
        names = pl.Series(self.sets.names)
        for file in self._files():
            rows = pl.read_parquet(file)
            yield rows.with_columns(gene_set=names.gather(rows["set"])).select(PATHWAYS)

    def scan(self) -> pl.LazyFrame:
        """All rows as a lazy table, with `set` (index into `sets.names`) and q."""
        return pl.scan_parquet(self._files())

    def _files(self) -> list[Path]:
        return sorted(self._folder.glob("*.parquet"))


def over_representation(
    part: pl.DataFrame, members: pl.DataFrame, min_size: int
) -> tuple[pl.DataFrame, dict[str, int]]:
    """Test each list of a part's perturbations for each gene set.

    Args:
        part: Columns cell_line, pert, gene, answer, up, down, signed.
        members: Columns set and gene.
        min_size: The fewest genes of a set in the background.

    Returns:
        A row for each test with at least one hit: `PATHWAYS` without q and with `set` for
        gene_set, sorted. And how many tests were made in each cell line, those without a hit too.
    """
    answered = part.filter(pl.col("answer").is_not_null())
    # Numbers for names: the join with all gene sets is the largest table of all.
    lists = answered.group_by(_GROUP, maintain_order=True).agg(
        pl.len().alias("background"), *(pl.sum(name).alias(f"all_{name}") for name in DIRECTIONS)
    )
    lists = lists.with_row_index("list")
    rows = answered.join(lists.select("list", *_GROUP), on=_GROUP)
    sizes = _by_set(rows, members, pl.len().alias("size"), pl.mean("signed").alias("score"))
    sizes = sizes.filter(pl.col("size") >= min_size)
    tests: dict[str, int] = {}
    made = []
    for name in DIRECTIONS:
        called = pl.col(f"all_{name}")
        tested = sizes.join(lists.filter(called > 0).select("list", "cell_line"), on="list")
        for cell_line, count in tested.group_by("cell_line").len().iter_rows():
            tests[cell_line] = tests.get(cell_line, 0) + count
        hits = _by_set(rows.filter(name), members, pl.len().alias("hits"), pl.col("gene").sort())
        some = hits.join(sizes, on=["list", "set"]).join(lists, on="list")
        genes = pl.col("gene").list.join(";").alias("genes")
        made.append(some.with_columns(genes, direction=pl.lit(name), called=called))
    return _tested(pl.concat(made)).drop("list", "gene", "all_up", "all_down"), tests


def _by_set(rows: pl.DataFrame, members: pl.DataFrame, *told: pl.Expr) -> pl.DataFrame:
    """What is told of the rows of each list that are in each gene set."""
    few = rows.lazy().select("list", "gene", "signed")
    joined = few.join(members.lazy(), on="gene").group_by("list", "set").agg(*told)
    return joined.collect(engine="streaming")


def _tested(rows: pl.DataFrame) -> pl.DataFrame:
    """Add p and the odds ratio, and sort."""
    rows = rows.with_columns(pl.col("hits", "size", "called", "background").cast(pl.Int64))
    hits, size = rows["hits"].to_numpy(), rows["size"].to_numpy()
    called, background = rows["called"].to_numpy(), rows["background"].to_numpy()
    odds = pl.Series(odds_ratio(hits, size, called, background), dtype=pl.Float64)
    p = pl.Series(upper_tail(hits, size, called, background), dtype=pl.Float64)
    rows = rows.with_columns(p=p, odds_ratio=odds.fill_nan(None))
    order = pl.col("direction") != next(iter(DIRECTIONS))
    return rows.sort("list", order, "p", "set")
