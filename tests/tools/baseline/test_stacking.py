"""The stack: what it combines, when weights are fitted, and which files it refuses."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import polars as pl
import pytest
from worlds import P, modules

from synthpert.errors import InputError
from synthpert.predictions import most_probable, write_predictions
from tools.baseline.materials import Materials
from tools.baseline.rows import predictions
from tools.baseline.stacking import stack


def spoken(questions: pl.DataFrame, certainty: float) -> pl.DataFrame:
    """Says the truth with some certainty; below a third it says something else."""
    labels = np.eye(3)[questions["label"].to_physical().to_numpy()]
    table = predictions(questions, labels * certainty + (1 - labels) * (1 - certainty) / 2)
    return table.with_columns(answer=most_probable(table))


def write(folder: Path, name: str, table: pl.DataFrame) -> Path:
    write_predictions(table, folder / name)
    return folder / name


def test_test_answers_alone_are_pooled_with_equal_weights(tmp_path: Path) -> None:
    train, test = modules()
    files = [write(tmp_path, f"{c}.csv", spoken(test, c)) for c in (0.8, 0.5)]
    table = stack(train, test, Materials(files=tuple(files)))
    one, other = (spoken(test, c).select(P).to_numpy() for c in (0.8, 0.5))
    pooled = np.sqrt(one * other)
    expected = pooled / pooled.sum(axis=1, keepdims=True)
    np.testing.assert_allclose(table.select(P).to_numpy(), expected)


def test_train_answers_teach_whom_to_believe(tmp_path: Path) -> None:
    train, test = modules()
    both = pl.concat([train, test])
    liar, truth = spoken(both, 0.1), spoken(both, 0.5)
    files = (write(tmp_path, "liar.csv", liar), write(tmp_path, "truth.csv", truth))
    table = stack(train, test, Materials(files=files))
    likeliest = table.select(P).to_numpy().argmax(axis=1)
    assert (likeliest == test["label"].to_physical().to_numpy()).all()


def test_a_missing_question_is_left_to_the_other_files(tmp_path: Path) -> None:
    train, test = modules()
    files = (
        write(tmp_path, "a.csv", spoken(test, 0.8)),
        write(tmp_path, "b.csv", spoken(test[1:], 0.8)),
    )
    table = stack(train, test, Materials(files=files))
    assert table.select(P).row(0) != table.select(P).row(1)
    assert table.select(P).to_numpy().argmax(axis=1)[0] == test["label"].to_physical()[0]


def test_a_question_of_no_split_is_refused(tmp_path: Path) -> None:
    train, test = modules()
    file = write(tmp_path, "a.csv", spoken(pl.concat([test, train[:1]]), 0.8))
    with pytest.raises(InputError, match=r"a\.csv: no question of this split"):
        stack(train[1:], test, Materials(files=(file,)))


def test_a_file_without_test_questions_is_refused(tmp_path: Path) -> None:
    train, test = modules()
    file = write(tmp_path, "a.csv", spoken(train, 0.8))
    with pytest.raises(InputError, match="answers no test question"):
        stack(train, test, Materials(files=(file,)))
