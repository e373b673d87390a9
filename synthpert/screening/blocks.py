"""Blocks: the questions of a screen, cut into pieces that are answered and kept one by one."""

from __future__ import annotations

from typing import TYPE_CHECKING, Final, Protocol

import numpy as np
import polars as pl

from synthpert.errors import InputError

if TYPE_CHECKING:
    from collections.abc import Sequence
    from pathlib import Path

    from synthpert.screening.product import Lists

BLOCKS_A_SHARD: Final = 64
"""A shard of staged questions is one file; each block of it is a row group, read by itself."""


class Blocks(Protocol):
    """Questions by the number of their block, each of `part_size` but the last."""

    def read(self, block: int) -> pl.DataFrame:
        """The questions of a block.

        Args:
            block: From 0 on.

        Returns:
            cell_line, pert, gene, then label if it is known, then the user's other columns.
        """
        ...


class TableBlocks:
    """Blocks of a table that is held in memory.

    Args:
        table: All questions.
        part_size: Questions of a block.
    """

    def __init__(self, table: pl.DataFrame, part_size: int) -> None:
        self.table, self.part_size = table, part_size

    def read(self, block: int) -> pl.DataFrame:
        """The questions of a block."""
        return self.table.slice(block * self.part_size, self.part_size)


class ProductBlocks:
    """Blocks of a product of lists; no question is made before its block is read.

    Args:
        lists: The names, a cell line each.
        part_size: Questions of a block.
    """

    def __init__(self, lists: Sequence[Lists], part_size: int) -> None:
        self.lists, self.part_size = lists, part_size
        self._ends = np.cumsum([each.questions for each in lists])
        self._names = [(pl.Series(x.perts), pl.Series(x.genes)) for x in lists]

    def read(self, block: int) -> pl.DataFrame:
        """The questions of a block: cell line, then perturbation, then gene."""
        begin, parts = block * self.part_size, []
        end = min(begin + self.part_size, int(self._ends[-1]))
        while begin < end:
            line = int(np.searchsorted(self._ends, begin, side="right"))
            before = int(self._ends[line]) - self.lists[line].questions
            stop = min(end, int(self._ends[line]))
            perts, genes = self._names[line]
            pert, gene = np.divmod(np.arange(begin - before, stop - before), len(genes))
            parts.append(
                pl.DataFrame(
                    {
                        "cell_line": pl.repeat(
                            self.lists[line].cell_line, len(gene), dtype=pl.String, eager=True
                        ),
                        "pert": perts.gather(pert),
                        "gene": genes.gather(gene),
                    }
                )
            )
            begin = stop
        return pl.concat(parts)


class StagedBlocks:
    """Blocks of a user's table, from the shards that `synthpert.screening.staging` wrote.

    Args:
        folder: Of the shards.
        part_size: Questions of a block.
    """

    def __init__(self, folder: Path, part_size: int) -> None:
        self.folder, self.part_size = folder, part_size

    def read(self, block: int) -> pl.DataFrame:
        """The questions of a block."""
        number, place = divmod(block, BLOCKS_A_SHARD)
        lazy = pl.scan_parquet(shard_path(self.folder, number), glob=False)
        return lazy.slice(place * self.part_size, self.part_size).collect()


def shard_path(folder: Path, number: int) -> Path:
    """Where a shard lies."""
    return folder / f"questions-{number:06d}.parquet"


def refuse_nested(place: Path, blocks: Blocks) -> None:
    """Refuse a .csv of columns that it cannot hold, before the long work.

    Args:
        place: The prediction file to be.
        blocks: The questions, with the user's columns.

    Raises:
        InputError: Which column that is.
    """
    columns = blocks.read(0).schema.items() if place.suffix == ".csv" else ()
    for name, kind in columns:
        if kind.is_nested() or kind in (pl.Binary, pl.Object):
            raise InputError(
                "a .csv cannot hold this column",
                file=place,
                column=name,
                got=str(kind),
                expected="--out NAME.parquet",
            )
