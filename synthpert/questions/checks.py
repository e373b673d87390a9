"""Checks of names and of pairs in tables of questions."""

from __future__ import annotations

import re
from typing import TYPE_CHECKING, Final

import polars as pl

from synthpert.errors import InputError
from synthpert.tables import FIRST_ROW, refuse

if TYPE_CHECKING:
    from collections.abc import Sequence
    from pathlib import Path

# What spreadsheets make of MARCH1, SEPT2 or DEC1: 1-Mar, Sep-02, 2021-03-01, 3/1/2021, 44256.
_MONTH: Final = (
    r"(?:jan|feb|mar(?:ch)?|mär|mrz|apr|may|mai|jun|jul|aug|sept?|oct|okt|nov|dec|dez)[a-z]{0,6}\.?"
)
_DATE: Final = (
    rf"(?i)^(?:\d{{1,4}}[-/ .]{{1,2}}{_MONTH}(?:[-/ .]\d{{2,4}})?|{_MONTH}[-/ ]\d{{1,4}}"
    r"(?:[-/ ,]{1,2}\d{2,4})?|\d{1,2}/\d{1,2}"
    r"|\d{4}[-/.]\d{1,2}[-/.]\d{1,2}(?:[ T].*)?|\d{1,2}[-/.]\d{1,2}[-/.]\d{2,4}(?: .*)?"
    r"|[345]\d{4}(?:\.0+)?)$"
)
# And of RIKEN's 2310009E13: 2.31E+19. A gene may be called 1E5.
_NUMBER: Final = r"(?i)^\d+(?:[.,]\d+E\+?|E\+)\d+$"

# What stands in a prompt as a name: no white space, no sentence, nothing that could be read as an
# instruction. Symbols, Ensembl identifiers, clones (RP11-34P13.7) and cell lines fit.
_SYMBOL: Final = r"^[A-Za-z0-9][A-Za-z0-9._@/:+()-]{0,39}$"


def check_symbols(table: pl.DataFrame, path: Path, columns: Sequence[str]) -> None:
    """Refuse names that could carry an instruction into a prompt.

    Args:
        table: Rows in the file's order.
        path: Where the table was read from: a file or its folder.
        columns: The columns of names, all String.

    Raises:
        InputError: At the first name that is not letters, digits and a few signs, or is longer
            than 40 characters.
    """
    for column in columns:
        names = table[column].unique()
        odd = names.filter(~names.str.contains(_SYMBOL))
        if not odd.is_empty():
            raise InputError(
                "not a name that may stand in a prompt",
                file=path,
                column=column,
                got=odd.sort()[0],
                expected="letters, digits and . _ @ / : + ( ) -, at most 40",
            )


def check_names(
    table: pl.DataFrame, path: Path, columns: Sequence[str], *, dates: bool = True
) -> None:
    """Refuse an empty name, one in white space and one that a spreadsheet rewrote.

    Args:
        table: Rows in the file's order.
        path: Where the table was read from.
        columns: The columns of names, all String.
        dates: Whether a date, and a number such as 2.31E+13, is refused.

    Raises:
        InputError: At the first such row.
    """
    for column in columns:
        text = pl.col(column)
        # Distinct names are a hundredth of the rows, and only they are looked at closely.
        names = table.select(text.unique())
        odd = names.filter(
            text.is_null()
            | (text == "")
            | (text != text.str.strip_chars())
            | ((text.str.contains(_DATE) | text.str.contains(_NUMBER)) if dates else False)
        )[column]
        if odd.is_empty():
            continue
        bad = text.is_null() | text.is_in(odd.drop_nulls().implode())
        value = table.filter(bad)[column][0]
        kind = "number" if re.search(_NUMBER, value or "") else "date"
        what, expected = (
            f"gene turned into a {kind} by a spreadsheet",
            "a gene symbol, such as MARCHF1",
        )
        if not (value or "").strip():
            what, expected = f"{column} is empty", "a name"
        elif value != value.strip():
            what, expected = "white space around the name", repr(value.strip())
        refuse(table, bad, what, file=path, column=column, expected=expected)


def check_unique(table: pl.DataFrame, path: Path, key: list[str]) -> None:
    """Refuse a question that stands twice.

    Args:
        table: Rows in the file's order.
        path: Where the table was read from.
        key: The columns that make a question.

    Raises:
        InputError: At the second row; it says whether the two agree (label, split).
    """
    if table.select(key).n_unique() == table.height:
        return
    seen: dict[tuple[str, ...], int] = {}
    answer = [name for name in ("label", "split") if name in table.columns]
    for index, row in enumerate(table.select(key).iter_rows()):
        first = seen.setdefault(row, index)
        if first != index:
            same = table.select(answer).row(first) == table.select(answer).row(index)
            raise InputError(
                f"pair {'repeats' if same else 'contradicts'} row {first + FIRST_ROW}",
                file=path,
                row=index + FIRST_ROW,
                column="gene",
                got=", ".join(row),
                expected="each pair once",
            )
