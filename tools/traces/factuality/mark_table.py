"""The table of marks: a row a clause, with the judge's mark, a person's, and the one that counts.

It is written as Parquet and as CSV. The CSV is for people: whoever fills in its column `human`, in
a spreadsheet or an editor, overrules the judge when the same command is run again.
"""

from __future__ import annotations

import logging
from dataclasses import astuple
from pathlib import Path
from textwrap import shorten
from typing import TYPE_CHECKING, Final

import polars as pl

from synthpert.answers.marks import Mark
from synthpert.errors import InputError
from synthpert.files import whole_file
from synthpert.spreadsheets import defused
from synthpert.tables import FIRST_ROW, read_text_table

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping, Sequence

    from tools.traces.factuality.judging import Thought

logger = logging.getLogger(__name__)

MARK_DTYPE: Final = pl.Enum([mark.value for mark in Mark])
MARK_SCHEMA: Final = pl.Schema(
    {
        "file": pl.String(),
        "cell_line": pl.String(),
        "pert": pl.String(),
        "gene": pl.String(),
        "sample": pl.Int64(),
        "number": pl.Int64(),
        "clause": pl.String(),
        "judge": MARK_DTYPE,
        "reason": pl.String(),
        "human": MARK_DTYPE,
        "mark": MARK_DTYPE,
    }
)
THOUGHT_KEY: Final = ("file", "cell_line", "pert", "gene", "sample")
_KEY: Final = (*THOUGHT_KEY, "number")
_EDITED: Final = (*_KEY, "clause", "human")
# Characters of a clause in a message.
_SHOWN: Final = 80

Place = tuple[str, ...]


def mark_table(thoughts: Sequence[Thought]) -> pl.DataFrame:
    """Put the clauses into a table that nobody has marked yet.

    Args:
        thoughts: What is to be marked.

    Returns:
        Columns of `MARK_SCHEMA`, thoughts and clauses in their order.
    """
    columns = [name for name in MARK_SCHEMA if name in (*_KEY, "clause")]
    rows = [
        (it.file, *astuple(it.question), it.sample, number, clause)
        for it in thoughts
        for number, clause in enumerate(it.clauses, start=1)
    ]
    table = pl.DataFrame(rows, {name: MARK_SCHEMA[name] for name in columns}, orient="row")
    return table.select(
        (pl.col(name) if name in columns else pl.lit(None, dtype)).alias(name)
        for name, dtype in MARK_SCHEMA.items()
    )


def with_judge(
    table: pl.DataFrame, judged: Iterable[Sequence[tuple[Mark | None, str]]]
) -> pl.DataFrame:
    """Fill in the judge's marks; where a person has marked, that mark stays the one that counts.

    Args:
        table: Columns of `MARK_SCHEMA`.
        judged: For each thought in order, for each clause, the mark and how it was read.

    Returns:
        The table with `judge` and `mark` filled in, and `reason` where there is no mark.
    """
    read = [each for clauses in judged for each in clauses]
    marks = pl.Series("judge", [mark for mark, _ in read], dtype=MARK_DTYPE)
    reasons = [None if mark else reason for mark, reason in read]
    return table.with_columns(
        marks,
        pl.Series("reason", reasons, dtype=pl.String),
        mark=pl.coalesce("human", marks),
    )


def find_human_marks(marks: Path | None, table: Path) -> Path | None:
    """Choose the file that people's marks are read from.

    Args:
        marks: The file that was named, if any.
        table: The CSV that this run will write, and an earlier one may have written.

    Returns:
        The file named, else the table of an earlier run, else None.

    Raises:
        InputError: If both are there, and the table has a person's mark that the file has not and
            that would be overwritten.
    """
    if marks is None:
        return table if table.exists() else None
    if table.exists() and table.resolve() != marks.resolve():
        given, there = _read_human(marks), _read_human(table)
        lost = [place for place in there if place not in given]
        if lost:
            row = there[lost[0]][0]
            raise InputError(
                "people's marks here are not in the file named, and would be overwritten",
                file=table,
                row=row,
                column="human",
                got=f"{len(lost)} such marks",
                expected="another --out, or no --marks",
            )
    return marks


def with_human_marks(table: pl.DataFrame, path: Path) -> pl.DataFrame:
    """Let people's marks win over the judge's.

    Args:
        table: Columns of `MARK_SCHEMA`.
        path: A CSV with its columns, as this program writes it; only rows with something in
            `human` count.

    Returns:
        The table with `human` and `mark` filled in.

    Raises:
        InputError: At the first mark that is none of the three, or that is of no clause of this
            table, or whose clause has another text.
    """
    places = table.select(pl.col(_KEY).cast(pl.String)).rows()
    clauses = dict(zip(places, table["clause"], strict=True))
    said = _read_human(path)
    for place, (row, clause, _) in said.items():
        _check_clause(path, row, place, clause, clauses)
    human = [said[place][2] if place in said else None for place in places]
    logger.info("%s: %s marks by people", path, f"{len(said):,}")
    marks = pl.Series("human", human, dtype=MARK_DTYPE)
    return table.with_columns(marks, mark=pl.coalesce(marks, "judge"))


def _read_human(path: Path) -> dict[Place, tuple[int, str, Mark]]:
    """The marks by people: where to row, clause and mark."""
    table = read_text_table(path, _EDITED).with_row_index("row", offset=FIRST_ROW)
    marked = table.filter(pl.col("human").fill_null("").str.strip_chars() != "")
    said: dict[Place, tuple[int, str, Mark]] = {}
    for row, *values in marked.select("row", *_EDITED).iter_rows():
        *place, clause, human = (value or "" for value in values)
        key, mark = tuple(place), human.strip().upper()
        if mark not in list(Mark):
            expected = ", ".join(Mark) + " or nothing"
            raise InputError(
                "unknown mark", file=path, row=row, column="human", got=human, expected=expected
            )
        if key in said:
            raise InputError(
                "clause stands there twice",
                file=path,
                row=row,
                got=", ".join(key),
                expected=f"one row a clause; the first is row {said[key][0]}",
            )
        said[key] = (row, clause, Mark(mark))
    return said


def _check_clause(
    path: Path, row: int, place: Place, clause: str, clauses: Mapping[Place, str]
) -> None:
    if place not in clauses:
        raise InputError(
            "a person's mark of no clause that is judged here",
            file=path,
            row=row,
            got=", ".join(place),
            expected="the same files, --each and --seed as when the table was written",
        )
    text = clauses[place]
    if " ".join(clause.split()) not in (text, f"'{text}"):
        raise InputError(
            "the clause has another text by now",
            file=path,
            row=row,
            column="clause",
            got=shorten(clause, _SHOWN),
            expected=repr(shorten(text, _SHOWN)),
        )


def write_marks(table: pl.DataFrame, folder: Path) -> None:
    """Write marks.parquet, and marks.csv for people and their spreadsheets.

    Args:
        table: Columns of `MARK_SCHEMA`.
        folder: Where to; made where needed.

    Raises:
        InputError: If a file cannot be written.
    """
    with whole_file(folder / "marks.parquet") as place:
        table.write_parquet(place)
    safe = table.with_columns(defused("clause"))
    with whole_file(folder / "marks.csv") as place:
        # The mark at its head tells spreadsheets that the file is UTF-8.
        safe.write_csv(place, include_bom=True)
