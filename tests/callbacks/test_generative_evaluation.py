"""Evaluation by generation during a fit."""

from __future__ import annotations

import json
import logging
import math
import os
import random
import subprocess
import sys
from pathlib import Path
from typing import Any

import lightning as L
import numpy as np
import polars as pl
import pytest
import torch
from fake_student import FakeData, FakeStudent, make_trainer, question_table
from lightning.pytorch.callbacks import ModelCheckpoint
from lightning.pytorch.loggers import CSVLogger
from sklearn.metrics import accuracy_score, f1_score

from callbacks.generative_evaluation import GenerativeEvaluation
from synthpert.errors import InputError
from synthpert.predictions import read_predictions


class Steps(L.Callback):
    """Notes at which steps a value of a monitored figure is new, and which it is."""

    def __init__(self) -> None:
        self.seen: list[tuple[int, float]] = []

    def on_train_batch_end(self, trainer: L.Trainer, *rest: Any) -> None:
        value = trainer.callback_metrics.get("eval_accuracy")
        if value is not None and (not self.seen or self.seen[-1][1] != float(value)):
            self.seen.append((trainer.global_step, float(value)))


def fit(folder: Path, evaluation: GenerativeEvaluation | None, **settings: Any) -> FakeStudent:
    L.seed_everything(7)
    student = FakeStudent()
    callbacks = [] if evaluation is None else [evaluation]
    make_trainer(folder, *callbacks, **settings).fit(student, FakeData())
    return student


def steps_of(folder: Path) -> list[int]:
    return sorted(int(path.stem[5:]) for path in (folder / "evaluation").glob("*.parquet"))


def test_training_with_it_is_bit_identical_to_training_without(tmp_path: Path) -> None:
    without = fit(tmp_path / "a", None)
    state = (random.random(), np.random.rand(), float(torch.rand(1)))
    with_it = fit(tmp_path / "b", GenerativeEvaluation(every_n_steps=3, at_start=True))
    assert with_it.losses == without.losses
    assert len(set(without.losses)) == 16
    assert (random.random(), np.random.rand(), float(torch.rand(1))) == state
    for one, other in zip(without.parameters(), with_it.parameters(), strict=True):
        assert torch.equal(one, other)


def test_each_module_gets_its_own_mode_back(tmp_path: Path) -> None:
    student = FakeStudent()
    evaluation = GenerativeEvaluation(questions=10)
    trainer = make_trainer(tmp_path, evaluation)
    trainer.fit(student, FakeData(batches=1))
    student.train()
    student.network[1].eval()
    evaluation.evaluate(trainer, student)
    assert [m.training for m in student.network] == [True, False, True]


def test_gradients_half_way_through_an_accumulation_stay(tmp_path: Path) -> None:
    student = FakeStudent()
    evaluation = GenerativeEvaluation(questions=10)
    trainer = make_trainer(tmp_path, evaluation)
    trainer.fit(student, FakeData(batches=1))
    for parameter in student.parameters():
        parameter.grad = torch.full_like(parameter, 0.25)
    evaluation.evaluate(trainer, student)
    assert all(torch.all(p.grad == 0.25) for p in student.parameters() if p.grad is not None)


def test_it_runs_every_n_steps_at_the_start_and_at_the_end(tmp_path: Path) -> None:
    fit(tmp_path, GenerativeEvaluation(every_n_steps=5, at_start=True, at_end=True))
    assert steps_of(tmp_path) == [0, 5, 10, 15, 16]


def test_without_a_period_it_runs_at_the_end_only(tmp_path: Path) -> None:
    fit(tmp_path, GenerativeEvaluation(every_n_steps=None))
    assert steps_of(tmp_path) == [16]


def test_the_end_is_evaluated_once_when_it_is_also_due(tmp_path: Path) -> None:
    student = fit(tmp_path, GenerativeEvaluation(every_n_steps=8, questions=10))
    assert steps_of(tmp_path) == [8, 16]
    assert len(student.asked) == 2


def test_micro_batches_of_one_step_are_evaluated_once(tmp_path: Path) -> None:
    evaluation = GenerativeEvaluation(every_n_steps=2, questions=10, at_end=False)
    student = fit(tmp_path, evaluation, accumulate_grad_batches=4)
    assert steps_of(tmp_path) == [2, 4]
    assert len(student.asked) == 2


