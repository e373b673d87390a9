"""The prediction file that `test` and `predict` leave."""

from __future__ import annotations

import logging
from pathlib import Path

import polars as pl
import pytest
import torch
from fake_student import FakeData, FakeStudent, make_trainer, question_table
from lightning.fabric.utilities import move_data_to_device
from sklearn.metrics import accuracy_score

from callbacks.prediction_writer import PredictionWriter
from synthpert.errors import InputError
from synthpert.predictions import PREDICTION_SCHEMA, read_predictions
from synthpert.predictions.records import read_record
from synthpert.questions import Question

KEY = ["cell_line", "pert", "gene"]


def test_a_test_writes_every_question_in_order(tmp_path: Path) -> None:
    make_trainer(tmp_path, PredictionWriter()).test(FakeStudent(), FakeData(), verbose=False)
    table = pl.read_parquet(tmp_path / "predictions.parquet")
    assert table.schema == PREDICTION_SCHEMA
    assert table.select(*KEY, "label").equals(question_table())
    assert table["run"].unique().to_list() == [tmp_path.name]
    assert [path.name for path in tmp_path.iterdir()] == ["predictions.parquet"]


def test_test_reports_the_figures_of_the_file(tmp_path: Path) -> None:
    trainer = make_trainer(tmp_path, PredictionWriter())
    (figures,) = trainer.test(FakeStudent(), FakeData(), verbose=False)
    table = read_predictions(tmp_path / "predictions.parquet")
    answers = table["answer"].cast(pl.String).fill_null("none")
    assert figures["test_accuracy"] == pytest.approx(
        accuracy_score(table["label"].cast(pl.String), answers)
    )
    assert figures["test_majority_accuracy"] == pytest.approx(0.6)


def test_predict_writes_without_lightning_holding_a_second_copy(tmp_path: Path) -> None:
    trainer = make_trainer(tmp_path, PredictionWriter())
    assert trainer.predict(FakeStudent(), FakeData()) is None
    assert read_predictions(tmp_path / "predict" / "predictions.parquet").height == 480


def test_unlabelled_questions_are_written_without_figures(
    tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    table = question_table(perts=1)
    table = table.with_columns(label=pl.lit(None, dtype=table["label"].dtype))
    with caplog.at_level(logging.INFO, "callbacks"):
        make_trainer(tmp_path, PredictionWriter()).predict(FakeStudent(), FakeData(table))
    assert (
        read_predictions(tmp_path / "predict" / "predictions.parquet")["label"].null_count() == 40
    )
    assert [r.getMessage() for r in caplog.records if r.name == "callbacks.prediction_writer"] == [
        f"40 predictions lie in {tmp_path / 'predict' / 'predictions.parquet'}"
    ]


def test_one_line_says_where_it_lies_beside_the_majority(
    tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    with caplog.at_level(logging.INFO, "callbacks"):
        make_trainer(tmp_path, PredictionWriter()).test(FakeStudent(), FakeData(), verbose=False)
    (line,) = [r.getMessage() for r in caplog.records if r.name == "callbacks.prediction_writer"]
    assert line.startswith(f"480 predictions lie in {tmp_path / 'predictions.parquet'}: accuracy 0")
    assert "(majority class 0.6000), macro-F1 0." in line


def test_a_path_of_ones_own_is_taken(tmp_path: Path) -> None:
    path = tmp_path / "elsewhere" / "mine.csv"
    make_trainer(tmp_path / "run", PredictionWriter(str(path))).test(
        FakeStudent(), FakeData(), verbose=False
    )
    assert read_predictions(path).height == 480


def test_a_second_pass_replaces_the_first(tmp_path: Path) -> None:
    writer = PredictionWriter()
    for perts in (2, 1):
        trainer = make_trainer(tmp_path, writer)
        trainer.test(FakeStudent(), FakeData(question_table(perts=perts)), verbose=False)
    assert read_predictions(tmp_path / "predictions.parquet").height == 40


def test_questions_answered_twice_are_kept_once_and_counted(
    tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    class Repeats(FakeStudent):
        def on_test_batch_end(self, outputs: object, batch: object, batch_idx: int) -> None:
            self.trainer.callbacks[0].on_test_batch_end(self.trainer, self, outputs, batch, 0)

    with caplog.at_level(logging.WARNING, "callbacks"):
        make_trainer(tmp_path, PredictionWriter()).test(Repeats(), FakeData(), verbose=False)
    assert read_predictions(tmp_path / "predictions.parquet").height == 480
    assert "480 questions were answered by two ranks" in caplog.text


def test_an_unknown_suffix_is_refused(tmp_path: Path) -> None:
    trainer = make_trainer(tmp_path, PredictionWriter(str(tmp_path / "predictions.xlsx")))
    with pytest.raises(InputError, match=r"\.parquet or \.csv"):
        trainer.test(FakeStudent(), FakeData(), verbose=False)


def test_lightning_still_cannot_move_questions_to_a_device() -> None:
    # Why data modules keep batches of questions from it; when this fails, they need not
    with pytest.raises(ValueError, match="frozen dataclass"):
        move_data_to_device([Question("k562", "AARS", "A2M")], torch.device("cpu"))


def test_the_record_says_how_many_examples_the_student_was_trained_on(tmp_path: Path) -> None:
    writer = PredictionWriter()
    trainer = make_trainer(tmp_path, writer)
    writer.on_load_checkpoint(trainer, FakeStudent(), {"terms": {"examples": 1234}})
    trainer.test(FakeStudent(), FakeData(), verbose=False)
    assert read_record(tmp_path / "predictions.parquet")["train_examples"] == 1234
