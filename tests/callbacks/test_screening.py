"""`predict` in parts: with a student that answers at once, and the real data module."""

from __future__ import annotations

import logging
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import lightning as L
import numpy as np
import polars as pl
import pytest
from fake_student import make_trainer
from tiny import write_benchmark

from callbacks.prediction_record import figures_of, how_decoded, where_it_lies
from callbacks.prediction_writer import PredictionWriter
from callbacks.screening import Screening
from callbacks.screening_plan import Tried, expected, how, several, try_out
from data_modules.tuples import TupleDataModule
from synthpert.errors import StoppedError
from synthpert.holding import hold, release
from synthpert.predictions.rows import complete
from synthpert.screening import parts
from synthpert.student import Student


class Instant(Student):
    """Answers at once, and raises before the batch of a number."""

    def __init__(self, stops_at: int = -1) -> None:
        super().__init__("none", "compact")
        self.stops_at = stops_at
        self.asked: list[str] = []

    def configure_model(self) -> None:
        """No weights."""

    def predict_step(self, batch: dict[str, Any], batch_idx: int) -> dict[str, pl.DataFrame]:
        if batch_idx == self.stops_at:
            raise KeyboardInterrupt
        if "block" in batch:  # those that are tried out are thrown away
            self.asked += batch["questions"]["gene"].to_list()
        answers = batch["questions"].with_columns(answer=pl.lit("upregulated"))
        return {"predictions": complete(answers)}


@pytest.fixture
def mine(tmp_path: Path) -> Path:
    lines = [f"{i},k562,P,G{i}" for i in range(25)]
    (tmp_path / "mine.csv").write_text("\n".join(["index,cell_line,pert,gene", *lines]) + "\n")
    return tmp_path / "mine.csv"


def predict(folder: Path, student: Student, **options: Any) -> Path:
    limits = {name: options.pop(name) for name in list(options) if name.startswith("limit")}
    data = TupleDataModule(eval_batch_size=2, part_size=5, **options)
    trainer = make_trainer(folder / "run", PredictionWriter(str(folder / "out.parquet")), **limits)
    trainer.predict(student, data)
    return folder / "out.parquet"


def test_answers_stand_in_the_users_order_beside_his_columns(tmp_path: Path, mine: Path) -> None:
    table = pl.read_parquet(predict(tmp_path, Instant(), questions=mine))
    assert table["index"].to_list() == [str(i) for i in range(25)]
    assert table["gene"].to_list() == [f"G{i}" for i in range(25)]
    assert table["run"].unique().to_list() == ["run"]
    assert sorted(x.name for x in tmp_path.iterdir()) == ["mine.csv", "out.parquet"]


def test_what_was_answered_before_a_stop_is_not_asked_again(
    tmp_path: Path, mine: Path, caplog: pytest.LogCaptureFixture
) -> None:
    first, second = Instant(stops_at=8), Instant()
    with pytest.raises(SystemExit):
        predict(tmp_path, first, questions=mine)
    assert "stopped: 2 of 5 parts kept" in caplog.text
    with caplog.at_level(logging.INFO, "callbacks"):
        table = pl.read_parquet(predict(tmp_path, second, questions=mine))
    assert second.asked == [f"G{i}" for i in range(10, 25)]
    assert "25 questions in 5 parts, 10 of them answered before" in caplog.text
    whole = predict(tmp_path / "alone", Instant(), questions=mine)
    assert table.equals(pl.read_parquet(whole))


def test_a_finished_file_is_not_asked_for_again(
    tmp_path: Path, mine: Path, caplog: pytest.LogCaptureFixture
) -> None:
    before = predict(tmp_path, Instant(), questions=mine).read_bytes()
    again = Instant()
    with caplog.at_level(logging.INFO, "callbacks"):
        assert predict(tmp_path, again, questions=mine).read_bytes() == before
    assert again.asked == []
    assert "done before" in caplog.text


