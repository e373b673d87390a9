"""Where a run lies, and which of its checkpoints is the newest."""

from __future__ import annotations

import logging
import os
from pathlib import Path

import pytest

from synthpert import run_folder
from synthpert.checkpoints import files as checkpoint_files
from synthpert.errors import InputError


@pytest.fixture(autouse=True)
def _no_launcher(monkeypatch: pytest.MonkeyPatch) -> None:
    for name in (run_folder.VARIABLE, "WORLD_SIZE", "SLURM_NTASKS"):
        monkeypatch.delenv(name, raising=False)


def checkpoint(run: Path, name: str, age: float) -> Path:
    path = run_folder.checkpoints(run) / name
    checkpoint_files.save({"name": name}, path)
    os.utime(path, (1e9 - age, 1e9 - age))
    return path


def test_what_was_asked_for_is_chosen() -> None:
    assert run_folder.choose("runs/mine", ["configs/tiny.yaml"]) == Path("runs/mine")


def test_a_new_directory_is_named_after_the_first_yaml() -> None:
    chosen = run_folder.choose(None, ["configs/tiny.yaml", "configs/splits/strict.yaml"])
    assert chosen.parent == Path("runs")
    assert chosen.name.startswith("tiny-2")


def test_a_launched_rank_finds_the_directory_of_the_first(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv(run_folder.VARIABLE, "runs/first")
    monkeypatch.setenv("WORLD_SIZE", "2")
    assert run_folder.choose(None, ["tiny.yaml"]) == Path("runs/first")


@pytest.mark.parametrize("variable", ["WORLD_SIZE", "SLURM_NTASKS"])
def test_processes_that_were_started_apart_must_agree(
    variable: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv(variable, "4")
    with pytest.raises(InputError, match="need one directory"):
        run_folder.choose(None, ["tiny.yaml"])


def test_the_newest_checkpoint_is_the_one_written_last(tmp_path: Path) -> None:
    checkpoint(tmp_path, "last.ckpt", age=5)
    newest = checkpoint(tmp_path, "step-7.ckpt", age=1)
    assert run_folder.newest_checkpoint(tmp_path) == newest


def test_of_two_as_young_it_is_last(tmp_path: Path) -> None:
    checkpoint(tmp_path, "step-7.ckpt", age=1)
    last = checkpoint(tmp_path, "last.ckpt", age=1)
    assert run_folder.newest_checkpoint(tmp_path) == last


def test_damaged_checkpoints_are_announced_and_the_one_before_them_is_used(
    tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    good = checkpoint(tmp_path, "step-3.ckpt", age=9)
    for name, age in (("step-6.ckpt", 5), ("last.ckpt", 1)):
        bad = checkpoint(tmp_path, name, age)
        bad.write_bytes(bad.read_bytes()[:-20])
        os.utime(bad, (1e9 - age, 1e9 - age))
    with caplog.at_level(logging.WARNING):
        assert run_folder.newest_checkpoint(tmp_path) == good
    first, second = caplog.messages
    assert "last.ckpt: the checkpoint is damaged" in first
    assert "step-6.ckpt: the checkpoint is damaged" in second
    assert first.endswith("going back to step-3.ckpt")


def test_a_run_with_damaged_checkpoints_alone_is_refused(
    tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    bad = checkpoint(tmp_path, "last.ckpt", age=1)
    bad.write_bytes(b"")
    with pytest.raises(InputError, match=r"no good checkpoint among 1: .*last\.ckpt: the check"):
        run_folder.newest_checkpoint(tmp_path)
    assert not caplog.messages


def test_a_run_has_begun_even_where_its_checkpoint_is_damaged(tmp_path: Path) -> None:
    assert not run_folder.has_checkpoints(tmp_path)
    checkpoint(tmp_path, "last.ckpt", age=1).write_bytes(b"")
    assert run_folder.has_checkpoints(tmp_path)


def test_a_run_that_has_not_begun_has_none(tmp_path: Path) -> None:
    assert run_folder.newest_checkpoint(tmp_path) is None
