"""What a run's folder tells of itself, and that one process at a time is at work in it."""

from __future__ import annotations

import hashlib
import json
import logging
import re
import subprocess
from pathlib import Path

import pytest

from synthpert import __version__, run_record
from synthpert.errors import InputError, StoppedError


def starts(run: Path) -> list[dict[str, object]]:
    return [json.loads(line) for line in (run / run_record.STARTS).read_text().splitlines()]


def git(folder: Path, *words: str) -> str:
    own = ["-c", "user.name=a", "-c", "user.email=a@b.c"]
    done = subprocess.run(
        ["git", "-C", str(folder), *own, *words], capture_output=True, text=True, check=True
    )
    return done.stdout.strip()


def test_what_is_said_meanwhile_is_in_the_log_with_its_time(tmp_path: Path) -> None:
    with run_record.held(tmp_path / "run", "fit"):
        logging.getLogger("synthpert.here").warning("three rows left out")
    line = (tmp_path / "run" / run_record.LOG).read_text()
    assert re.match(r"\d{4}-\d\d-\d\d \S+ WARNING synthpert.here: three rows left out\n", line)


def test_the_log_of_an_earlier_start_is_kept(tmp_path: Path) -> None:
    for text in ("first", "second"):
        with run_record.held(tmp_path, "fit"):
            logging.getLogger("synthpert").warning(text)
    assert (tmp_path / run_record.LOG).read_text().count("\n") == 2


def test_an_error_that_ends_a_run_is_in_its_log(tmp_path: Path) -> None:
    with pytest.raises(InputError), run_record.held(tmp_path, "fit"):
        raise InputError("no such checkpoint", file="x.ckpt")
    assert (
        "ERROR synthpert.run_record: x.ckpt: no such checkpoint"
        in (tmp_path / run_record.LOG).read_text()
    )


def test_a_secret_is_not_in_the_log(tmp_path: Path) -> None:
    with run_record.held(tmp_path, "fit"):
        logging.getLogger("synthpert").warning("key sk-proj-%s", "a1B2" * 12)
    assert "a1B2a1B2" not in (tmp_path / run_record.LOG).read_text()


def test_a_run_at_work_is_refused_with_the_remedy(tmp_path: Path) -> None:
    with (
        run_record.held(tmp_path, "fit"),
        pytest.raises(StoppedError, match=r"another process is at work.*pid \d+.*another --run"),
    ):
        run_record.refuse_busy(tmp_path)


def test_a_start_names_the_checksum_of_each_file_it_is_made_from(tmp_path: Path) -> None:
    traces = tmp_path / "traces.parquet"
    traces.write_bytes(b"rows")
    config = {"data": {"init_args": {"traces": str(traces)}}, "seed_everything": 7}
    run_record.note_start(tmp_path, "fit", ["fit", "--run", "x"], config)
    (start,) = starts(tmp_path)
    sums = start["sha256"]
    assert isinstance(sums, dict)
    assert sums[str(traces)] == hashlib.sha256(b"rows").hexdigest()
    assert any("k562-de.csv" in name for name in sums)
    assert (start["seed"], start["command"]) == (7, "synthpert fit --run x")
    assert isinstance(start["versions"], dict)
    assert start["versions"]["synthpert"] == __version__


def test_each_start_adds_a_line(tmp_path: Path) -> None:
    for verb in ("fit", "test"):
        run_record.note_start(tmp_path, verb, [verb], {})
    assert [start["verb"] for start in starts(tmp_path)] == ["fit", "test"]


def test_no_secret_of_the_command_line_is_kept(tmp_path: Path) -> None:
    run_record.note_start(tmp_path, "fit", ["fit", "--data.api_key", "hunter2hunter2"], {})
    assert "hunter2" not in (tmp_path / run_record.STARTS).read_text()


def test_a_text_that_is_too_long_for_a_name_is_no_file(tmp_path: Path) -> None:
    run_record.note_start(tmp_path, "fit", ["fit"], {"note": "x" * 100_000, "empty": ""})
    assert len(starts(tmp_path)) == 1


def test_the_commit_of_a_folder_says_where_files_differ(tmp_path: Path) -> None:
    git(tmp_path, "init", "-q")
    (tmp_path / "a.txt").write_text("a")
    git(tmp_path, "add", ".")
    git(tmp_path, "commit", "-qm", "first")
    head = git(tmp_path, "rev-parse", "HEAD")
    assert run_record.commit(tmp_path) == head
    (tmp_path / "a.txt").write_text("b")
    assert run_record.commit(tmp_path) == f"{head}+changes"


def test_a_folder_outside_git_has_no_commit(tmp_path: Path) -> None:
    assert run_record.commit(tmp_path) is None


def test_the_readme_names_commands_with_the_packages_they_need(tmp_path: Path) -> None:
    config = {"model": {"base": "runs/base"}, "data": {"class_path": "a.b.TupleDataModule"}}
    run_record.write_readme(tmp_path / "a run", config, ["--import-from", "mylab"])
    text = (tmp_path / "a run" / "README.md").read_text()
    assert "| data | `TupleDataModule` |" in text
    commands = re.findall(r"^synthpert (\w+) ", text, re.MULTILINE)
    named = ["fit", "test", "score", "report", "predict", "hits", "serve", "export"]
    assert commands == named
    assert text.count("--import-from mylab") == 5
    assert f"--run '{tmp_path / 'a run'}'" in text
