"""The history of a session is a predictions file."""

from __future__ import annotations

from pathlib import Path

import pytest
from serve_pages import prediction

from synthpert.predictions import PREDICTION_SCHEMA, read_predictions
from synthpert.questions import Question
from tools.serve import history

ONE, OTHER = Question("k562", "T0", "G0"), Question("k562", "T1", "G0")


def test_of_a_question_asked_again_the_newest_answer_stays() -> None:
    kept = history.empty()
    for question, text in ((ONE, "first"), (OTHER, "other"), (ONE, "second")):
        kept = history.add(kept, prediction(question, text))
    assert kept["response"].to_list() == ["other", "second"]


def test_it_is_read_back_as_it_was_written(tmp_path: Path) -> None:
    kept = history.add(history.empty(), prediction(ONE, 'He said "up",\nthen <b>left</b>.'))
    path = history.write(kept, tmp_path / "new", {"by": "serve"})
    assert path.name == "predictions.csv"
    assert read_predictions(path).equals(kept)
    assert kept.schema == PREDICTION_SCHEMA


def test_the_oldest_go_when_there_are_too_many(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(history, "MOST", 2)
    kept = history.empty()
    for name in ("P0", "P1", "P2"):
        kept = history.add(kept, prediction(Question("k562", name, "G"), "x"))
    assert kept["pert"].to_list() == ["P1", "P2"]
