"""Patience: what is asked again, how long is waited, what ends a run; without HTTP."""

from __future__ import annotations

import asyncio
import time
from collections import Counter
from dataclasses import dataclass, field, replace
from pathlib import Path

import pytest

from synthpert.errors import InputError, StoppedError
from synthpert.prompts import Message
from synthpert.questions import Label, Question
from tools.traces.asking import Asker, open_lanes
from tools.traces.asking.limits import strictest
from tools.traces.asking.money import Budget, Price
from tools.traces.engines.engine import FailedError, RefusedError
from tools.traces.journal import Journal
from tools.traces.journal.records import Call, Reply
from tools.traces.settings import Model
from tools.traces.walk import read_reply

HI = Reply("hi", "stop", 10, 10, 0.5)
MODEL = Model("a/b", {"max_tokens": 100})
# One request is bound to cost US$ 1: nothing in, a hundred tokens out.
PRICE = Price(0.0, 0.01)


@dataclass
class Scripted:
    """Replies or raises as its script says, one entry a request; the last one for ever."""

    script: list[Reply | Exception]
    price: Price = PRICE
    model: Model = MODEL
    delay: float = 0.0
    times: list[float] = field(default_factory=list)
    at_once: int = 0
    loads: list[int] = field(default_factory=list)

    async def ask(self, messages: list[Message]) -> Reply:
        self.times.append(time.monotonic())
        said = self.script.pop(0) if len(self.script) > 1 else self.script[0]
        self.at_once += 1
        self.loads.append(self.at_once)
        try:
            await asyncio.sleep(self.delay)
        finally:
            self.at_once -= 1
        if isinstance(said, Exception):
            raise said
        return said

    async def close(self) -> None:
        self.times = []


@dataclass
class Run:
    """What came of a run: replies, the states in the journal, what stopped it, what was spent."""

    replies: list[Reply | None]
    states: Counter[str]
    stopped: BaseException | None
    spent: float


def calls(count: int) -> list[Call]:
    question = Question("k562", "A", "B")
    return [
        Call("teacher", question, Label.UP, 0, MODEL, [{"role": "user", "content": str(i)}], "p")
        for i in range(count)
    ]


def run(
    path: Path,
    model: Scripted,
    count: int = 1,
    budget: float | None = None,
    together: bool = False,
    attempts: int = 4,
    backoff: float = 0.001,
) -> Run:
    async def ask_all(journal: Journal) -> Run:
        lanes = open_lanes([MODEL], lambda _: model)
        money = Budget(budget, journal.spent())
        asker = Asker(lanes, journal, money, read_reply, attempts=attempts, backoff=backoff)
        if together:
            replies = await asyncio.gather(*map(asker.ask, calls(count)))
        else:
            replies = [await asker.ask(call) for call in calls(count)]
        states = Counter(row["state"] for row in journal.rows())
        return Run(replies, states, asker.stopped, journal.spent())

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


def test_what_may_be_billed_without_a_reply_counts_in_the_budget(tmp_path: Path) -> None:
    model = Scripted([FailedError("time-out", may_be_billed=True)])
    done = run(tmp_path, model, budget=3.5, attempts=10)
    assert len(model.times) == 3
    assert done.spent == pytest.approx(3.0)
    assert isinstance(done.stopped, StoppedError)


def test_those_who_share_a_provider_keep_the_strictest_limits() -> None:
    critic = replace(MODEL, in_flight=3, requests_per_minute=60)
    lanes = open_lanes([MODEL, critic], lambda model: Scripted([HI], model=model))
    pace = lanes[MODEL.identity].pace
    assert pace is lanes[critic.identity].pace
    assert pace.limit == 3
    assert strictest([MODEL, critic]).requests_per_minute == 60


def test_a_refusal_is_not_asked_again(tmp_path: Path) -> None:
    done = run(tmp_path, Scripted([RefusedError("400"), HI]), 2)
    assert done.replies == [None, HI]
    assert done.states == {"refused": 1, "answered": 1}


