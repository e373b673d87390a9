"""Predictions laid beside the questions that they are to answer."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np
import polars as pl

from synthpert.errors import InputError
from synthpert.predictions import KEY, PROBABILITIES, uniform_where_missing
from synthpert.tables import FIRST_ROW

if TYPE_CHECKING:
    from pathlib import Path

    from numpy.typing import NDArray


def answer_questions(
    questions: pl.DataFrame, predictions: pl.DataFrame, file: Path | str | None = None
) -> pl.DataFrame:
    """Lay predictions beside the questions they are to answer.

    Args:
        questions: One row per question: cell_line, pert, gene, label.
        predictions: As `predictions.read_predictions` returns them.
        file: Where they were read from, for the error.

    Returns:
        One row per question: its columns, `answer`, the three probabilities by which it is
        scored (see `uniform_where_missing`) and `found`, whether there is a prediction.

    Raises:
        InputError: If a prediction is for none of the questions, or has another label than the
            benchmark gives to its question.
    """
    answers = predictions.select(*KEY, "answer", *PROBABILITIES, found=pl.lit(True))
    asked = questions.select(*KEY, "label")
    table = asked.join(answers, on=KEY, how="left", maintain_order="left")
    table = table.with_columns(pl.col("found").fill_null(False))
    if table["found"].sum() < len(predictions) or predictions["label"].count():
        _check_questions(asked, predictions, file)
    return uniform_where_missing(table)


def _check_questions(
    asked: pl.DataFrame, predictions: pl.DataFrame, file: Path | str | None
) -> None:
    told = predictions.select(*KEY, told="label")
    both = told.join(asked, on=KEY, how="left", maintain_order="left")
    unknown = both["label"].is_null().arg_true()
    if len(unknown):
        raise InputError(
            "not a question of this split's test set",
            file=file,
            row=unknown[0] + FIRST_ROW,
            got=", ".join(both.row(unknown[0])[: len(KEY)]),
            expected=f"one of its {len(asked):,} questions",
        )
    other = (both["told"] != both["label"]).arg_true()
    if len(other):
        raise InputError(
            "label contradicts the benchmark",
            file=file,
            row=other[0] + FIRST_ROW,
            column="label",
            got=both["told"][other[0]],
            expected=both["label"][other[0]],
        )


def label_numbers(table: pl.DataFrame) -> NDArray[np.int64]:
    """The labels in the order of `questions.LABELS`.

    Args:
        table: Column label.

    Returns:
        Shape (N,), values 0, 1, 2.
    """
    return table["label"].to_physical().cast(pl.Int64).to_numpy()


def answer_numbers(table: pl.DataFrame) -> NDArray[np.int64]:
    """The answers in the order of `questions.LABELS`.

    Args:
        table: Column answer.

    Returns:
        Shape (N,), values 0, 1, 2, or -1 where there is none.
    """
    return table["answer"].to_physical().cast(pl.Int64).fill_null(-1).to_numpy()


def direction_score(probabilities: NDArray[np.float64]) -> NDArray[np.float64]:
    """The score by which the direction is ranked.

    Args:
        probabilities: Shape (N, 3), in the order of `questions.LABELS`.

    Returns:
        Shape (N,): p_up / (p_up + p_down), or 0.5 where both are 0.
    """
    up, down = probabilities[:, 1], probabilities[:, 2]
    either = up + down
    score: NDArray[np.float64] = np.divide(up, either, out=np.full(len(up), 0.5), where=either > 0)
    return score


def likely_right(
    probabilities: NDArray[np.float64], answers: NDArray[np.int64], labels: NDArray[np.int64]
) -> NDArray[np.bool_]:
    """Whether the most probable class is the true one; never so without an answer.

    Args:
        probabilities: Shape (N, 3).
        answers: Shape (N,), -1 where there is none.
        labels: Shape (N,).
    """
    right: NDArray[np.bool_] = (probabilities.argmax(axis=1) == labels) & (answers >= 0)
    return right
