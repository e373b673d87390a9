"""Forty malformed inputs: one line each, with the place and what would be right; nothing harmed."""

from __future__ import annotations

import os
import re
import subprocess
import sys
import tempfile
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import malformed_making as making
import pytest
from cli_recipe import environment, recipe, write
from malformed_inputs import ACCEPTED, FILES, INPUTS, PREDICT, Input

from synthpert.__main__ import main
from synthpert.predictions import read_predictions

# What a command says on its way to the base model, which it has to load to know a checkpoint's.
ON_THE_WAY = re.compile(
    r"questions from |batches are flattened|[\w-]+: [\d.]+ M of |[\d,]+ examples to train on"
    r"|\S+: \d+ traces kept"
)
LOGS = (".lock", "run.log", "starts.jsonl")
LOADS = (37, 38)
READS_THE_BENCHMARK = (23, 39)


@pytest.fixture(scope="module")
def lab() -> Iterator[Path]:
    """A folder with recipes and a run of seconds."""
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        settings = recipe()
        settings["model"]["base"] = str(folder / "base")
        del settings["trainer"]["callbacks"][0]
        write(folder / "recipe.yaml", settings)
        steps = ["--trainer.max_steps", "2"]
        fit = ["fit", "--config", str(folder / "recipe.yaml"), "--run", str(folder / "run")]
        assert main([*fit, *steps]) == 0
        settings["data"]["init_args"]["mix"] = {"file": "chats.jsonl", "ratio": 0.5}
        write(folder / "chats.yaml", settings)
        settings["data"] = {
            "class_path": "data_modules.traces.TraceDataModule",
            "init_args": {"traces": "traces.jsonl"},
        }
        settings["model"]["base"] = str(folder / "another")
        write(folder / "traces.yaml", settings)
        yield folder


@pytest.fixture
def folder(lab: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Path]:
    """An empty folder to work in."""
    with tempfile.TemporaryDirectory(dir=lab) as name:
        monkeypatch.chdir(name)
        monkeypatch.delenv("SYNTHPERT_RUN", raising=False)
        yield Path(name)


def words(given: Input, lab: Path) -> list[str]:
    """The command line, as it would be typed in the folder of the input."""
    return [word.format(lab=lab) for word in given.verb] + [given.file]


def everything(folder: Path) -> dict[str, Any]:
    """The files of a folder, to the byte, and its links; without the logs."""
    found: dict[str, Any] = {}
    for path in folder.rglob("*"):
        name = str(path.relative_to(folder))
        if path.is_symlink():
            found[name] = os.readlink(path)
        elif path.is_file() and path.name not in LOGS:
            found[name] = (path.stat().st_mode, path.read_bytes())
    return found


def run(given: Input, lab: Path, capsys: pytest.CaptureFixture[str]) -> tuple[int, list[str]]:
    """The exit code and what was said, of a child where the user matters."""
    if given.make is making.no_permission:
        done = subprocess.run(
            [sys.executable, "-m", "synthpert", *words(given, lab)],
            capture_output=True,
            text=True,
            env=environment(),
            preexec_fn=making.heed_permissions,
            timeout=120,
            check=False,
        )
        return done.returncode, done.stderr.splitlines()
    capsys.readouterr()
    code = main(words(given, lab))
    return code, capsys.readouterr().err.splitlines()


@pytest.mark.parametrize("given", INPUTS, ids=lambda given: given.name)
def test_a_malformed_input_is_one_line_and_harms_nothing(
    given: Input, lab: Path, folder: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    given.put(folder)
    before = everything(lab)
    code, lines = run(given, lab, capsys)
    assert code == 2, lines
    if given.number in LOADS + READS_THE_BENCHMARK:
        lines = [line for line in lines if not ON_THE_WAY.match(line)]
    assert len(lines) == 1, lines
    assert len(lines[0]) < 700
    for part in given.says:
        assert part in lines[0]
    assert everything(lab) == before


@pytest.mark.parametrize("given", ACCEPTED, ids=lambda given: given.name)
def test_a_harmless_oddity_changes_no_answer(given: Input, lab: Path, folder: Path) -> None:
    clean = given._replace(file="clean.csv", make=lambda path: path.write_text(making.QUESTIONS))
    for each, out in ((given, "odd"), (clean, "clean")):
        each.put(folder)
        given_run = [word.format(lab=lab) for word in PREDICT]
        given_run[given_run.index("--run") + 1] = out
        last = str(lab / "run/checkpoints/last.ckpt")
        given_run[given_run.index("--ckpt_path") + 1] = last
        assert main([*given_run, each.file]) == 0
    odd, same = (
        read_predictions(f"{out}/predict/predictions.parquet").drop("run")
        for out in ("odd", "clean")
    )
    assert odd.equals(same)
    assert odd["gene"].to_list() == ["ACTG1", "ALYREF"]


def test_all_forty_are_there_in_their_order() -> None:
    numbers = [given.number for given in INPUTS]
    assert numbers == sorted(numbers)
    assert sorted({given.number for given in (*INPUTS, *ACCEPTED)}) == list(range(1, 41))


def test_every_file_is_put_to_a_command() -> None:
    used = {given.file for given in INPUTS if given.make is None}
    assert used == {path.name for path in FILES.iterdir()}