def test_a_limit_keeps_whole_parts_for_the_next_time(
    tmp_path: Path, mine: Path, caplog: pytest.LogCaptureFixture
) -> None:
    with caplog.at_level(logging.INFO, "callbacks"):
        place = predict(tmp_path, Instant(), questions=mine, limit_predict_batches=4)
    assert not place.exists()
    assert "1 of 5 parts kept" in caplog.text
    assert len(parts.good_parts(place)) == 1


def test_a_second_process_is_kept_out(tmp_path: Path, mine: Path) -> None:
    held = hold(parts.lock_path(tmp_path / "out.parquet"), mine, "busy")
    with pytest.raises(StoppedError, match="another process writes these predictions"):
        predict(tmp_path, Instant(), questions=mine)
    release(held)
    assert predict(tmp_path, Instant(), questions=mine).exists()


def test_the_test_split_is_asked_where_nothing_else_is_and_scored(
    tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    data = write_benchmark(tmp_path / "data")
    with caplog.at_level(logging.INFO, "callbacks"):
        table = pl.read_parquet(predict(tmp_path, Instant(), data=data))
    right = (table["label"].cast(pl.String) == "upregulated").mean()
    assert f"{table.height} predictions lie in" in caplog.text
    assert f"accuracy {right:.4f}" in caplog.text


def test_answers_to_other_questions_are_never_written(tmp_path: Path, mine: Path) -> None:
    class Mixed(Instant):
        def predict_step(self, batch: dict[str, Any], batch_idx: int) -> dict[str, pl.DataFrame]:
            return {"predictions": super().predict_step(batch, 0)["predictions"].reverse()}

    with pytest.raises(RuntimeError, match="answers of part 0 are to other questions"):
        predict(tmp_path, Mixed(), questions=mine)


def test_a_screen_is_told_by_all_that_decides_its_answers(tmp_path: Path, mine: Path) -> None:
    def known(student: Student, checkpoint: Path | None = None) -> dict[str, Any]:
        data = TupleDataModule(questions=mine)
        return Screening(tmp_path / "out.parquet", data, student)._identity(checkpoint)

    other = Student("none", "short")
    (tmp_path / "c.ckpt").write_bytes(b"weights")
    assert known(Instant()) == known(Instant())
    assert known(other)["prompt_id"] != known(Instant())["prompt_id"]
    assert known(other, tmp_path / "c.ckpt")["checkpoint"] != known(other)["checkpoint"]
    assert "batch_size" not in known(other)["decoding"]


def test_the_plan_says_time_rate_and_disk(tmp_path: Path) -> None:
    trainer: Any = SimpleNamespace(world_size=2)
    line = expected(Tried(0.5, 1000.0), 7200, 10_000, tmp_path / "out.parquet", trainer)
    assert line.startswith(": about 30 min at 4 questions/s, 20 MB of disk (")
    assert "too little" in expected(Tried(1.0, 1e15), 1, 1000, tmp_path / "out.parquet", trainer)
    assert expected(None, 7200, 10_000, tmp_path, trainer) == ""
    assert how(Instant(), trainer) == "mode reason, engine hf, 2 processes"
    assert [several(1), several(2000)] == ["1 part", "2,000 parts"]


def test_few_questions_are_answered_without_a_trial(tmp_path: Path) -> None:
    trainer = L.Trainer(accelerator="cpu", logger=False, enable_checkpointing=False)
    some = pl.DataFrame({"cell_line": ["k"] * 8, "pert": ["P"] * 8, "gene": ["G"] * 8})
    assert try_out(Instant(), some, 31, 8, trainer) is None
    assert try_out(Instant(), None, 1000, 8, trainer) is None
    tried = try_out(Instant(), some, 32, 8, trainer)
    assert tried is not None
    assert tried.seconds > 0


def test_the_record_tells_how_a_student_decodes_and_what_its_file_holds() -> None:
    assert how_decoded(Instant())["mode"] == "reason"
    assert how_decoded(L.LightningModule()) == {}
    figures = figures_of(np.array([[3, 0, 0, 1], [0, 0, 0, 0], [0, 0, 0, 0]]))
    line = where_it_lies(4000, Path("p.csv"), figures)
    assert line.startswith("4,000 predictions lie in p.csv: accuracy 0.7500 (majority class 1.0000")
