"""Patience: what is asked again, how long is waited, what ends a run; without HTTP."""

from __future__ import annotations

import asyncio
import time
from collections import Counter
from dataclasses import dataclass, field
from pathlib import Path

import pytest

from synthpert.errors import InputError, StoppedError
from synthpert.prompts import Message
from synthpert.questions import Label, Question
from tools.traces.asking import Asker
from tools.traces.journal import Call, Journal, Reply
from tools.traces.teachers import FailedError, RefusedError

HI = Reply("hi", "stop")


@dataclass
class Scripted:
    """Replies or raises as its script says, one entry a request; the last one for ever."""

    script: list[Reply | Exception]
    times: list[float] = field(default_factory=list)

    async def ask(self, messages: list[Message]) -> Reply:
        self.times.append(time.monotonic())
        said = self.script.pop(0) if len(self.script) > 1 else self.script[0]
        await asyncio.sleep(0)
        if isinstance(said, Exception):
            raise said
        return said


@dataclass
class Run:
    """What came of a run: replies, the states in the journal, what stopped it."""

    replies: list[Reply | None]
    states: Counter[str]
    stopped: Exception | None


def run(path: Path, model: Scripted, calls: int = 1, **how: float) -> Run:
    question = Question("k562", "A", "B")

    async def ask_all(journal: Journal) -> Run:
        asker = Asker({"teacher": model}, journal, **({"attempts": 4, "backoff": 0.001} | how))
        replies = []
        for i in range(calls):
            messages = [{"role": "user", "content": str(i)}]
            call = Call("teacher", question, Label.UP, 0, "a/b", {}, messages, "p")
            replies.append(await asker.ask(call))
        states = Counter(row["state"] for row in journal.rows())
        return Run(replies, states, asker.stopped)

    with Journal(path / "j.sqlite", write=True) as journal:
        return asyncio.run(ask_all(journal))


def test_a_failure_is_asked_again_and_both_are_written_down(tmp_path: Path) -> None:
    done = run(tmp_path, Scripted([FailedError("429"), HI]))
    assert done.replies == [HI]
    assert done.states == {"failed": 1, "answered": 1}


def test_failures_are_asked_again_only_so_often(tmp_path: Path) -> None:
    done = run(tmp_path, Scripted([FailedError("500")]), attempts=3)
    assert done.replies == [None]
    assert done.states == {"failed": 3}
    assert done.stopped is None


def test_a_refusal_is_not_asked_again(tmp_path: Path) -> None:
    done = run(tmp_path, Scripted([RefusedError("400"), HI]), calls=2)
    assert done.replies == [None, HI]
    assert done.states == {"refused": 1, "answered": 1}


@pytest.mark.parametrize("error", [StoppedError("401"), InputError("no such model")])
def test_after_a_stop_nothing_more_is_asked(tmp_path: Path, error: Exception) -> None:
    model = Scripted([HI, error])
    done = run(tmp_path, model, calls=5)
    assert done.replies == [HI, None, None, None, None]
    assert done.states == {"answered": 1, "stopped": 1}
    assert done.stopped is error
    assert len(model.times) == 2


def test_many_calls_lost_in_a_row_stop_the_run(tmp_path: Path) -> None:
    done = run(tmp_path, Scripted([RefusedError("bad parameter")]), calls=30)
    assert done.states == {"refused": 20}
    assert isinstance(done.stopped, StoppedError)
    assert "20 calls in a row came to nothing; the last: bad parameter" in str(done.stopped)


def test_the_provider_is_given_the_time_it_asks_for(tmp_path: Path) -> None:
    model = Scripted([FailedError("429", retry_after=0.3), HI])
    run(tmp_path, model)
    assert model.times[1] - model.times[0] >= 0.3


def test_waits_are_random_and_their_bound_doubles(tmp_path: Path) -> None:
    model = Scripted([FailedError("500")])
    run(tmp_path, model, attempts=5, backoff=0.02)
    waits = [b - a for a, b in zip(model.times, model.times[1:], strict=False)]
    slack = 0.2
    assert all(wait <= 0.02 * 2**i + slack for i, wait in enumerate(waits))
    assert len({round(wait, 6) for wait in waits}) == 4


def test_a_stop_wakes_those_who_wait(tmp_path: Path) -> None:
    model = Scripted([FailedError("429", retry_after=60), StoppedError("401")])
    question = Question("k562", "A", "B")
    calls = [
        Call("teacher", question, Label.UP, i, "a/b", {}, [{"role": "user", "content": ""}], "p")
        for i in range(2)
    ]

    async def both(journal: Journal) -> list[Reply | None]:
        asker = Asker({"teacher": model}, journal, attempts=4, backoff=0.001)
        return await asyncio.gather(*map(asker.ask, calls))

    start = time.monotonic()
    with Journal(tmp_path / "j.sqlite", write=True) as journal:
        assert asyncio.run(both(journal)) == [None, None]
    assert time.monotonic() - start < 30
