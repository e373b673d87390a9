"""Text tables (CSV, TSV; also gzipped): read fast, and to the row when something is wrong.

Every value is read as text, so that a gene called NA, TRUE or 1E5 stays what it is.
"""

from __future__ import annotations

import codecs
import csv
import gzip
import io
import zlib
from collections import Counter
from pathlib import Path
from typing import TYPE_CHECKING, Final

import polars as pl

from synthpert.errors import InputError

if TYPE_CHECKING:
    from collections.abc import Sequence

DELIMITERS: Final = {",": "commas", "\t": "tabs", ";": "semicolons", "|": "pipes"}
FIRST_ROW: Final = 2  # the header is row 1, as in a spreadsheet


def read_text_table(
    path: Path | str, required: Sequence[str], separator: str = ","
) -> pl.DataFrame:
    """Read a delimited text file with a header.

    Args:
        path: UTF-8 (a byte order mark is allowed), lines ended by LF, CRLF or CR; plain or gzipped.
        required: Columns that must be there; others are kept too.
        separator: One character between two values.

    Returns:
        The table in the file's order, every column String; an empty value is null.

    Raises:
        InputError: If the file cannot be read or its rows are not all as wide as the header.
    """
    path = Path(path)
    raw = _read_bytes(path)
    raw = _check_text(raw.removeprefix(codecs.BOM_UTF8), path, separator)
    width = len(_check_header(raw, path, required, separator))
    # Together with polars, which refuses a row that is too wide, equal totals mean equal rows;
    # only quotes (a separator or a line end inside a value) ask for a reading row by row.
    rows = raw.count(b"\n") + 1
    if b'"' in raw or raw.count(separator.encode()) != (width - 1) * rows:
        _check_widths(raw, path, width, separator)
    try:
        return pl.read_csv(raw, separator=separator, infer_schema=False)
    except pl.exceptions.PolarsError as error:
        _check_widths(raw, path, width, separator)
        raise InputError(f"unreadable table: {error}", file=path) from None


def check_file(path: Path) -> None:
    """Refuse a path that is not a file.

    Raises:
        InputError: If `path` is missing or a folder.
    """
    if path.is_dir():
        raise InputError("is a folder", file=path, expected="a file")
    if not path.exists():
        raise InputError("no such file", file=path)


def read_parquet_table(
    path: Path | str, required: Sequence[str], optional: Sequence[str] = ()
) -> pl.DataFrame:
    """Read a Parquet file.

    Args:
        path: The file.
        required: Columns that must be there and hold text.
        optional: Columns that must hold text where they are there.

    Returns:
        The table in the file's order, those columns as String and the others as they are.

    Raises:
        InputError: If the file cannot be read or a column is missing or no text.
    """
    path = Path(path)
    check_file(path)
    try:
        table = pl.read_parquet(path, glob=False)
    except (pl.exceptions.PolarsError, OSError) as error:
        raise InputError(f"not a sound Parquet file: {error}", file=path) from None
    for name in required:
        if name not in table.columns:
            got, expected = ", ".join(table.columns), ", ".join(required)
            raise InputError(
                "column is missing", file=path, column=name, got=got, expected=expected
            )
    text = [name for name in [*required, *optional] if name in table.columns]
    for name in text:
        kind = table.schema[name]
        if not isinstance(kind, (pl.String, pl.Categorical, pl.Enum)):
            raise InputError(
                "column is not text", file=path, column=name, got=str(kind), expected="String"
            )
    return table.with_columns(pl.col(text).cast(pl.String))


def refuse(
    table: pl.DataFrame, bad: pl.Expr, what: str, *, file: Path, column: str, expected: str
) -> None:
    """Refuse a table at the first row where a condition holds.

    Args:
        table: Rows in the file's order.
        bad: A Boolean expression over `table`; null counts as true.
        what: What is wrong with such a row.
        file: Where the table was read from.
        column: The column whose value is shown.
        expected: What would have been right.

    Raises:
        InputError: With the place and the value of the first offending row.
    """
    index = table.select(bad.fill_null(True).arg_true().first()).item()
    if index is not None:
        value = table[column][index]
        raise InputError(
            what,
            file=file,
            row=index + FIRST_ROW,
            column=column,
            got="" if value is None else value,
            expected=expected,
        )


def _read_bytes(path: Path) -> bytes:
    """The file's bytes, unpacked where they are gzipped."""
    check_file(path)
    try:
        raw = path.read_bytes()
        if path.suffix == ".gz" or raw.startswith(b"\x1f\x8b"):
            raw = gzip.decompress(raw)
    except EOFError:
        raise InputError("gzip file is truncated", file=path) from None
    except (gzip.BadGzipFile, zlib.error) as error:
        raise InputError(f"not a sound gzip file: {error}", file=path) from None
    except OSError as error:
        raise InputError(f"cannot be read: {error.strerror}", file=path) from None
    if not raw.strip():
        raise InputError("file is empty", file=path, expected="a header and rows")
    return raw


def _check_text(raw: bytes, path: Path, separator: str) -> bytes:
    """`raw` with LF line ends and none at its end; refuses NUL bytes and other encodings."""
    raw = (raw.replace(b"\r\n", b"\n").replace(b"\r", b"\n") if b"\r" in raw else raw).rstrip(b"\n")
    try:
        raw.decode("utf-8")
    except UnicodeDecodeError as error:
        row, column = _place(raw, error.start, separator)
        got = raw[error.start : error.start + 1]
        raise InputError(
            "not UTF-8 text", file=path, row=row, column=column, got=got, expected="UTF-8"
        ) from None
    nul = raw.find(b"\0")
    if nul >= 0:
        row, column = _place(raw, nul, separator)
        raise InputError("NUL byte", file=path, row=row, column=column, expected="text")
    return raw


def _place(raw: bytes, offset: int, separator: str) -> tuple[int, str]:
    """The row of a byte and its column's name (its number, where the header has none)."""
    start = raw.rfind(b"\n", 0, offset) + 1
    number = raw.count(separator.encode(), start, offset)
    header = raw.partition(b"\n")[0].decode("utf-8", "replace").split(separator)
    row = raw.count(b"\n", 0, offset) + 1
    return row, header[number] if row > 1 and number < len(header) else str(number + 1)


def _check_header(raw: bytes, path: Path, required: Sequence[str], separator: str) -> list[str]:
    """The column names; refuses a missing or repeated one and a wrong delimiter."""
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
        raise InputError("column stands twice", file=path, row=1, column=repeated[0])
    return header


def _check_widths(raw: bytes, path: Path, width: int, separator: str) -> None:
    """Refuse a row with more or fewer values than the header, and an unclosed quote."""
    lines = io.StringIO(raw.decode(), newline="")
    reader = csv.reader(lines, delimiter=separator, strict=True)
    row = 0
    try:
        for row, values in enumerate(reader, start=1):
            if len(values) != width:
                raise InputError(
                    "ragged row",
                    file=path,
                    row=row,
                    got=f"{len(values)} values",
                    expected=f"{width}, as in the header",
                )
    except csv.Error as error:
        raise InputError(f"broken quoting: {error}", file=path, row=row + 1) from None
