"""Predictions laid out by perturbation: parts on disk, each small and none cut in two.

A prediction file may have any order and ten million rows. Everything that is told of a
perturbation needs all its genes at once, and nothing needs two perturbations at once. So the rows
are written anew in parts of whole perturbations, and memory stays that of one part.
"""

from __future__ import annotations

import difflib
from dataclasses import dataclass
from typing import TYPE_CHECKING, Final

import polars as pl

from synthpert.errors import InputError
from synthpert.predictions.rows import KEY
from synthpert.predictions.scanning import count_questions, read_batches
from synthpert.questions import Label
from synthpert.tables import FIRST_ROW

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Sequence
    from pathlib import Path

PART_ROWS: Final = 250_000
"""Rows of a part, but for a perturbation that has more."""

_GROUP: Final = ["cell_line", "pert"]


@dataclass(frozen=True, slots=True)
class Parts:
    """Predictions on disk, sorted by cell line and perturbation.

    Attributes:
        folder: Holds a folder for each part.
        files: The prediction files, in the order given.
        groups: Columns cell_line, pert, rows and part, sorted.
        rows: How many rows the files have, chosen or not.
    """

    folder: Path
    files: list[Path]
    groups: pl.DataFrame
    rows: int

    def __iter__(self) -> Iterator[pl.DataFrame]:
        """Each part: the columns of `lay_out`, rows sorted by cell line, perturbation and gene.

        Raises:
            InputError: If a question stands there twice.
        """
        for part in self.groups["part"].unique().sort():
            table = pl.read_parquet(self.folder / str(part) / "*.parquet").sort(KEY)
            self._check_unique(table)
            yield table

    def scan(self) -> pl.LazyFrame:
        """All parts as one lazy table, in no order."""
        return pl.scan_parquet(self.folder / "*" / "*.parquet")

    def _check_unique(self, table: pl.DataFrame) -> None:
        """Refuse a question that stands there twice, in one file or in two."""
        same = pl.all_horizontal(pl.col(name) == pl.col(name).shift(1) for name in KEY)
        index = table.select(same.arg_true().first()).item()
        if index is None:
            return
        first, second = sorted(table[index - 1 : index + 1].to_dicts(), key=_place)
        raise InputError(
            "question stands there twice",
            file=self.files[second["file"]],
            row=second["row"],
            got=", ".join(second[name] for name in KEY),
            expected=f"one row per question; the first is row {first['row']}"
            + (f" of {self.files[first['file']]}" if first["file"] != second["file"] else ""),
        )


def _place(row: dict[str, int]) -> tuple[int, int]:
    return row["file"], row["row"]


def count(files: Sequence[Path]) -> pl.DataFrame:
    """How many rows of prediction files each perturbation has.

    Args:
        files: Parts of one screen.

    Returns:
        Columns cell_line, pert and rows.

    Raises:
        InputError: If a file cannot be read or has no rows.
    """
    every = pl.concat([count_questions(path) for path in files])
    return every.group_by(_GROUP).agg(pl.sum("rows"))


def lay_out(
    files: Sequence[Path],
    counts: pl.DataFrame,
    folder: Path,
    *,
    told: Callable[[int], object],
    cell_lines: Sequence[str] | None = None,
    perts: Sequence[str] | None = None,
    threshold: float | None = None,
    part_rows: int = PART_ROWS,
) -> Parts:
    """Read prediction files, check every row, and write the chosen ones down in parts.

    Args:
        files: Parts of one screen: together they hold a question once.
        counts: As `count` counts them.
        folder: Where to write; empty.
        told: Called with the number of rows after each piece read.
        cell_lines: Only these; all if None.
        perts: Only these perturbations; all if None.
        threshold: From which probability on a gene is called; if None, it is called what the
            answer says.
        part_rows: Rows of a part.

    Returns:
        The parts. Their columns: cell_line, pert, gene, label, answer, p_not_de, p_up, p_down;
        up and down, whether it is called; signed, p_up - p_down, null where the answer is;
        file and row, where it stood.

    Raises:
        InputError: If a file or one of its rows is wrong, or a name is in none of them.
    """
    groups = _choose(_choose(counts, "cell_line", cell_lines), "pert", perts).sort(_GROUP)
    part = ((pl.col("rows").cum_sum() - 1) // part_rows).cast(pl.UInt32)
    groups = groups.with_columns(part=part)
    read = 0
    for number, path in enumerate(files):
        row = FIRST_ROW
        for piece, batch in enumerate(read_batches(path)):
            rows = batch.with_columns(*_called(threshold), file=pl.lit(number, pl.UInt16))
            rows = rows.with_row_index("row", row).join(groups.drop("rows"), on=_GROUP)
            for (at,), some in rows.partition_by("part", as_dict=True, include_key=False).items():
                _write(some, folder / str(at) / f"{number}-{piece}.parquet")
            row += batch.height
            told(batch.height)
        read += row - FIRST_ROW
    return Parts(folder, list(files), groups, read)


def _choose(groups: pl.DataFrame, column: str, names: Sequence[str] | None) -> pl.DataFrame:
    """Keep what is named; a name is taken as it stands, another spelling only suggested."""
    if names is None:
        return groups
    known = groups[column].drop_nulls().unique().to_list()
    for name in names:
        if name not in known:
            folded = [each for each in known if each.lower() == name.lower()]
            near = folded or difflib.get_close_matches(name, known, n=1)
            hint = f"; did you mean {near[0]!r}?" if near else ""
            flag = "--" + column.replace("_", "-").replace("pert", "perts")
            what = "not in the predictions"
            raise InputError(what, file=flag, got=name, expected=f"one of {len(known):,}{hint}")
    return groups.filter(pl.col(column).is_in(list(names)))


def _called(threshold: float | None) -> list[pl.Expr]:
    """Whether a gene is called up, whether down, and which way it leans."""
    read, up, down = pl.col("answer").is_not_null(), pl.col("p_up"), pl.col("p_down")
    calls = {
        "up": pl.col("answer") == Label.UP.value,
        "down": pl.col("answer") == Label.DOWN.value,
    }
    if threshold is not None:
        calls = {"up": (up >= threshold) & (up > down), "down": (down >= threshold) & (down > up)}
    made = [(read & call).fill_null(False).alias(name) for name, call in calls.items()]
    return [*made, pl.when(read).then(up - down).alias("signed")]


def _write(table: pl.DataFrame, path: Path) -> None:
    try:
        path.parent.mkdir(exist_ok=True)
        table.write_parquet(path, compression="lz4", statistics=False)
    except (OSError, pl.exceptions.PolarsError) as error:
        what = f"cannot be written: {str(error).splitlines()[0]}"
        raise InputError(what, file=path, expected="room on the disk") from None
