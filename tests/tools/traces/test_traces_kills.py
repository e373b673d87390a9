"""SIGKILL at random moments: no reply that anybody has been told of is lost."""

from __future__ import annotations

import importlib.util
import os
import random
import signal
import subprocess
import sys
import time
from pathlib import Path
from types import ModuleType

import pytest

from tools.traces.journal import Journal, State

ROOT = Path(__file__).resolve().parents[3]
WRITER = """
import asyncio, sys
from pathlib import Path
from synthpert.questions import Question
from tools.traces.journal import Call, Journal, Reply, State
from tools.traces.settings import Model

async def one(journal, i):
    call = Call("teacher", Question("k562", "A", "B"), None, i, Model(), [{"content": "x"}], "p")
    row = await journal.start(call)
    await journal.finish(row, State.ANSWERED, 0.1, reply=Reply(f"reply {i} " * 300, "stop"))
    sys.stdout.write(call.key + "\\n")
    sys.stdout.flush()

async def work(journal, first):
    while True:
        await asyncio.gather(*(one(journal, i) for i in range(first, first + 8)))
        first += 8

with Journal(Path("j.sqlite"), write=True) as journal:
    asyncio.run(work(journal, int(sys.argv[1])))
"""


def kill_after(seconds: float, folder: Path, first: int) -> list[str]:
    """Let a writer write until so many seconds after its first word; the keys that it told."""
    command = [sys.executable, "-c", WRITER, str(first)]
    env = os.environ | {"PYTHONPATH": str(ROOT)}
    with (folder / "told.txt").open("wb") as told:
        child = subprocess.Popen(command, cwd=folder, env=env, stdout=told)
    while not (folder / "told.txt").stat().st_size:
        assert child.poll() is None
        time.sleep(0.001)
    time.sleep(seconds)
    child.send_signal(signal.SIGKILL)
    child.wait()
    return (folder / "told.txt").read_text().splitlines(keepends=True)


def test_a_reply_that_was_told_of_is_in_the_journal_whenever_the_writer_is_killed(
    tmp_path: Path,
) -> None:
    chance = random.Random(0)
    told: set[str] = set()
    for turn in range(6):
        lines = kill_after(chance.uniform(0, 0.2), tmp_path, turn * 100_000)
        told |= {line.strip() for line in lines if line.endswith("\n")}
        with Journal(tmp_path / "j.sqlite") as journal:
            rows = list(journal.rows())
        answered = {row["key"]: row for row in rows if row["state"] == State.ANSWERED}
        assert told <= set(answered)
        assert all(row["reply"] == f"reply {row['sample']} " * 300 for row in answered.values())
        assert sum(row["state"] == State.SENT for row in rows) <= 8
    assert len(told) > 6


@pytest.fixture(scope="module")
def benchmark() -> ModuleType:
    spec = importlib.util.spec_from_file_location("kills", ROOT / "benchmarks/journal_kills.py")
    assert spec is not None
    assert spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    # Its dataclasses look their module up.
    sys.modules["kills"] = module
    spec.loader.exec_module(module)
    return module


@pytest.mark.slow
def test_make_is_killed_twenty_times_and_loses_and_repeats_nothing(
    tmp_path: Path, benchmark: ModuleType
) -> None:
    figures = benchmark.measure(tmp_path, kills=20, questions=200)
    assert figures.kills == 20
    assert figures.answered == figures.acknowledged > 300
    assert (figures.lost, figures.duplicates) == (0, 0)
    # What came to the server again was under way at a kill; `make` says how much that was, unless
    # it is killed while it does.
    assert 0 < figures.reasked <= figures.under_way <= figures.bound
    assert 0 < figures.printed <= figures.under_way
    files = [path for path in tmp_path.rglob("*") if path.is_file()]
    assert all(benchmark.KEY.encode() not in path.read_bytes() for path in files)
