"""fit, test, predict and score, one after the other as a user types them."""

from __future__ import annotations

import logging
import os
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import polars as pl
import pytest
import torch
import yaml
from cli_recipe import STEPS, column, environment, recipe, write
from tiny import tiny_base

from synthpert.__main__ import main
from synthpert.predictions import PREDICTION_SCHEMA, read_predictions
from synthpert.questions import LABELS

OWN = "note,cell_line,pert,gene\na,k562,AARS,A2M\nb,k562,ATF7IP2,ACTG1\nc,rpe1,NOSUCH,GENE1\n"
MESSENGER = """
import lightning as L

class Messenger(L.Callback):
    def __init__(self, api_key: str, address: str) -> None:
        assert api_key.startswith("Q")
"""
LORA = {"r": 4, "alpha": 8, "dropout": 0.1}


@pytest.fixture(scope="module")
def lab(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Path]:
    """A folder to work in, with a run `runs/a` that was trained and tested there."""
    folder = tmp_path_factory.mktemp("lab")
    before = Path.cwd()
    os.chdir(folder)
    write(folder / "recipe.yaml", recipe())
    assert main(["fit", "--config", "recipe.yaml", "--run", "runs/a"]) == 0
    last = ["--run", "runs/a", "--ckpt_path", "last"]
    assert main(["test", "--config", "recipe.yaml", *last]) == 0
    yield folder
    os.chdir(before)