@pytest.mark.parametrize("error", [StoppedError("401"), InputError("no such model")])
def test_after_a_stop_nothing_more_is_asked(tmp_path: Path, error: Exception) -> None:
    model = Scripted([HI, error])
    done = run(tmp_path, model, 5)
    assert done.replies == [HI, None, None, None, None]
    assert done.states == {"answered": 1, "stopped": 1}
    assert done.stopped is error
    assert len(model.times) == 2


def test_many_calls_lost_in_a_row_stop_the_run(tmp_path: Path) -> None:
    done = run(tmp_path, Scripted([RefusedError("bad parameter")]), 30)
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


def test_a_stop_wakes_those_who_wait_to_ask_again(tmp_path: Path) -> None:
    model = Scripted([FailedError("429", retry_after=60), StoppedError("401")])
    start = time.monotonic()
    done = run(tmp_path, model, 2, together=True)
    assert done.replies == [None, None]
    assert time.monotonic() - start < 30


def test_a_stop_wakes_those_who_wait_for_the_rate_limit(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    slow = Model("a/b", {"max_tokens": 100}, requests_per_minute=1)
    monkeypatch.setitem(globals(), "MODEL", slow)
    model = Scripted([StoppedError("401")], model=slow, delay=0.1)
    start = time.monotonic()
    done = run(tmp_path, model, 3, together=True)
    assert done.replies == [None] * 3
    assert done.states == {"stopped": 1}
    assert time.monotonic() - start < 30


def test_an_overloaded_provider_is_asked_less_at_once(tmp_path: Path) -> None:
    script = [FailedError("429", overloaded=True)] * 64 + [HI]
    model = Scripted(script, delay=0.01)
    done = run(tmp_path, model, 64, together=True)
    assert done.states["answered"] == 64
    assert max(model.loads[:64]) == 64
    assert max(model.loads[64:]) <= 34


def test_the_budget_ends_a_run_before_it_is_exceeded(tmp_path: Path) -> None:
    done = run(tmp_path, Scripted([HI]), 10, budget=2.6)
    # Half a dollar each; the bound of the next, one dollar, has to fit too.
    assert done.states == {"answered": 4}
    assert done.spent == pytest.approx(2.0)
    assert "budget" in str(done.stopped)


def test_those_under_way_share_the_budget(tmp_path: Path) -> None:
    model = Scripted([HI], delay=0.01)
    done = run(tmp_path, model, 10, budget=3.0, together=True)
    assert max(model.loads) <= 3
    assert done.spent <= 3.0
    assert done.states["answered"] == 5


def test_a_budget_needs_a_bound_on_the_reply(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setitem(globals(), "MODEL", Model("a/b"))
    done = run(tmp_path, Scripted([HI]), budget=3.0)
    assert isinstance(done.stopped, InputError)
    assert "max_tokens" in str(done.stopped)
    assert not done.states


def test_a_call_that_may_be_billed_counts_against_the_budget(tmp_path: Path) -> None:
    script = [FailedError("timed out", may_be_billed=True), HI]
    assert run(tmp_path, Scripted(script), budget=9.0).spent == pytest.approx(1.5)


def test_the_same_call_asked_twice_at_once_is_sent_once(tmp_path: Path) -> None:
    model = Scripted([HI], delay=0.05)

    async def twice(journal: Journal) -> list[Reply | None]:
        lanes = open_lanes([MODEL], lambda _: model)
        asker = Asker(lanes, journal, Budget(None), read_reply, attempts=1, backoff=0.0)
        return await asyncio.gather(*map(asker.ask, calls(1) * 2))

    with Journal(tmp_path / "j.sqlite", write=True) as journal:
        assert asyncio.run(twice(journal)) == [HI, HI]
    assert len(model.times) == 1


def test_the_same_model_has_one_pace_whatever_its_role() -> None:
    hot = Model("a/b", {"temperature": 1.0})
    lanes = open_lanes([MODEL, hot, MODEL], lambda model: Scripted([HI], model=model))
    assert len(lanes) == 2
    assert lanes[MODEL.identity].pace is lanes[hot.identity].pace
