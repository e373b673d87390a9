"""Modes and engines from the command line, on one run with adapters."""

from __future__ import annotations

import os
import sys
from collections.abc import Iterator
from pathlib import Path

import polars as pl
import pytest
from cli_recipe import column, recipe, write
from polars.testing import assert_frame_equal
from tiny import tiny_base

from synthpert.__main__ import main
from synthpert.predictions import read_predictions

LAST = ["--run", "runs/a", "--ckpt_path", "last"]


@pytest.fixture(scope="module")
def lab(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Path]:
    """A folder to work in, with a trained run `runs/a` of adapters."""
    folder = tmp_path_factory.mktemp("engines")
    before = Path.cwd()
    os.chdir(folder)
    settings = recipe()
    del settings["model"]["scratch"]
    settings["model"] |= {"base": tiny_base(Path("bases/tiny")), "max_tokens": 256}
    settings["model"]["lora"] = {"r": 4, "alpha": 64}
    write(folder / "recipe.yaml", settings)
    Path("mine.csv").write_text("cell_line,pert,gene\nk562,AARS,A2M\nk562,NA,HLA-A\nrpe1,A2M,NA\n")
    direct = ["--model.decoding.mode", "direct"]
    assert main(["fit", "--config", "recipe.yaml", "--run", "runs/a", *direct]) == 0
    yield folder
    os.chdir(before)


@pytest.fixture(autouse=True)
def _there(lab: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    monkeypatch.chdir(lab)
    fake = Path(__file__).parent / "generation" / "without_gpu"
    monkeypatch.syspath_prepend(str(fake))
    yield
    for name in [each for each in sys.modules if each.split(".")[0] == "vllm"]:
        del sys.modules[name]


def predict(out: str, *words: str) -> pl.DataFrame:
    mine = ["--questions", "mine.csv", "--out", out]
    assert main(["predict", "--config", "recipe.yaml", *LAST, *mine, *words]) == 0
    return read_predictions(out)


def test_evaluations_of_a_fit_can_be_direct() -> None:
    assert len(column(Path("runs/a"), "eval_macro_f1")) == 2
    assert {float.fromhex(x) for x in column(Path("runs/a"), "eval_response_chars_mean")} == {0.0}


@pytest.mark.parametrize("mode", ["reason", "direct"])
def test_engines_give_the_same_predictions(mode: str) -> None:
    way = ["--mode", mode]
    live = predict(f"hf-{mode}.parquet", *way)
    served = predict(f"vllm-{mode}.parquet", *way, "--engine", "vllm")
    assert_frame_equal(live, served, abs_tol=1e-4)
    assert set(live["mode"]) == {mode}


def test_a_vote_is_the_same_in_other_batches() -> None:
    way = ["--mode", "vote", "--model.decoding.samples", "3"]
    together = predict("together.parquet", *way)
    apart = predict("apart.parquet", *way, "--data.init_args.eval_batch_size", "1")
    assert together["response"].to_list() == apart["response"].to_list()
    assert set(together["n_samples"]) == {3}


def refused(capsys: pytest.CaptureFixture[str], *words: str) -> str:
    capsys.readouterr()
    verb, *rest = words
    assert main([verb, "--config", "recipe.yaml", *rest]) == 2
    return capsys.readouterr().err.strip().splitlines()[-1]


def test_training_by_vllm_is_refused(capsys: pytest.CaptureFixture[str]) -> None:
    line = refused(capsys, "fit", "--run", "runs/b", "--model.engine", "vllm")
    assert "vLLM answers and does not train" in line


def test_trained_whole_is_refused_with_the_remedy(capsys: pytest.CaptureFixture[str]) -> None:
    words = ["test", *LAST, "--engine", "vllm", "--model.lora", "null"]
    assert "export --what merged" in refused(capsys, *words)


def test_several_samples_without_a_vote_name_the_mode(capsys: pytest.CaptureFixture[str]) -> None:
    line = refused(capsys, "test", *LAST, "--model.decoding.samples", "3")
    assert "mode: vote" in line
    assert "model.decoding.samples" in line
