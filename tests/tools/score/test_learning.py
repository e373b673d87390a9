"""The learning curve: scores by training examples, as the records tell them."""

from __future__ import annotations

import json
from pathlib import Path

import pytest
from test_score import SAMPLE, score

from synthpert.predictions import write_predictions
from synthpert.questions import read_questions, split_questions
from tools.baseline import answer
from tools.score.learning import learning_curve
from tools.score.scoring import score_files


def files(folder: Path, *counts: int | None) -> list[str]:
    table = answer("gene-prior", *split_questions(read_questions(SAMPLE)))
    paths = []
    for number, count in enumerate(counts):
        path = folder / f"student{number}.parquet"
        record = {"system": "student"} | ({"train_examples": count} if count else {})
        write_predictions(table, path, record)
        paths.append(str(path))
    return paths


def test_systems_stand_in_the_order_of_their_training_examples(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    score(*files(tmp_path, 2000, 500, None), "--json", tmp_path / "score.json")
    curve = json.loads((tmp_path / "score.json").read_text())["learning_curve"]
    assert [(row["train_examples"], row["system"]) for row in curve] == [
        (500, "student1"),
        (2000, "student0"),
    ]
    assert "Learning curve" in capsys.readouterr().out


@pytest.mark.parametrize("counts", [(), (500,), (500, 500), (500, None)])
def test_without_two_counts_there_is_no_curve(
    tmp_path: Path, counts: tuple[int | None, ...]
) -> None:
    paths = files(tmp_path, *counts) or files(tmp_path, None)
    scored = score_files(paths, data=str(SAMPLE), rounds=0)
    assert learning_curve(scored.systems.values()) == []