def test_it_ends_well_when_the_last_step_was_not_known(tmp_path: Path) -> None:
    class StopsLate(L.Callback):
        def on_train_epoch_end(self, trainer: L.Trainer, pl_module: L.LightningModule) -> None:
            trainer.should_stop = True

    evaluation = GenerativeEvaluation(every_n_steps=None, questions=10)
    trainer = make_trainer(tmp_path, evaluation, StopsLate(), max_epochs=9)
    trainer.fit(FakeStudent(), FakeData())
    assert steps_of(tmp_path) == [16]
    assert "eval_macro_f1" in trainer.callback_metrics


def test_a_resumed_run_does_not_repeat_the_evaluation_it_starts_from(tmp_path: Path) -> None:
    settings = {"accumulate_grad_batches": 2, "max_steps": 4}
    student = fit_with_checkpoint(tmp_path / "first", GenerativeEvaluation(2), **settings)
    assert len(student.asked) == 2
    again = fit_with_checkpoint(
        tmp_path / "second",
        GenerativeEvaluation(2, at_start=True),
        ckpt=tmp_path / "first" / "last.ckpt",
        **{**settings, "max_steps": 8},
    )
    assert steps_of(tmp_path / "second") == [6, 8]
    assert len(again.asked) == 2


def fit_with_checkpoint(
    folder: Path, evaluation: GenerativeEvaluation, ckpt: Path | None = None, **settings: Any
) -> FakeStudent:
    student = FakeStudent()
    checkpoint = ModelCheckpoint(folder, save_last=True, save_top_k=0, every_n_train_steps=1)
    trainer = make_trainer(folder, evaluation, checkpoint, **settings)
    trainer.fit(student, FakeData(), ckpt_path=str(ckpt) if ckpt else None, weights_only=True)
    return student


def test_a_checkpoint_can_monitor_its_figures(tmp_path: Path) -> None:
    checkpoint = ModelCheckpoint(
        tmp_path,
        monitor="eval_macro_f1",
        mode="max",
        every_n_train_steps=5,
        filename="{step}-{eval_macro_f1:.3f}",
    )
    steps = Steps()
    # The checkpoint stands first in the list: Lightning calls it last all the same
    trainer = make_trainer(tmp_path, checkpoint, GenerativeEvaluation(5, at_end=False), steps)
    trainer.fit(FakeStudent(), FakeData())
    assert [step for step, _ in steps.seen] == [5, 10, 15]
    assert Path(checkpoint.best_model_path).name.startswith("step=15-eval_macro_f1=")
    best = read_predictions(tmp_path / "evaluation" / "step-000015.parquet")
    assert float(checkpoint.best_model_score) == pytest.approx(macro_f1(best), abs=1e-6)


def test_the_last_checkpoint_has_the_figures_of_the_last_step(tmp_path: Path) -> None:
    checkpoint = ModelCheckpoint(tmp_path, monitor="eval_accuracy", mode="max")
    trainer = make_trainer(tmp_path, GenerativeEvaluation(5), checkpoint)
    trainer.fit(FakeStudent(), FakeData())
    last = read_predictions(tmp_path / "evaluation" / "step-000016.parquet")
    right = (last["answer"] == last["label"]).fill_null(False).mean()
    assert float(checkpoint.best_model_score) == pytest.approx(right)


def macro_f1(table: pl.DataFrame) -> float:
    answers = table["answer"].cast(pl.String).fill_null("none").to_list()
    truth = table["label"].cast(pl.String).to_list()
    kept = sorted(set(truth))
    return float(f1_score(truth, answers, labels=kept, average="macro", zero_division=0))


def test_the_figures_are_those_of_the_answers_it_wrote(tmp_path: Path) -> None:
    trainer = make_trainer(tmp_path, GenerativeEvaluation(None, questions=50))
    trainer.fit(FakeStudent(), FakeData())
    table = read_predictions(tmp_path / "evaluation" / "step-000016.parquet")
    logged = {name: float(value) for name, value in trainer.callback_metrics.items()}
    truth = table["label"].cast(pl.String).to_list()
    answers = table["answer"].cast(pl.String).fill_null("none").to_list()
    assert logged["eval_accuracy"] == pytest.approx(accuracy_score(truth, answers))
    assert logged["eval_macro_f1"] == pytest.approx(macro_f1(table))
    assert logged["eval_majority_accuracy"] == pytest.approx(0.6)
    assert logged["eval_parse_rate"] == pytest.approx(1 - table["answer"].null_count() / 50)
    assert logged["eval_finish_length"] == pytest.approx(table["answer"].null_count() / 50)
    assert logged["eval_finish_stop"] + logged["eval_finish_length"] == pytest.approx(1)
    chars = table["response"].str.len_chars().mean()
    assert logged["eval_response_chars_mean"] == pytest.approx(chars)
    assert {"eval_balanced_accuracy", "eval_mcc", "eval_not_de_f1", "eval_up_recall"} <= set(logged)
    assert table["run"].unique().to_list() == [tmp_path.name]


