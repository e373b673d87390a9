"""Running many walks: each to its end, what the journal holds is not asked, errors end the run."""

from __future__ import annotations

from collections.abc import Generator, Iterator
from dataclasses import dataclass, field
from pathlib import Path

import pytest

from synthpert.errors import InputError, StoppedError
from synthpert.prompts import Message
from synthpert.questions import Label, Question
from tools.traces.asking.money import Price
from tools.traces.asking.running import run
from tools.traces.engines.engine import RefusedError
from tools.traces.journal import Journal
from tools.traces.journal.records import Call, Reading, Reply
from tools.traces.settings import Model

FREE = Price(0.0, 0.0)
MODEL = Model("a/b", {"max_tokens": 10}, in_flight=4)
Steps = Generator[Call, Reply | None, str]


@dataclass
class Echo:
    """Says what it is asked; refuses what begins with "no", stops at "stop"."""

    model: Model = MODEL
    price: Price = FREE
    heard: list[str] = field(default_factory=list)
    closed: int = 0

    async def ask(self, messages: list[Message]) -> Reply:
        said = messages[0]["content"]
        self.heard.append(said)
        if said.startswith("no"):
            raise RefusedError("will not")
        if said.startswith("stop"):
            raise StoppedError("out of order")
        return Reply(said, "stop")

    async def close(self) -> None:
        self.closed += 1


def call(text: str) -> Call:
    question = Question("k562", "A", "B")
    return Call("teacher", question, Label.UP, 0, MODEL, [{"role": "user", "content": text}], "p")


def twice(text: str) -> Steps:
    first = yield call(text)
    if first is None:
        return f"{text}: nothing"
    second = yield call(text + "!")
    return f"{first.text}, {second.text if second else None}"


def run_all(path: Path, echo: Echo, texts: list[str], target: int | None = None) -> list[str]:
    done: list[str] = []

    def on_done(result: str) -> bool:
        done.append(result)
        return not result.endswith("nothing")

    with Journal(path / "j.sqlite", write=True) as journal:
        run(
            journal,
            [MODEL],
            map(twice, texts),
            on_done,
            lambda call, reply: Reading("ok"),
            total=len(texts),
            target=target,
            engine_of=lambda _: echo,
        )
    return done


def test_every_walk_comes_to_its_end(tmp_path: Path) -> None:
    texts = [str(i) for i in range(50)]
    assert sorted(run_all(tmp_path, Echo(), texts)) == sorted(f"{i}, {i}!" for i in texts)


def test_what_the_journal_holds_is_not_asked(tmp_path: Path) -> None:
    first, second = Echo(), Echo()
    before = run_all(tmp_path, first, ["a", "b"])
    assert sorted(run_all(tmp_path, second, ["a", "b", "c"])) == sorted([*before, "c, c!"])
    assert sorted(second.heard) == ["c", "c!"]


def test_a_call_that_is_refused_sends_its_walk_none(tmp_path: Path) -> None:
    assert sorted(run_all(tmp_path, Echo(), ["a", "no"])) == ["a, a!", "no: nothing"]


def test_what_stops_the_run_is_raised_and_engines_are_closed(tmp_path: Path) -> None:
    echo = Echo()
    with pytest.raises(StoppedError, match="out of order"):
        run_all(tmp_path, echo, ["a", "stop", *map(str, range(100))])
    assert len(echo.heard) < 20
    assert echo.closed == 1


def test_an_error_in_a_walk_is_raised_as_it_is(tmp_path: Path) -> None:
    def broken() -> Steps:
        yield call("a")
        raise InputError("no such folder")

    with (
        Journal(tmp_path / "j.sqlite", write=True) as journal,
        pytest.raises(InputError, match="no such folder"),
    ):
        run(
            journal,
            [MODEL],
            [broken(), *map(twice, "bcdefgh")],
            lambda result: True,
            lambda call, reply: Reading("ok"),
            total=8,
            engine_of=lambda _: Echo(),
        )


def test_walks_are_drawn_only_as_they_are_needed(tmp_path: Path) -> None:
    ahead: list[int] = []
    echo = Echo()

    def texts() -> Iterator[str]:
        for i in range(200):
            ahead.append(i - len(echo.heard) // 2)
            yield str(i)

    done: list[str] = []
    with Journal(tmp_path / "j.sqlite", write=True) as journal:
        run(
            journal,
            [MODEL],
            map(twice, texts()),
            lambda result: not done.append(result),
            lambda call, reply: Reading("ok"),
            total=200,
            engine_of=lambda _: echo,
        )
    assert len(done) == 200
    assert max(ahead) <= 2 * MODEL.in_flight


def test_a_target_begins_no_further_walk(tmp_path: Path) -> None:
    done = run_all(tmp_path, Echo(), [str(i) for i in range(100)], target=10)
    assert 10 <= len(done) <= 10 + MODEL.in_flight


def test_a_model_that_cannot_be_opened_asks_nobody(tmp_path: Path) -> None:
    def closed(_: Model) -> Echo:
        raise InputError("unknown model")

    with (
        Journal(tmp_path / "j.sqlite", write=True) as journal,
        pytest.raises(InputError, match="unknown model"),
    ):
        run(
            journal,
            [MODEL],
            [twice("a")],
            lambda result: True,
            lambda call, reply: Reading("ok"),
            total=1,
            engine_of=closed,
        )