@pytest.fixture(autouse=True)
def _there(lab: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(lab)


def lora_recipe(**model: Any) -> dict[str, Any]:
    """Adapters on a base that is there."""
    settings = recipe()
    del settings["model"]["scratch"]
    if not Path("bases/tiny").exists():
        tiny_base(Path("bases/tiny"))
    settings["model"] |= {"base": "bases/tiny", "max_tokens": 256, "lora": LORA, **model}
    return settings


def test_a_run_leaves_its_configuration_metrics_and_checkpoint(lab: Path) -> None:
    run = lab / "runs" / "a"
    assert (run / "checkpoints" / "last.ckpt").exists()
    assert yaml.safe_load((run / "config.yaml").read_text())["model"]["prompts"] == "compact"
    assert len(column(run, "train_loss")) == STEPS
    for name in ("grad_norm", "tokens_per_second", "eval_macro_f1"):
        assert column(run, name)
    header = (run / "metrics.csv").read_text().splitlines()[0].split(",")
    assert any(name.startswith("lr") for name in header)


def test_predictions_of_test_are_complete_and_named(lab: Path) -> None:
    table = read_predictions(lab / "runs" / "a" / "predictions.parquet")
    assert table.columns == list(PREDICTION_SCHEMA)
    assert table["label"].null_count() == 0
    assert set(table["cell_line"]) == {"k562"}
    assert table["prompt_id"].unique().to_list()[0].startswith("compact-")
    assert table["run"].unique().to_list() == ["a"]
    assert table["model"].unique().to_list() == ["scratch"]


def test_score_reads_the_predictions(lab: Path, capsys: pytest.CaptureFixture[str]) -> None:
    code = main(["score", "runs/a/predictions.parquet", "--json", "score.json"])
    assert code == 0
    assert (lab / "score.json").exists()
    assert "k562" in capsys.readouterr().out


def test_predict_answers_a_table_of_ones_own(lab: Path) -> None:
    (lab / "mine.csv").write_text(OWN)
    ckpt = ["--ckpt_path", "runs/a/checkpoints/last.ckpt", "--run", "runs/mine"]
    own = ["--data.init_args.questions", "mine.csv"]
    assert main(["predict", "--config", "recipe.yaml", *ckpt, *own]) == 0
    table = read_predictions(lab / "runs" / "mine" / "predict" / "predictions.parquet")
    assert table["pert"].to_list() == ["AARS", "ATF7IP2", "NOSUCH"]
    assert table["label"].null_count() == 3


def test_validate_needs_only_a_checkpoint() -> None:
    last = ["--run", "runs/a", "--ckpt_path", "last"]
    assert main(["validate", "--config", "recipe.yaml", *last]) == 0


def test_the_saved_configuration_makes_the_run_anew(lab: Path) -> None:
    assert main(["fit", "--config", "runs/a/config.yaml", "--run", "runs/again"]) == 0
    assert column(lab / "runs/again", "train_loss") == column(lab / "runs/a", "train_loss")


def test_the_configuration_of_a_resumed_run_starts_from_the_beginning(lab: Path) -> None:
    write(lab / "short.yaml", recipe())
    more = ["fit", "--config", "short.yaml", "--run", "runs/resumed", "--trainer.max_steps"]
    assert main([*more, "3"]) == 0
    assert main([*more, "4", "--ckpt_path", "last"]) == 0
    assert yaml.safe_load((lab / "runs/resumed/config.yaml").read_text())["ckpt_path"] is None


def test_without_a_run_the_directory_is_named_after_the_recipe(lab: Path) -> None:
    write(lab / "unnamed.yaml", recipe())
    assert main(["fit", "--config", "unnamed.yaml", "--trainer.max_steps", "1"]) == 0
    assert len(list((lab / "runs").glob("unnamed-2*"))) == 1


def test_evaluations_leave_the_losses_of_a_student_with_dropout_as_they_are(lab: Path) -> None:
    settings = lora_recipe()
    write(lab / "with.yaml", settings)
    del settings["trainer"]["callbacks"][0]
    write(lab / "without.yaml", settings)
    assert main(["fit", "--config", "with.yaml", "--run", "runs/with"]) == 0
    assert main(["fit", "--config", "without.yaml", "--run", "runs/without"]) == 0
    assert column(lab / "runs/with", "eval_macro_f1")
    assert column(lab / "runs/with", "train_loss") == column(lab / "runs/without", "train_loss")


def test_adapters_on_a_bfloat16_base_are_all_a_checkpoint_keeps(lab: Path) -> None:
    write(lab / "lora.yaml", lora_recipe(dtype="bfloat16"))
    mixed = ["--trainer.precision", "bf16-mixed"]
    assert main(["fit", "--config", "lora.yaml", "--run", "runs/lora", *mixed]) == 0
    saved = torch.load("runs/lora/checkpoints/last.ckpt", weights_only=True)["state_dict"]
    assert saved
    assert all("lora_" in name for name in saved)
    assert {weight.dtype for weight in saved.values()} == {torch.float32}


def test_a_checkpoint_answers_as_the_student_did_when_it_was_saved(lab: Path) -> None:
    write(lab / "same.yaml", lora_recipe())
    assert main(["fit", "--config", "same.yaml", "--run", "runs/same"]) == 0
    then = pl.read_parquet(f"runs/same/evaluation/step-{STEPS:06d}.parquet")
    then.select("cell_line", "pert", "gene").write_csv("asked.csv")
    asked = ["--data.init_args.questions", "asked.csv", "--ckpt_path", "last"]
    assert main(["predict", "--config", "same.yaml", "--run", "runs/same", *asked]) == 0
    now = read_predictions("runs/same/predict/predictions.parquet")
    assert now["response"].to_list() == then["response"].to_list()


def test_a_4_bit_base_learns_on_a_cpu(lab: Path) -> None:
    write(lab / "four.yaml", lora_recipe(quantize="4bit"))
    assert main(["fit", "--config", "four.yaml", "--run", "runs/four"]) == 0
    losses = [float.fromhex(value) for value in column(lab / "runs/four", "train_loss")]
    assert len(losses) == STEPS
    assert losses[-1] < losses[0]


def test_answers_of_an_untrained_base_are_said_to_be_that(caplog: pytest.LogCaptureFixture) -> None:
    with caplog.at_level(logging.WARNING):
        assert main(["test", "--config", "recipe.yaml", "--run", "runs/untrained"]) == 0
    assert "untrained" in caplog.text
    table = read_predictions("runs/untrained/predictions.parquet")
    assert set(table["answer"].drop_nulls()) <= set(LABELS)


def test_fast_dev_run_writes_no_checkpoint(lab: Path) -> None:
    fast = ["--run", "runs/fast", "--trainer.fast_dev_run", "true"]
    assert main(["fit", "--config", "recipe.yaml", *fast]) == 0
    assert not list((lab / "runs/fast").rglob("*.ckpt"))


def test_checkpoints_lie_in_the_run_whatever_logger_is_asked_for(lab: Path) -> None:
    settings = recipe()
    path = "lightning.pytorch.loggers.CSVLogger"
    settings["trainer"]["logger"] = {"class_path": path, "init_args": {"save_dir": "elsewhere"}}
    write(lab / "logger.yaml", settings)
    assert main(["fit", "--config", "logger.yaml", "--run", "runs/logger"]) == 0
    assert (lab / "runs/logger/checkpoints/last.ckpt").exists()


def test_help_begins_with_an_example(capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["fit", "--help"]) == 0
    lines = [line for line in capsys.readouterr().out.splitlines() if line]
    assert lines[0].startswith("usage: synthpert fit --config FILE")
    assert lines[2] == "  synthpert fit --config configs/tiny.yaml --run runs/tiny"
    assert len(lines[0]) < 100


def test_wandb_is_offline_in_the_run_and_no_secret_reaches_a_file(tmp_path: Path) -> None:
    settings = recipe()
    settings["watch"] = {"mode": "auto"}
    (tmp_path / "messenger.py").write_text(MESSENGER)
    told = {"api_key": "Q" * 34, "address": f"https://me:{'X' * 20}@example.org"}
    messenger = {"class_path": "messenger.Messenger", "init_args": told}
    settings["trainer"]["callbacks"].append(messenger)
    write(tmp_path / "recipe.yaml", settings)
    subprocess.run(["git", "init", "-q"], cwd=tmp_path, check=True)
    secrets = {"OPENAI_API_KEY": f"sk-{'Z' * 40}", "HF_TOKEN": f"hf_{'Y' * 34}"}
    fit = ["fit", "--config", "recipe.yaml", "--run", "runs/a", "--trainer.max_steps", "3"]
    fit += ["--import-from", "messenger"]
    done = subprocess.run(
        [sys.executable, "-m", "synthpert", *fit],
        capture_output=True,
        text=True,
        cwd=tmp_path,
        env={**without_wandb(environment()), **secrets},
        check=False,
    )
    assert done.returncode == 0, done.stderr
    assert done.stderr.count("W&B is offline") == 1
    assert "wandb: " not in done.stderr
    assert "WARNING" not in done.stderr
    run = tmp_path / "runs" / "a"
    assert len(list((run / "wandb").glob("offline-run-*/run-*.wandb"))) == 1
    planted = [*secrets.values(), "Q" * 34, "X" * 20]
    for path in (path for path in tmp_path.rglob("*") if path.is_file()):
        if path not in (tmp_path / "recipe.yaml", tmp_path / "messenger.py"):
            text = path.read_bytes()
            held = [each for each in planted if each.encode() in text]
            assert not held, path


def without_wandb(variables: dict[str, str]) -> dict[str, str]:
    """An environment in which nothing has been said about W&B, and nobody is logged in."""
    return {k: v for k, v in variables.items() if not k.startswith("WANDB")} | {"NETRC": "/none"}
