"""Checks of a delimited text: its encoding, its header and the width of its rows."""

from __future__ import annotations

import codecs
import csv
import io
from collections import Counter
from typing import TYPE_CHECKING, Final

from synthpert.errors import InputError
from synthpert.text_chunks import text_chunks

if TYPE_CHECKING:
    from collections.abc import Sequence
    from pathlib import Path

DELIMITERS: Final = {",": "commas", "\t": "tabs", ";": "semicolons", "|": "pipes"}


def check_text(raw: bytes, path: Path, separator: str, before: int, *, nul: bool = False) -> None:
    """Refuse other encodings and, unless they may be there, NUL bytes.

    Args:
        raw: A header and rows.
        path: The file, for the errors.
        separator: Between two values.
        before: Rows of the file between its header and these.
        nul: Whether NUL bytes may be there.

    Raises:
        InputError: At the first byte that is none of UTF-8 text.
    """
    if raw.startswith((codecs.BOM_UTF16_LE, codecs.BOM_UTF16_BE)):
        expected = "UTF-8: save it as `CSV UTF-8`"
        raise InputError("UTF-16 text", file=path, row=before + 1, expected=expected)
    try:
        raw.decode("utf-8")
    except UnicodeDecodeError as error:
        row, column = _place(raw, error.start, separator)
        got = raw[error.start : error.start + 1]
        raise InputError(
            "not UTF-8 text", file=path, row=row + before, column=column, got=got, expected="UTF-8"
        ) from None
    place = -1 if nul else raw.find(b"\0")
    if place >= 0:
        row, column = _place(raw, place, separator)
        raise InputError("NUL byte", file=path, row=row + before, column=column, expected="text")


def _place(raw: bytes, offset: int, separator: str) -> tuple[int, str]:
    """The row of a byte and its column's name (its number, where the header has none)."""
    start = raw.rfind(b"\n", 0, offset) + 1
    number = raw.count(separator.encode(), start, offset)
    header = raw.partition(b"\n")[0].decode("utf-8", "replace").split(separator)
    row = raw.count(b"\n", 0, offset) + 1
    return row, header[number] if row > 1 and number < len(header) else str(number + 1)


def check_header(path: Path, required: Sequence[str], separator: str = ",") -> None:
    """Refuse a text file that does not begin as a table does; only its first piece is read.

    Args:
        path: As `read_text_table` takes it.
        required: Columns that must be there.
        separator: As there.

    Raises:
        InputError: If it cannot be read, is empty or no text, or its header is wrong.
    """
    raw = next(text_chunks(path, separator)).partition(b"\n")[0]
    check_text(raw, path, separator, 0)
    check_columns(raw, path, required, separator)


def check_columns(raw: bytes, path: Path, required: Sequence[str], separator: str) -> list[str]:
    """The column names; refuses a missing or repeated one and a wrong delimiter.

    Args:
        raw: A header, perhaps with rows.
        path: The file, for the errors.
        required: Columns that must be there.
        separator: Between two values.

    Raises:
        InputError: Which of these is wrong.
    """
    line = raw.partition(b"\n")[0].decode()
    header = next(csv.reader([line], delimiter=separator), [])
    missing = [name for name in required if name not in header]
    others = [character for character in DELIMITERS if character != separator and character in line]
    if missing and len(header) == 1 and others:
        raise InputError(
            "wrong delimiter",
            file=path,
            row=1,
            got=DELIMITERS[others[0]],
            expected=DELIMITERS[separator],
        )
    if missing:
        raise InputError(
            "column is missing",
            file=path,
            row=1,
            column=missing[0],
            got=", ".join(header),
            expected=", ".join(required),
        )
    repeated = [name for name, times in Counter(header).items() if times > 1]
    if repeated:
        expected = "each name once"
        raise InputError(
            "column stands twice", file=path, row=1, column=repeated[0], expected=expected
        )
    return header


def check_widths(raw: bytes, path: Path, width: int, separator: str, before: int) -> None:
    """Refuse a row with more or fewer values than the header, and an unclosed quote.

    Args:
        raw: A header and rows.
        path: The file, for the errors.
        width: Values of a row.
        separator: Between two of them.
        before: Rows of the file between its header and these.

    Raises:
        InputError: At the first such row.
    """
    lines = io.StringIO(raw.decode(), newline="")
    reader = csv.reader(lines, delimiter=separator, strict=True)
    row = 0
    try:
        for row, values in enumerate(reader, start=1):
            if len(values) != width:
                raise InputError(
                    "ragged row",
                    file=path,
                    row=row + before,
                    got=f"{len(values)} values",
                    expected=f"{width}, as in the header",
                )
    except csv.Error as error:
        what, expected = f"broken quoting: {error}", "every quote closed"
        if "field limit" in str(error):
            what = f"a value of more than {csv.field_size_limit():,} characters"
        raise InputError(what, file=path, row=row + 1 + before, expected=expected) from None
