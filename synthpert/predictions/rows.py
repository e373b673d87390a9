"""What a row of a prediction file must be: the columns, their types, and the checks."""

from __future__ import annotations

from typing import TYPE_CHECKING

import polars as pl

from synthpert.errors import InputError
from synthpert.questions import LABEL_DTYPE, LABELS
from synthpert.tables import FIRST_ROW, refuse

if TYPE_CHECKING:
    from collections.abc import Sequence
    from pathlib import Path

KEY = ("cell_line", "pert", "gene")
PROBABILITIES = ("p_not_de", "p_up", "p_down")
TEXT = ("reasoning", "response")
SUM_TOLERANCE = 1e-4

PREDICTION_SCHEMA = pl.Schema(
    {
        "cell_line": pl.String(),
        "pert": pl.String(),
        "gene": pl.String(),
        "label": LABEL_DTYPE,
        "answer": LABEL_DTYPE,
        "p_not_de": pl.Float64(),
        "p_up": pl.Float64(),
        "p_down": pl.Float64(),
        "reasoning": pl.String(),
        "response": pl.String(),
        "parse_status": pl.String(),
        "finish_reason": pl.String(),
        "n_samples": pl.Int64(),
        "mode": pl.String(),
        "model": pl.String(),
        "prompt_id": pl.String(),
        "seed": pl.Int64(),
        "run": pl.String(),
    }
)


def columns_to_read(columns: Sequence[str], path: Path, *, text: bool) -> list[str]:
    """Choose the columns of a file that are a prediction's, once those needed are there.

    Args:
        columns: The file's columns.
        path: The file, for the error.
        text: Whether to read `reasoning` and `response`.

    Returns:
        Names in the order of `PREDICTION_SCHEMA`.

    Raises:
        InputError: If a key column, or the answer and any of the probabilities, is missing.
    """
    names = set(columns) & set(PREDICTION_SCHEMA)
    given = names & set(PROBABILITIES)
    for name in (*KEY, *(PROBABILITIES if given else ())):
        if name not in names:
            raise InputError("column is missing", file=path, row=1, column=name)
    if not given and "answer" not in names:
        expected = f"'answer' or all of {', '.join(PROBABILITIES)}"
        raise InputError("column is missing", file=path, row=1, expected=expected)
    return [name for name in PREDICTION_SCHEMA if name in names and (text or name not in TEXT)]


def complete(table: pl.DataFrame) -> pl.DataFrame:
    """The schema's columns in its order and types, null where the table has none."""
    return table.select(
        (pl.col(name) if name in table.columns else pl.lit(None)).cast(dtype).alias(name)
        for name, dtype in PREDICTION_SCHEMA.items()
    )


def check_rows(table: pl.DataFrame, path: Path, first: int = FIRST_ROW) -> pl.DataFrame:
    """Check every row as it was read.

    Args:
        table: Some columns of `PREDICTION_SCHEMA` in the file's own types; from a text file, text.
        path: The file, for the error.
        first: The row of the file that the table begins with.

    Returns:
        All columns of `PREDICTION_SCHEMA` in its types; an empty cell is null.

    Raises:
        InputError: At the first value that does not fit its column, row without cell line,
            perturbation or gene, repeated question, or three numbers that are no distribution.
    """
    table = complete(pl.DataFrame([_typed(table[name], path, first) for name in table.columns]))
    for name in KEY:
        empty, odd = pl.col(name).is_null(), pl.col(name).str.contains("\0", literal=True)
        what = f"{name} is empty"
        refuse(table, empty, what, file=path, column=name, expected="a name", first=first)
        refuse(table, odd, "NUL byte", file=path, column=name, expected="text", first=first)
    _check_unique(table.select(KEY), path, first)
    _check_probabilities(table, path, first)
    return table


def _typed(raw: pl.Series, path: Path, first: int) -> pl.Series:
    """Cast a column to its type in the schema."""
    name, dtype = raw.name, PREDICTION_SCHEMA[raw.name]
    if raw.dtype == pl.String and name not in TEXT:
        raw = raw.replace("", None)
    expected = "a number" if dtype.is_numeric() else "text"
    if dtype == LABEL_DTYPE:
        expected = ", ".join(repr(label.value) for label in LABELS)
    try:
        typed = _cast(raw, dtype)
    except pl.exceptions.PolarsError:
        got = str(raw.dtype)
        raise InputError("wrong type", file=path, column=name, got=got, expected=expected) from None
    odd = pl.lit(raw.is_not_null() & typed.is_null())
    what = "wrong value"
    refuse(raw.to_frame(), odd, what, file=path, column=name, expected=expected, first=first)
    return typed


def _cast(raw: pl.Series, dtype: pl.DataType) -> pl.Series:
    """Cast, null where a value does not fit."""
    if dtype == pl.Int64 and not raw.dtype.is_integer():
        # other programs write the whole numbers of a column with gaps as 3.0
        raw = raw.cast(pl.Float64, strict=False)
    elif dtype == LABEL_DTYPE:
        raw = raw.cast(pl.String)
    return raw.cast(dtype, strict=False)


def _check_unique(key: pl.DataFrame, path: Path, first: int) -> None:
    repeats = (~key.select(pl.struct(KEY).is_first_distinct()).to_series()).arg_true()
    if len(repeats):
        question = key.row(repeats[0])
        same = key.rows().index(question) + first
        raise InputError(
            "question stands there twice",
            file=path,
            row=repeats[0] + first,
            got=", ".join(question),
            expected=f"one row per question; the first is row {same}",
        )


def _check_probabilities(table: pl.DataFrame, path: Path, first: int) -> None:
    """Each in [0, 1] and together 1, or all three null."""
    given = pl.any_horizontal(pl.col(PROBABILITIES).is_not_null())
    for name in PROBABILITIES:
        lone = given & pl.col(name).is_null()
        what, expected = "probability is missing", "all three or none"
        refuse(table, lone, what, file=path, column=name, expected=expected, first=first)
        outside = given & ~pl.col(name).is_between(0, 1)
        what, expected = "not a probability", "0 to 1"
        refuse(table, outside, what, file=path, column=name, expected=expected, first=first)
    total = " + ".join(PROBABILITIES)
    sums = table.select(pl.sum_horizontal(PROBABILITIES).alias(total), given=given)
    wrong = pl.col("given") & ((pl.col(total) - 1).abs() > SUM_TOLERANCE)
    what = "probabilities do not sum to 1"
    refuse(sums, wrong, what, file=path, column=total, expected="1", first=first)
