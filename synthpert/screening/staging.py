"""A user's table put aside in shards: checked once, frozen against edits, read block by block."""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

import numpy as np
import polars as pl

from synthpert.files import sync
from synthpert.predictions import PREDICTION_SCHEMA
from synthpert.questions import KEY, table_chunks
from synthpert.questions.checks import repeated
from synthpert.screening.blocks import BLOCKS_A_SHARD, StagedBlocks, shard_path

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

    from numpy.typing import NDArray

GIVEN: Final = "given_"
"""Put before the name of a user's column that a prediction has, too."""
_HASHES: Final = "hashes"
_A_PASS: Final = 2**20


def stage_table(path: Path, folder: Path, part_size: int) -> int:
    """Write a table of questions as shards.

    Memory does not grow with the table, however long it is.

    Args:
        path: The user's table, as `read_table` takes it.
        folder: Receives the shards; made here.
        part_size: Questions of a block.

    Returns:
        How many questions there are.

    Raises:
        InputError: At the first row that is not a sound question, or stands twice; or where the
            shards cannot be written.
    """
    folder.mkdir(parents=True)
    hashes = folder / _HASHES
    count = 0
    with hashes.open("wb") as seen:
        for number, shard in enumerate(_shards(path, part_size * BLOCKS_A_SHARD)):
            seen.write(shard.select(KEY).hash_rows(seed=0).to_numpy().tobytes())
            shard.write_parquet(shard_path(folder, number), row_group_size=part_size)
            sync(shard_path(folder, number))
            count += shard.height
    blocks = StagedBlocks(folder, part_size)
    for first, second in repeats(hashes, count):
        both = pl.concat(
            blocks.read(row // part_size).slice(row % part_size, 1) for row in (first, second)
        )
        # Two questions may share their 64 bits by chance.
        if both.select(KEY).row(0) == both.select(KEY).row(1):
            raise repeated(both, first, second, path, KEY)
    hashes.unlink()
    return count


def repeats(hashes: Path, count: int, a_pass: int = _A_PASS) -> list[tuple[int, int]]:
    """Find the rows whose hash stands twice, a share of all hashes at a time.

    Args:
        hashes: File of `count` uint64, a row each.
        count: How many.
        a_pass: About how many to hold at a time.

    Returns:
        The numbers of two neighbouring rows of one hash, by the second of them.
    """
    passes = -(-count // a_pass)
    found: list[tuple[int, int]] = []
    for share in range(passes):
        values, rows = _share(hashes, count, share, passes, a_pass)
        order = np.argsort(values, kind="stable")
        twice = np.flatnonzero(values[order][1:] == values[order][:-1])
        pairs = zip(rows[order[twice]].tolist(), rows[order[twice + 1]].tolist(), strict=True)
        found += pairs
    return sorted(found, key=lambda pair: pair[1])


def _share(
    hashes: Path, count: int, share: int, passes: int, a_pass: int
) -> tuple[NDArray[np.uint64], NDArray[np.int64]]:
    """The hashes that fall to one pass, and the numbers of their rows."""
    values, rows = [], []
    for begin in range(0, count, a_pass):
        part = np.fromfile(hashes, np.uint64, a_pass, offset=begin * 8)
        mine = np.flatnonzero(part % np.uint64(passes) == share)
        values.append(part[mine])
        rows.append(mine + begin)
    return np.concatenate(values), np.concatenate(rows)


def _shards(path: Path, size: int) -> Iterator[pl.DataFrame]:
    """The table in pieces of `size` rows, the last one shorter."""
    held: list[pl.DataFrame] = []
    for _, table in table_chunks(path):
        held.append(_renamed(table))
        while sum(each.height for each in held) >= size:
            whole = pl.concat(held)
            yield whole.slice(0, size)
            held = [whole.slice(size)]
    if rest := [each for each in held if each.height]:
        yield pl.concat(rest)


def _renamed(table: pl.DataFrame) -> pl.DataFrame:
    """Columns that a prediction has too under names of their own."""
    own: dict[str, str] = {}
    for name in table.columns:
        if name in PREDICTION_SCHEMA and name not in (*KEY, "label"):
            own[name] = f"{GIVEN}{name}"
            # A table that was answered before has that one, too.
            while own[name] in table.columns:
                own[name] = GIVEN + own[name]
    return table.rename(own)
