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

# Symbols of human genes have capitals, if small letters too (C1orf112).
_LOWER: Final = r"^[^A-Z]*[a-z][^A-Z]*$"
_ENSEMBL: Final = r"^ENS[A-Z]{0,4}[GTP]\d{11}(?:\.\d+)?$"

LONGEST_NAME: Final = 100
"""Characters; whatever is longer is text that slipped into the column."""

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
    table: pl.DataFrame,
    path: Path,
    columns: Sequence[str],
    *,
    dates: bool = True,
    first: int = FIRST_ROW,
) -> None:
    """Refuse a name that is empty, in white space, overlong or rewritten by a spreadsheet.

    Args:
        table: Rows in the file's order.
        path: Where the table was read from.
        columns: The columns of names, all String.
        dates: Whether a date, and a number such as 2.31E+13, is refused.
        first: The row of the file that `table` begins with.

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
            | (text.str.len_chars() > LONGEST_NAME)
            | ((text.str.contains(_DATE) | text.str.contains(_NUMBER)) if dates else False)
        )[column]
        if odd.is_empty():
            continue
        bad = text.is_null() | text.is_in(odd.drop_nulls().implode())
        value = table.filter(bad)[column][0]
        what, expected = _fault(value or "", column)
        refuse(table, bad, what, file=path, column=column, expected=expected, first=first)


def _fault(name: str, column: str) -> tuple[str, str]:
    """What is wrong with a name, and what would be right."""
    if not name.strip():
        return f"{column} is empty", "a name"
    if name != name.strip():
        return "white space around the name", repr(name.strip()[:LONGEST_NAME])
    if len(name) > LONGEST_NAME:
        return "too long for a name", f"at most {LONGEST_NAME} characters"
    kind = "number" if re.search(_NUMBER, name) else "date"
    return f"gene turned into a {kind} by a spreadsheet", "a gene symbol, such as MARCHF1"


def check_spelling(
    table: pl.DataFrame, path: Path, columns: Sequence[str], *, first: int = FIRST_ROW
) -> None:
    """Refuse names of genes that no prompt was trained with: identifiers, and lower case.

    Of a user's own questions: an answer to `a2m` looks as good as one to A2M, and is not.

    Args:
        table: Rows in the file's order.
        path: Where the table was read from.
        columns: The columns of gene symbols, all String.
        first: The row of the file that `table` begins with.

    Raises:
        InputError: At the first such row.
    """
    for column in columns:
        bad = pl.any_horizontal(pl.col(column).str.contains(each) for each in (_LOWER, _ENSEMBL))
        odd = table.select(pl.col(column).unique()).filter(bad)[column]
        if odd.is_empty():
            continue
        value = table.filter(bad)[column][0]
        what, expected = "lower case, which no human gene's symbol is", value.upper()
        if re.search(_ENSEMBL, value):
            what, expected = "Ensembl identifier", "a gene symbol, such as MARCHF1"
        refuse(table, bad, what, file=path, column=column, expected=expected, first=first)


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
    for index, row in enumerate(table.select(key).iter_rows()):
        first = seen.setdefault(row, index)
        if first != index:
            raise repeated(table[[first, index]], first, index, path, key)


def repeated(both: pl.DataFrame, first: int, second: int, path: Path, key: list[str]) -> InputError:
    """The error for a question that stands twice.

    Args:
        both: Its two rows.
        first: How many rows of the table come before the one.
        second: And before the other.
        path: Where the table was read from.
        key: The columns that make a question.
    """
    answer = [*key, *(name for name in ("label", "split") if name in both.columns)]
    same = both.select(answer).row(0) == both.select(answer).row(1)
    return InputError(
        f"pair {'repeats' if same else 'contradicts'} row {first + FIRST_ROW}",
        file=path,
        row=second + FIRST_ROW,
        column="gene",
        got=", ".join(both.select(key).row(1)),
        expected="each pair once",
    )
