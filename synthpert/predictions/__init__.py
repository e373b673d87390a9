"""Predictions: the answer and class probabilities for each question, and their file.

Whatever answers the benchmark's questions writes this file; scoring and reporting read nothing
else. Text is never guessed: a gene called NA stays a gene, an unread answer is null.
"""

from __future__ import annotations

import logging
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final

import polars as pl

from synthpert.errors import InputError
from synthpert.files import whole_file
from synthpert.predictions.records import METADATA_KEY, to_json, write_beside
from synthpert.predictions.rows import (
    KEY,
    PREDICTION_SCHEMA,
    PROBABILITIES,
    check_rows,
    columns_to_read,
    complete,
)
from synthpert.predictions.scanning import derive, most_probable, scan, unreadable

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping

__all__ = [
    "KEY",
    "PREDICTION_SCHEMA",
    "PROBABILITIES",
    "SUFFIXES",
    "check_suffix",
    "is_soft",
    "most_probable",
    "read_predictions",
    "uniform_where_missing",
    "write_predictions",
]

log = logging.getLogger(__name__)

SUFFIXES: Final = (".parquet", ".csv")


def write_predictions(
    table: pl.DataFrame, path: Path | str, record: Mapping[str, Any] | None = None
) -> None:
    """Write a prediction file whole or not at all.

    Args:
        table: Columns of `PREDICTION_SCHEMA`; those it lacks are written as nulls.
        path: Ends in .parquet or .csv; its folder is made where needed.
        record: How they were made, for `synthpert.predictions.records.read_record`.

    Raises:
        InputError: If the path ends otherwise, or cannot be written.
        ValueError: If the table has a column that the schema has not.
    """
    path = Path(path)
    metadata = {METADATA_KEY: to_json(record)} if record else None
    check_suffix(path)
    writers: dict[str, Callable[[pl.DataFrame, str], object]] = {
        ".parquet": lambda frame, file: frame.write_parquet(file, metadata=metadata),
        ".csv": lambda frame, file: frame.write_csv(file),
    }
    unknown = sorted(set(table.columns) - set(PREDICTION_SCHEMA))
    if unknown:
        raise ValueError(f"not columns of a prediction: {', '.join(unknown)}")
    with whole_file(path) as place:
        writers[path.suffix](complete(table), str(place))
    if path.suffix == ".csv":
        write_beside(record or {}, path)


def check_suffix(path: Path) -> None:
    """Refuse a name that predictions cannot be written under; before the long work.

    Args:
        path: Where they are to be written.

    Raises:
        InputError: If it ends otherwise than in .parquet or .csv.
    """
    if path.suffix not in SUFFIXES:
        raise InputError(
            "predictions are written by suffix", file=path, expected=" or ".join(SUFFIXES)
        )


def read_predictions(path: Path | str, *, text: bool = True) -> pl.DataFrame:
    """Read a prediction file, ours or somebody else's, and check every row.

    Needed are cell_line, pert, gene and either `answer` or all of p_not_de, p_up, p_down. Where
    the file has only one of the two, the other is derived: the answer is the most probable class
    (the first in the order of `LABELS` when tied), the probabilities are 1 for the answer and 0
    for the others. A row without either is an answer that could not be read, and stays null.

    Args:
        path: A .parquet or .csv file (the latter also .csv.gz).
        text: Whether to read the columns `reasoning` and `response`, which make up most of a
            file and which no score needs. Without them, both are null.

    Returns:
        The columns of `PREDICTION_SCHEMA` in the order of the file's rows; other columns are
        left out, and logged.

    Raises:
        InputError: If the file cannot be read, lacks a needed column, has no rows, or a row has no
            cell line, perturbation or gene, an unknown label, a wrong probability, or stands there
            twice.
    """
    path = Path(path)
    raw = scan(path)
    try:
        columns = raw.collect_schema().names()
        wanted = columns_to_read(columns, path, text=text)
        table = raw.select(wanted).collect()
    except (pl.exceptions.PolarsError, OSError) as error:
        raise unreadable(path, error) from None
    if table.is_empty():
        raise InputError("no rows", file=path, expected="one row per question")
    table = check_rows(table, path)
    others = [name for name in columns if name not in PREDICTION_SCHEMA]
    if others:
        log.info("%s: columns left out: %s", path, ", ".join(others))
    return derive(table, from_probabilities="answer" not in wanted)


def uniform_where_missing(table: pl.DataFrame) -> pl.DataFrame:
    """The declared rule for a question without an answer, whether unread or not in the file.

    It stays null, hence wrong for accuracy, and all three classes get the probability 1/3
    (whatever the file says), hence the scores 2/3 for differential expression and 1/2 for the
    direction.

    Args:
        table: Columns answer, p_not_de, p_up, p_down.

    Returns:
        The table with these probabilities.
    """
    return table.with_columns(
        pl.when(pl.col("answer").is_null()).then(1 / 3).otherwise(pl.col(name)).alias(name)
        for name in PROBABILITIES
    )


def is_soft(table: pl.DataFrame) -> bool:
    """Whether any row has a probability other than 0 and 1.

    Hard answers have a single point on the ROC curve, so that their AUROC is not comparable with
    that of graded probabilities.
    """
    return bool(
        table.select(pl.any_horizontal(pl.col(PROBABILITIES).is_between(0, 1, "none")))
        .to_series()
        .any()
    )
