"""A second process in a run's folder is refused at once, and told who is at work there."""

from __future__ import annotations

import json
import os
import sys
from pathlib import Path

import pytest
import yaml
from cli_recipe import child, recipe, write

from synthpert import run_record
from synthpert.__main__ import main

OUR = rf"another process is at work in this run: pid {os.getpid()} "


@pytest.mark.parametrize("verb", ["fit", "validate", "test", "predict"])
def test_a_run_at_work_is_refused_whatever_the_verb(verb: str, tmp_path: Path) -> None:
    write(tmp_path / "recipe.yaml", recipe())
    run = tmp_path / "run"
    with run_record.held(run, "fit"):
        before = sorted(run.iterdir())
        done = child(tmp_path, verb, "--config", "recipe.yaml", "--run", "run")
        assert sorted(run.iterdir()) == before
    assert done.returncode == 3
    assert done.stderr.startswith(f"run: {OUR}")
    assert "(wait for it, stop it, or give another --run; " in done.stderr
    assert done.stderr.endswith("--ckpt_path run/checkpoints/last.ckpt)\n")
    assert done.stderr.count("\n") == 1


def test_it_is_refused_before_the_heavy_imports(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    # Importing it again would find this in its place and fail.
    monkeypatch.setitem(sys.modules, "synthpert.cli", None)
    with run_record.held(tmp_path, "fit"):
        assert main(["fit", "--config", "recipe.yaml", f"--run={tmp_path}"]) == 3
    assert OUR in capsys.readouterr().err


def test_a_run_that_a_yaml_names_is_refused_as_well(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.chdir(tmp_path)
    write(tmp_path / "recipe.yaml", {**recipe(), "run": "run"})
    with run_record.held(tmp_path / "run", "fit"):
        assert main(["fit", "--config", "recipe.yaml"]) == 3
    assert OUR in capsys.readouterr().err


def test_a_run_tells_what_it_was_made_from_and_how_to_go_on(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("SYNTHPERT_RUN", "")
    write(tmp_path / "recipe.yaml", recipe())
    steps = ["--trainer.max_steps", "2"]
    assert main(["fit", "--config", "recipe.yaml", "--run", "runs/a b", *steps]) == 0
    run = tmp_path / "runs" / "a b"
    (start,) = [json.loads(line) for line in (run / run_record.STARTS).read_text().splitlines()]
    assert (start["verb"], start["seed"]) == ("fit", 0)
    assert "examples to train on" in (run / run_record.LOG).read_text()
    commands = [
        line
        for line in (run / "README.md").read_text().splitlines()
        if line.startswith("synthpert test")
    ]
    words = commands[0].replace("'runs/a b'", "runs/a\0b").replace("'runs/a b/", "runs/a\0b/")
    assert main([word.replace("\0", " ") for word in words.split()[1:]]) == 0
    assert (run / "predictions.parquet").is_file()
    assert yaml.safe_load((run / "config.yaml").read_text())["seed_everything"] == 0
