"""A prediction file read without being held: as a lazy table, or in checked pieces."""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

import polars as pl

from synthpert.errors import InputError
from synthpert.predictions.rows import KEY, PROBABILITIES, check_rows, columns_to_read
from synthpert.questions import LABEL_DTYPE, LABELS
from synthpert.tables import FIRST_ROW, check_file, read_text_chunks, read_text_table
from synthpert.text_checks import check_header

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence
    from pathlib import Path

BATCH: Final = 250_000
"""Rows of a piece: enough to be fast, few enough to be small."""
_CHUNK_BYTES: Final = 16 * 2**20
_NEEDED: Final = (*KEY, "label", "answer", *PROBABILITIES)


def scan(path: Path) -> pl.LazyFrame:
    """Open a prediction file; of its rows nothing is checked yet but that they are as wide as it.

    Args:
        path: A .parquet or .csv file (the latter also .csv.gz).

    Returns:
        The file's columns; those of a text file are all text.

    Raises:
        InputError: If there is no such file, its suffix is another, or it is text whose header is
            no table's or whose rows are of several widths.
    """
    _check_suffix(path)
    if path.suffix.lower() == ".parquet":
        return pl.scan_parquet(path, glob=False)
    # infer_schema off: all columns are text, so that a gene called NA or 1E5 stays what it is
    check_header(path, KEY)
    lazy = pl.scan_csv(path, infer_schema=False, glob=False)
    _refuse_short_rows(lazy, path)
    return lazy


def _check_suffix(path: Path) -> None:
    check_file(path)
    if not path.name.lower().endswith((".parquet", ".csv", ".csv.gz")):
        expected = ".parquet, .csv or .csv.gz"
        raise InputError("not a prediction file", file=path, expected=expected)


def _refuse_short_rows(lazy: pl.LazyFrame, path: Path) -> None:
    """Refuse a row that lacks values, which polars fills up as if they had been left empty."""
    try:
        last = pl.col(lazy.collect_schema().names()[-1])
        # In a row that is too short the last value is missing in any case.
        if not lazy.select(last.is_null().any()).collect(engine="streaming").item():
            return
    except (pl.exceptions.PolarsError, OSError) as error:
        raise unreadable(path, error) from None
    for _ in read_text_chunks(path, KEY, nul=True):
        pass


def unreadable(path: Path, error: Exception) -> InputError:
    """The error for a file that polars cannot read, with the place of the fault if it is text.

    Args:
        path: The file.
        error: What polars says.

    Raises:
        InputError: Where the place of the fault is known.
    """
    if path.suffix.lower() != ".parquet":
        # polars reads fast but says little about the place; this reader knows the row
        read_text_table(path, KEY)
    return InputError(f"cannot be read: {str(error).splitlines()[0]}", file=path)


def read_batches(path: Path, rows: int = BATCH) -> Iterator[pl.DataFrame]:
    """Read what a prediction file says of each question, in pieces, each row checked.

    As `synthpert.predictions.read_predictions` does, but in memory that does not grow with the
    file. That no question stands there twice is checked within a piece only.

    Args:
        path: A .parquet or .csv file (the latter also .csv.gz).
        rows: The most rows of a piece; a text file is cut by bytes.

    Yields:
        Columns cell_line, pert, gene, label, answer, p_not_de, p_up, p_down, in the file's order.

    Raises:
        InputError: As `read_predictions`.
    """
    for first, batch in _pieces(path, _NEEDED, rows):
        table = check_rows(batch, path, first)
        yield derive(table, from_probabilities="answer" not in batch.columns).select(_NEEDED)


def count_questions(path: Path) -> pl.DataFrame:
    """How many rows of a prediction file each perturbation has; nothing else is checked.

    Args:
        path: A .parquet or .csv file (the latter also .csv.gz).

    Returns:
        Columns cell_line, pert and rows (UInt64), in no order.

    Raises:
        InputError: If the file cannot be read, lacks a needed column or has no rows.
    """
    group = ["cell_line", "pert"]
    total = pl.DataFrame(schema={"cell_line": pl.String, "pert": pl.String, "rows": pl.UInt64})
    for _, batch in _pieces(path, group, BATCH):
        counts = batch.select(pl.col(group).cast(pl.String)).group_by(group).agg(rows=pl.len())
        every = pl.concat([total, counts.with_columns(pl.col("rows").cast(pl.UInt64))])
        total = every.group_by(group).agg(pl.sum("rows"))
    if total.is_empty():
        raise InputError("no rows", file=path, expected="one row per question")
    return total


def _pieces(path: Path, columns: Sequence[str], rows: int) -> Iterator[tuple[int, pl.DataFrame]]:
    """Some columns of a file as they stand there, and the row that each piece begins with."""
    if path.suffix.lower() != ".parquet":
        _check_suffix(path)
        # Not polars: it maps the whole file, and fills short rows up.
        for first, table in read_text_chunks(path, KEY, size=_CHUNK_BYTES, nul=True):
            wanted = columns_to_read(table.columns, path, text=False)
            yield first, table.select(name for name in wanted if name in columns)
        return
    first, lazy = FIRST_ROW, scan(path)
    try:
        wanted = columns_to_read(lazy.collect_schema().names(), path, text=False)
        some = lazy.select(name for name in wanted if name in columns)
        for batch in some.collect_batches(chunk_size=rows):
            yield first, batch
            first += batch.height
    except (pl.exceptions.PolarsError, OSError) as error:
        raise unreadable(path, error) from None


def derive(table: pl.DataFrame, *, from_probabilities: bool) -> pl.DataFrame:
    """Fill in the answer from the probabilities, or the probabilities from the answer.

    Args:
        table: As `check_rows` gives it.
        from_probabilities: Whether the file has no answers; otherwise probabilities that are
            missing become 1 for the answer and 0 for the others.
    """
    if from_probabilities:
        return table.with_columns(most_probable(table).alias("answer"))
    hard = pl.col("p_not_de").is_null() & pl.col("answer").is_not_null()
    return table.with_columns(
        pl.when(hard)
        .then((pl.col("answer") == label.value).cast(pl.Float64))
        .otherwise(pl.col(name))
        .alias(name)
        for name, label in zip(PROBABILITIES, LABELS, strict=True)
    )


def most_probable(table: pl.DataFrame) -> pl.Series:
    """The most probable label of each row; when tied, the first in the order of `LABELS`.

    Args:
        table: Columns p_not_de, p_up, p_down.

    Returns:
        Labels, null where the probabilities are.
    """
    not_de, up, down = (pl.col(name) for name in PROBABILITIES)
    texts = [pl.lit(label.value, dtype=LABEL_DTYPE) for label in LABELS]
    best = (
        pl.when((not_de >= up) & (not_de >= down))
        .then(texts[0])
        .when(up >= down)
        .then(texts[1])
        .when(down > up)
        .then(texts[2])
    )
    return table.select(best.alias("answer")).to_series()
