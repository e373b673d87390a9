"""`predict --probe`: a real tiny model is asked with names exchanged, beside its real answers."""

from __future__ import annotations

import os
from collections.abc import Iterator
from pathlib import Path

import polars as pl
import pytest
from cli_recipe import recipe, write

from synthpert import student
from synthpert.__main__ import main
from synthpert.predictions import read_predictions
from synthpert.predictions.records import read_record
from synthpert.probes import probed
from synthpert.questions import KEY, Question, read_questions, split_questions, to_questions

LAST = ["--config", "recipe.yaml", "--run", "runs/a", "--ckpt_path", "last"]
RUN = Path("runs/a")


@pytest.fixture(scope="module")
def lab(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Path]:
    """A folder with a run `runs/a` that was trained and tested there, on two cell lines."""
    folder = tmp_path_factory.mktemp("lab")
    before = Path.cwd()
    os.chdir(folder)
    settings = recipe()
    settings["data"]["init_args"]["cell_lines"] = ["k562", "rpe1"]
    settings["model"]["decoding"]["max_new_tokens"] = 2
    write(folder / "recipe.yaml", settings)
    assert main(["fit", "--config", "recipe.yaml", "--run", "runs/a"]) == 0
    assert main(["test", *LAST]) == 0
    yield folder
    os.chdir(before)


@pytest.fixture(autouse=True)
def _there(lab: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(lab)


@pytest.fixture
def asked(monkeypatch: pytest.MonkeyPatch) -> list[Question]:
    """Whatever the student is asked, as it is asked."""
    heard: list[Question] = []
    answer = student.answer

    def listening(*args: object, **options: object) -> pl.DataFrame:
        heard.extend(args[2])  # type: ignore[arg-type]
        return answer(*args, **options)  # type: ignore[arg-type]

    monkeypatch.setattr(student, "answer", listening)
    return heard


def test_the_model_is_asked_with_the_names_of_the_probe(asked: list[Question]) -> None:
    real = (RUN / "predictions.parquet").read_bytes()
    assert main(["predict", *LAST, "--probe", "swapped-perturbation"]) == 0
    test = split_questions(read_questions(cell_lines=["k562", "rpe1"]))[1]
    assert asked == to_questions(probed(test, "swapped-perturbation", test))
    table = read_predictions(RUN / "predict" / "swapped-perturbation" / "predictions.parquet")
    assert table.select(KEY).equals(test.select(KEY))
    assert table["label"].equals(test["label"])
    assert set(table["model"]) == {"scratch/swapped-perturbation"}
    assert (RUN / "predictions.parquet").read_bytes() == real


def test_the_record_names_the_probe_and_the_decoding(asked: list[Question]) -> None:
    assert main(["test", *LAST, "--probe", "masked-gene"]) == 0
    assert all(each.pert.startswith("GENE") and each.gene.startswith("GENE") for each in asked)
    record = read_record(RUN / "masked-gene" / "predictions.parquet")
    assert (record["probe"], record["model"]) == ("masked-gene", "scratch/masked-gene")
    assert record["decoding"]["temperature"] == 0.0
    assert read_record(RUN / "predictions.parquet")["probe"] is None


def test_an_unknown_probe_is_one_line() -> None:
    assert main(["predict", *LAST, "--probe", "upside-down"]) == 2


def test_training_has_no_probe() -> None:
    assert main(["fit", "--config", "recipe.yaml", "--run", "runs/b", "--probe", "x"]) == 2
