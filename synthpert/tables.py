"""Text tables (CSV, TSV; also gzipped): read fast, and to the row when something is wrong.

Every value is read as text, so that a gene called NA, TRUE or 1E5 stays what it is.
"""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Final

import polars as pl

from synthpert.errors import InputError
from synthpert.text_checks import check_columns, check_text, check_widths
from synthpert.text_chunks import CHUNK_BYTES, check_file, text_chunks

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

FIRST_ROW: Final = 2  # the header is row 1, as in a spreadsheet
ROWS_AT_ONCE: Final = 131_072
"""Rows of a Parquet file that are read at a time."""


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
    chunks = read_text_chunks(path, required, separator)
    return pl.concat([table for _, table in chunks], rechunk=True)


def read_text_chunks(
    path: Path | str,
    required: Sequence[str],
    separator: str = ",",
    size: int = CHUNK_BYTES,
    *,
    nul: bool = False,
) -> Iterator[tuple[int, pl.DataFrame]]:
    """Read a delimited text file of any size, as `read_text_table` does, a piece at a time.

    Args:
        path: As there.
        required: As there.
        separator: As there.
        size: Bytes to read at a time.
        nul: Whether a NUL byte may stand in it, as in what a model wrote.

    Yields:
        The row of the file that each piece begins with, and the piece; at least one.

    Raises:
        InputError: As there, once what is wrong is reached.
    """
    path = Path(path)
    header, before = b"", 0
    for raw in text_chunks(path, separator, size):
        raw = header + raw
        check_text(raw, path, separator, before, nul=nul)
        if not header:
            width = len(check_columns(raw, path, required, separator))
            header = raw.partition(b"\n")[0] + b"\n"
        table = _parse(raw, path, separator, width, before)
        yield before + FIRST_ROW, table
        before += table.height


def _parse(raw: bytes, path: Path, separator: str, width: int, before: int) -> pl.DataFrame:
    """The table of a header and rows, all as wide as it."""
    # Together with polars, which refuses a row that is too wide, equal totals mean equal rows;
    # only quotes (a separator or a line end inside a value) ask for a reading row by row.
    rows = raw.count(b"\n") + 1
    if b'"' in raw or raw.count(separator.encode()) != (width - 1) * rows:
        check_widths(raw, path, width, separator, before)
    try:
        return pl.read_csv(raw, separator=separator, infer_schema=False)
    except pl.exceptions.PolarsError as error:
        check_widths(raw, path, width, separator, before)
        raise InputError(f"unreadable table: {error}", file=path) from None


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
    chunks = read_parquet_chunks(path, required, optional)
    return pl.concat([table for _, table in chunks], rechunk=True)


def read_parquet_chunks(
    path: Path | str,
    required: Sequence[str],
    optional: Sequence[str] = (),
    size: int = ROWS_AT_ONCE,
) -> Iterator[tuple[int, pl.DataFrame]]:
    """Read a Parquet file of any size, as `read_parquet_table` does, some rows at a time.

    Args:
        path: As there.
        required: As there.
        optional: As there.
        size: Rows to read at a time.

    Yields:
        The row of the file that each piece begins with (the first is row 2, as in a text file),
        and the piece; at least one.

    Raises:
        InputError: As there.
    """
    path = Path(path)
    check_file(path)
    before = 0
    try:
        lazy = pl.scan_parquet(path, glob=False)
        text = _text_columns(lazy.collect_schema(), path, required, optional)
        lazy = lazy.with_columns(pl.col(text).cast(pl.String))
        for table in lazy.collect_batches(chunk_size=size, maintain_order=True):
            yield before + FIRST_ROW, table
            before += table.height
        if not before:
            yield FIRST_ROW, lazy.collect()
    except (pl.exceptions.PolarsError, OSError) as error:
        raise InputError(f"not a sound Parquet file: {error}", file=path) from None


def _text_columns(
    schema: pl.Schema, path: Path, required: Sequence[str], optional: Sequence[str]
) -> list[str]:
    """The columns to be read as text; refuses a missing one and one of another type."""
    for name in required:
        if name not in schema:
            got, expected = ", ".join(schema), ", ".join(required)
            raise InputError(
                "column is missing", file=path, column=name, got=got, expected=expected
            )
    text = [name for name in [*required, *optional] if name in schema]
    for name in text:
        kind = schema[name]
        if not isinstance(kind, (pl.String, pl.Categorical, pl.Enum)):
            raise InputError(
                "column is not text", file=path, column=name, got=str(kind), expected="String"
            )
    return text


def refuse(
    table: pl.DataFrame,
    bad: pl.Expr,
    what: str,
    *,
    file: Path,
    column: str,
    expected: str,
    first: int = FIRST_ROW,
) -> None:
    """Refuse a table at the first row where a condition holds.

    Args:
        table: Rows in the file's order.
        bad: A Boolean expression over `table`; null counts as true.
        what: What is wrong with such a row.
        file: Where the table was read from.
        column: The column whose value is shown.
        expected: What would have been right.
        first: The row of the file that `table` begins with.

    Raises:
        InputError: With the place and the value of the first offending row.
    """
    index = table.select(bad.fill_null(True).arg_true().first()).item()
    if index is not None:
        value = table[column][index]
        raise InputError(
            what,
            file=file,
            row=index + first,
            column=column,
            got="" if value is None else value,
            expected=expected,
        )