def test_the_csv_has_each_evaluation_once_whatever_the_logging_interval(tmp_path: Path) -> None:
    logger = CSVLogger(tmp_path, name="", version="")
    trainer = make_trainer(
        tmp_path, GenerativeEvaluation(5, at_start=True), logger=logger, log_every_n_steps=2
    )
    trainer.fit(FakeStudent(), FakeData())
    table = pl.read_csv(tmp_path / "metrics.csv").filter(pl.col("eval_accuracy").is_not_null())
    assert table["step"].to_list() == [0, 5, 10, 15, 16]
    assert table["eval_accuracy"].n_unique() > 2


def test_a_picture_lies_beside_the_answers_and_no_figure_stays_open(tmp_path: Path) -> None:
    fit(tmp_path, GenerativeEvaluation(None))
    picture = (tmp_path / "evaluation" / "step-000016.png").read_bytes()
    assert picture.startswith(b"\x89PNG")
    pyplot = sys.modules.get("matplotlib.pyplot")
    assert pyplot is None or not pyplot.get_fignums()
    assert not list((tmp_path / "evaluation").glob(".*"))


def test_one_line_says_how_it_went(tmp_path: Path, caplog: pytest.LogCaptureFixture) -> None:
    with caplog.at_level(logging.INFO, "callbacks"):
        fit(tmp_path, GenerativeEvaluation(None, questions=50))
    (line,) = [record.getMessage() for record in caplog.records if "step 16" in record.message]
    assert line.startswith("step 16: accuracy 0.")
    assert "(majority 0.60) macro-F1 0." in line
    assert line.endswith(" s")


def test_the_same_questions_are_asked_each_time_without_probabilities(tmp_path: Path) -> None:
    student = fit(tmp_path, GenerativeEvaluation(8, questions=30))
    keys = [
        read_predictions(path).select("cell_line", "pert", "gene")
        for path in sorted((tmp_path / "evaluation").glob("*.parquet"))
    ]
    assert keys[0].equals(keys[1])
    assert student.asked == [30, 30]
    assert student.probabilities == [False, False]


def test_data_that_has_no_questions_is_refused_before_the_first_step(tmp_path: Path) -> None:
    student = FakeStudent()
    loader = FakeData().train_dataloader()
    with pytest.raises(InputError, match="cannot be evaluated by generation"):
        make_trainer(tmp_path, GenerativeEvaluation()).fit(student, loader)
    assert student.losses == []


def test_unlabelled_questions_are_refused_before_the_first_step(tmp_path: Path) -> None:
    table = question_table().with_columns(label=pl.lit(None, dtype=question_table()["label"].dtype))
    student = FakeStudent()
    with pytest.raises(InputError, match="480 without a label"):
        make_trainer(tmp_path, GenerativeEvaluation()).fit(student, FakeData(table))
    assert student.losses == []


@pytest.mark.parametrize("settings", [{"every_n_steps": 0}, {"questions": 0}])
def test_a_period_or_size_below_one_is_refused(settings: dict[str, Any]) -> None:
    with pytest.raises(InputError, match="expected 1 or more"):
        GenerativeEvaluation(**settings)


@pytest.mark.slow
def test_two_ranks_give_the_figures_of_one(tmp_path: Path) -> None:
    script = Path(__file__).with_name("two_ranks.py")
    folders = (script.parent, script.parents[2])
    env = {**os.environ, "PYTHONPATH": os.pathsep.join(map(str, folders))}
    found = {}
    for devices in (1, 2):
        run = tmp_path / str(devices)
        done = subprocess.run(
            [sys.executable, str(script), str(run), str(devices)],
            capture_output=True,
            text=True,
            timeout=240,
            env=env,
            check=False,
        )
        assert done.returncode == 0, done.stderr[-3000:]
        found[devices] = [json.loads(path.read_text()) for path in sorted(run.glob("rank-*.json"))]
    (alone,), (first, second) = found[1], found[2]
    assert first == second
    assert first["eval"].keys() == alone["eval"].keys()
    assert all(math.isclose(first["eval"][k], v, abs_tol=1e-12) for k, v in alone["eval"].items())
    assert first["test"] == alone["test"]
    tables = [
        [read_predictions(tmp_path / str(n) / name) for n in (1, 2)]
        for name in ("evaluation/step-000002.parquet", "predictions.parquet")
    ]
    for one, two in tables:
        assert one.drop("run").equals(two.drop("run"))
