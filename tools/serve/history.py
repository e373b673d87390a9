"""What a session has asked, as a predictions file that every other command reads."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Final

import polars as pl

from synthpert.predictions import KEY, PREDICTION_SCHEMA, write_predictions

if TYPE_CHECKING:
    from collections.abc import Mapping
    from typing import Any

MOST: Final = 5_000
"""Questions that a session keeps; the oldest go first."""


def empty() -> pl.DataFrame:
    """The history of a session that has asked nothing."""
    return pl.DataFrame(schema=PREDICTION_SCHEMA)


def add(history: pl.DataFrame, answers: pl.DataFrame) -> pl.DataFrame:
    """Add answers to a history.

    A predictions file has a row for each question, so that of a question asked again, in another
    mode perhaps, the newest answer stays.

    Args:
        history: Columns of `PREDICTION_SCHEMA`, the oldest first.
        answers: The same.

    Returns:
        The history, no longer than `MOST`.
    """
    both = pl.concat([history, answers.select(PREDICTION_SCHEMA.names())])
    return both.unique(KEY, keep="last", maintain_order=True).tail(MOST)


def write(history: pl.DataFrame, folder: Path, record: Mapping[str, Any]) -> Path:
    """Write a history to be downloaded.

    Args:
        history: At least one row.
        folder: Where; a file of before is written over.
        record: How the answers came about.

    Returns:
        The file, as `synthpert.predictions.read_predictions` reads it.
    """
    path = folder / "predictions.csv"
    write_predictions(history, path, record)
    return path
