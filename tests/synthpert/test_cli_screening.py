"""`predict` on tables and lists of one's own, as it is typed: stopped, killed, gone on with."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import polars as pl
import pytest
from cli_recipe import HOME, child, environment, recipe, write

from synthpert import student
from synthpert.__main__ import main
from synthpert.predictions import PREDICTION_SCHEMA, read_predictions
from synthpert.predictions.records import read_record

LAST = ["predict", "--config", "recipe.yaml", "--run", "runs/a", "--ckpt_path", "last"]
LISTS = ["--cell-line", "k562,rpe1", "--perts", "perts.txt", "--genes", "genes.tsv"]


@pytest.fixture(scope="module")
def lab(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Path]:
    """A folder with a trained run, lists, and a table of questions."""
    folder = tmp_path_factory.mktemp("lab")
    before = Path.cwd()
    os.chdir(folder)
    settings = recipe()
    settings["trainer"]["max_steps"] = 2
    # No writer of predictions: `predict` has one all the same.
    settings["trainer"]["callbacks"] = settings["trainer"]["callbacks"][4:]
    settings["model"]["decoding"] = {"max_new_tokens": 2, "batch_size": 8}
    settings["data"]["init_args"] |= {"eval_batch_size": 8, "part_size": 10}
    write(folder / "recipe.yaml", settings)
    assert main(["fit", "--config", "recipe.yaml", "--run", "runs/a"]) == 0
    (folder / "perts.txt").write_text("AARS\nATF7IP2\nNOSUCH\n")
    (folder / "genes.tsv").write_text("note\tgene\n" + "".join(f"\tG{i}\n" for i in range(10)))
    rows = "".join(f"{i},k562,AARS,G{i},other\n" for i in range(24))
    (folder / "mine.csv").write_text(f"note,cell_line,pert,gene,model\n{rows}")
    yield folder
    os.chdir(before)


@pytest.fixture(autouse=True)
def _there(lab: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(lab)


@pytest.fixture
def whole(lab: Path) -> pl.DataFrame:
    """The answers to the lists, by one process that nobody stops."""
    place = lab / "whole.parquet"
    if not place.exists():
        assert main([*LAST, *LISTS, "--out", "whole.parquet"]) == 0
    return pl.read_parquet(place)


def signalled(monkeypatch: pytest.MonkeyPatch, at: int, signum: int) -> None:
    """Send this process a signal in place of an answer."""
    answer, calls = student.answer, iter(range(10**6))

    def stopped(*given: Any, **options: Any) -> pl.DataFrame:
        if next(calls) == at:
            signal.raise_signal(signum)
        return answer(*given, **options)

    monkeypatch.setattr(student, "answer", stopped)


def test_a_table_is_answered_row_by_row_beside_its_own_columns() -> None:
    assert main([*LAST, "--questions", "mine.csv", "--out", "out/mine.csv"]) == 0
    table = pl.read_csv("out/mine.csv")
    assert table.columns == [*PREDICTION_SCHEMA, "note", "given_model"]
    assert table["note"].to_list() == list(range(24))
    assert table["given_model"].unique().to_list() == ["other"]
    assert read_predictions("out/mine.csv").height == 24
    assert sorted(os.listdir("out")) == ["mine.csv", "mine.record.json"]


def test_a_list_of_perturbations_with_all_genes_of_the_benchmark() -> None:
    asked = ["--cell-line", "k562", "--perts", "perts.txt", "--genes", "all", "--mode", "direct"]
    large = ["--data.init_args.part_size", "4000", "--data.init_args.eval_batch_size", "2000"]
    assert main([*LAST, *asked, *large, "--model.decoding.batch_size", "2000"]) == 0
    place = Path("runs/a/predict/predictions.parquet")
    table = pl.read_parquet(place)
    assert table["pert"].unique(maintain_order=True).to_list() == ["AARS", "ATF7IP2", "NOSUCH"]
    assert table["mode"].unique().to_list() == ["direct"]
    assert read_record(place)["decoding"]["mode"] == "direct"


def test_done_is_done_and_loads_no_weights(
    whole: pl.DataFrame, capsys: pytest.CaptureFixture[str]
) -> None:
    assert main([*LAST, *LISTS, "--out", "whole.parquet"]) == 0
    told = capsys.readouterr().err
    assert "nothing is asked" in told
    assert "trainable" not in told


@pytest.mark.parametrize("other", [["--mode", "vote"], ["--model.prompts", "short"]])
def test_answers_of_another_kind_are_not_overwritten(
    whole: pl.DataFrame, other: list[str], capsys: pytest.CaptureFixture[str]
) -> None:
    assert main([*LAST, *LISTS, "--out", "whole.parquet", *other]) == 2
    told = capsys.readouterr().err.splitlines()
    assert len(told) == 1
    assert "whole.parquet: predictions with other" in told[0]
    assert "another --out" in told[0]


def test_a_wrong_table_is_told_before_weights_are_loaded_and_leaves_nothing(
    lab: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    (lab / "wrong.csv").write_text("cell_line,pert,gene\nk562,AARS,A\nk562,AARS,2-Sep\n")
    assert main([*LAST, "--questions", "wrong.csv", "--out", "wrong.parquet"]) == 2
    told = capsys.readouterr().err
    assert "wrong.csv:3:gene: gene turned into a date" in told
    assert "trainable" not in told
    assert not list(lab.glob("wrong.parquet*"))


@pytest.mark.parametrize(("signum", "code"), [(signal.SIGINT, 130), (signal.SIGTERM, 143)])
def test_a_signal_keeps_what_is_answered_and_the_same_command_goes_on(
    whole: pl.DataFrame,
    signum: int,
    code: int,
    capsys: pytest.CaptureFixture[str],
) -> None:
    command = [*LAST, *LISTS, "--out", f"stopped-{code}.parquet"]
    with pytest.MonkeyPatch.context() as patch:
        signalled(patch, 6, signum)
        assert main(command) == code
    assert "2 of 6 parts kept" in capsys.readouterr().err
    assert main(command) == 0
    assert "20 of them answered before" in capsys.readouterr().err
    assert pl.read_parquet(f"stopped-{code}.parquet").equals(whole)


def test_two_processes_go_on_with_the_parts_of_one(lab: Path, whole: pl.DataFrame) -> None:
    command = [*LAST, *LISTS, "--out", "two.parquet"]
    assert main([*command, "--trainer.limit_predict_batches", "5"]) == 0
    assert len(list(lab.glob("two.parquet.parts/part-*"))) == 2
    done = child(lab, *command, "--trainer.devices", "2", "--trainer.strategy", "ddp")
    assert done.returncode == 0, done.stderr
    assert "20 of them answered before; mode reason, engine hf, 2 processes" in done.stderr
    assert done.stderr.count("predictions lie in") == 1
    assert pl.read_parquet("two.parquet").equals(whole)


@pytest.mark.slow
def test_after_four_kills_the_file_is_that_of_a_run_left_alone() -> None:
    # A process of its own, since it forks: torch is imported once for all lives.
    command = [sys.executable, str(HOME / "benchmarks" / "predict_kills.py"), "2", "1"]
    done = subprocess.run(
        command, capture_output=True, text=True, env=environment(), timeout=280, check=False
    )
    assert done.returncode == 0, done.stdout + done.stderr
    rows = [line.split("|")[2:6] for line in done.stdout.splitlines()[2:]]
    assert [(row[0].strip(), row[3].strip()) for row in rows] == [("2", "True")] * 2
