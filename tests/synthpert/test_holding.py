"""One process at a time: who holds it is told, and nobody holds it who has ended."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

from synthpert.errors import InputError, StoppedError
from synthpert.holding import hold, refuse_held, release

HOME = Path(__file__).resolve().parents[2]
HOLDER = """
import sys, time
from pathlib import Path
from synthpert.holding import hold
kept = hold(Path(sys.argv[1]), Path("run"), "busy")
{then}
print("held", flush=True)
time.sleep(60)
"""
FORK = """
import os
if os.fork() == 0:
    print("child", os.getpid(), flush=True)
    time.sleep(60)
"""


def holder(lock: Path, then: str = "") -> subprocess.Popen[str]:
    """A process that holds `lock`, and has said so."""
    process = subprocess.Popen(
        [sys.executable, "-c", HOLDER.format(then=then), str(lock), "--api_key", "Q" * 40],
        stdout=subprocess.PIPE,
        text=True,
        env={**os.environ, "PYTHONPATH": str(HOME)},
    )
    return process


@pytest.fixture
def busy(tmp_path: Path) -> Iterator[subprocess.Popen[str]]:
    process = holder(tmp_path / ".lock")
    assert process.stdout is not None
    assert process.stdout.readline() == "held\n"
    yield process
    process.kill()
    process.wait()


def test_a_second_process_is_told_who_holds_it(busy: subprocess.Popen[str], tmp_path: Path) -> None:
    with pytest.raises(StoppedError, match=rf"^run: busy: pid {busy.pid} on .* \(wait\)$"):
        hold(tmp_path / ".lock", Path("run"), "busy", "wait")


def test_a_look_at_it_is_told_as_well(busy: subprocess.Popen[str], tmp_path: Path) -> None:
    with pytest.raises(StoppedError, match="busy"):
        refuse_held(tmp_path / ".lock", Path("run"), "busy")


def test_no_secret_of_the_command_line_is_told(busy: subprocess.Popen[str], tmp_path: Path) -> None:
    assert "QQQ" not in (tmp_path / ".lock").read_text()


def test_a_killed_process_holds_nothing(busy: subprocess.Popen[str], tmp_path: Path) -> None:
    busy.kill()
    busy.wait()
    release(hold(tmp_path / ".lock", Path("run"), "busy"))


def test_a_worker_that_outlives_its_parent_holds_nothing(tmp_path: Path) -> None:
    process = holder(tmp_path / ".lock", FORK)
    assert process.stdout is not None
    lines = [process.stdout.readline().split() for _ in range(2)]
    worker = next(int(line[1]) for line in lines if line[0] == "child")
    process.kill()
    process.wait()
    os.kill(worker, 0)  # it lives
    # Its hook runs before the line that it writes, which was read.
    release(hold(tmp_path / ".lock", Path("run"), "busy"))
    os.kill(worker, signal.SIGKILL)


def test_a_look_leaves_nothing_behind(tmp_path: Path) -> None:
    refuse_held(tmp_path / "run" / ".lock", Path("run"), "busy")
    assert list(tmp_path.iterdir()) == []


def test_what_was_released_is_free_and_tells_nobody(tmp_path: Path) -> None:
    release(hold(tmp_path / ".lock", Path("run"), "busy"))
    assert (tmp_path / ".lock").read_text() == ""
    refuse_held(tmp_path / ".lock", Path("run"), "busy")


def test_a_place_that_cannot_be_written_is_named(tmp_path: Path) -> None:
    (tmp_path / "file").touch()
    with pytest.raises(InputError, match=r"^run: cannot write here: (Not a directory|File exists)"):
        hold(tmp_path / "file" / ".lock", Path("run"), "busy")
