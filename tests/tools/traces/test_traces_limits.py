"""Limits: in any minute, and at once; with a clock that jumps instead of waiting."""

from __future__ import annotations

import asyncio
import selectors
from bisect import bisect_left
from collections.abc import Awaitable, Callable
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from synthpert.prompts import Message
from tools.traces.asking.limits import Line, Pace
from tools.traces.journal import Reply
from tools.traces.settings import Model

MINUTE = 60.0


class JumpingSelector(selectors.DefaultSelector):
    """Waits for nothing: a time-out has passed at once, on its own clock."""

    now = 0.0

    def select(self, timeout: float | None = None) -> list[Any]:
        self.now += max(timeout or 0.0, 1e-7)
        return super().select(0)


class JumpingLoop(asyncio.SelectorEventLoop):
    """An event loop with a clock of its own, so that an hour takes a moment."""

    def __init__(self) -> None:
        self._clock = JumpingSelector()
        super().__init__(self._clock)

    def time(self) -> float:
        return self._clock.now


def run(main: Callable[[], Awaitable[None]]) -> None:
    with asyncio.Runner(loop_factory=JumpingLoop) as runner:
        runner.run(main())  # type: ignore[arg-type]


def chat(tokens: float = 0) -> list[Message]:
    return [{"role": "user", "content": "x" * round(tokens * 3.5)}]


def reply(tokens: int | None = None) -> Reply:
    return Reply("hi", "stop", None, tokens)


def sent_at(model: Model, calls: list[tuple[float, float]], took: float = 1.0) -> list[float]:
    """Send calls of (seconds after the one before, tokens in); when each went out."""
    times: list[float] = []

    async def main() -> None:
        pace, loop = Pace(model), asyncio.get_running_loop()

        async def ask(tokens: float) -> None:
            async with pace.slot(chat(tokens)):
                times.append(loop.time())
                await asyncio.sleep(took)

        async with asyncio.TaskGroup() as group:
            for rest, tokens in calls:
                await asyncio.sleep(rest)
                group.create_task(ask(tokens))

    run(main)
    return times


def in_a_minute(times: list[float], amounts: list[float]) -> float:
    """The most that went out in any 60 seconds."""
    # The loop's clock may be early by its resolution.
    ends = [bisect_left(times, start + MINUTE - 1e-3) for start in times]
    return max(sum(amounts[start:end]) for start, end in enumerate(ends))


RESTS = st.sampled_from([0.0, 0.0, 0.0, 0.3, 7.0, 100.0])


@given(st.integers(1, 200), st.lists(RESTS, min_size=1, max_size=150))
@settings(deadline=None, max_examples=40)
def test_in_any_minute_no_more_requests_go_out_than_the_limit(
    limit: int, rests: list[float]
) -> None:
    model = Model(requests_per_minute=limit, in_flight=512)
    times = sent_at(model, [(rest, 0.0) for rest in rests])
    assert in_a_minute(times, [1.0] * len(times)) <= limit


@given(
    st.integers(3_000, 300_000),
    st.lists(st.tuples(RESTS, st.integers(0, 6_000)), min_size=1, max_size=150),
)
@settings(deadline=None, max_examples=40)
def test_in_any_minute_no_more_tokens_go_out_than_the_limit_and_one_call(
    limit: int, calls: list[tuple[float, int]]
) -> None:
    model = Model(tokens_per_minute=limit, in_flight=512, parameters={"max_tokens": 500})
    times = sent_at(model, [(rest, float(tokens)) for rest, tokens in calls])
    amounts = [min(limit, tokens + 500.0) for _, tokens in calls]
    assert in_a_minute(times, amounts) <= limit + max(amounts)


@pytest.mark.parametrize("limit", [1, 2, 59, 90, 600])
def test_a_queue_uses_the_limit_and_no_more(limit: int) -> None:
    times = sent_at(Model(requests_per_minute=limit, in_flight=2000), [(0.0, 0.0)] * (3 * limit))
    assert times[-1] <= 3 * MINUTE * 1.03
    assert in_a_minute(times, [1.0] * len(times)) <= limit


def test_calls_smaller_than_a_second_of_tokens_keep_to_the_limit_itself() -> None:
    model = Model(tokens_per_minute=60_000, in_flight=2000, parameters={"max_tokens": 100})
    times = sent_at(model, [(0.0, 100.0)] * 900)
    assert in_a_minute(times, [200.0] * 900) <= 60_000
    assert times[-1] <= 3 * MINUTE * 1.03


def test_a_call_above_the_limit_takes_a_minute_and_goes() -> None:
    calls = [(0.0, 50_000.0), (0.0, 50_000.0), (0.0, 10.0)]
    first, second, third = sent_at(Model(tokens_per_minute=600), calls)
    assert first == pytest.approx(MINUTE, rel=0.02)
    assert second - first == pytest.approx(MINUTE, rel=0.02)
    assert third - second == pytest.approx(MINUTE, rel=0.02)


def test_replies_teach_how_many_tokens_the_next_one_takes() -> None:
    async def main() -> None:
        model = Model(tokens_per_minute=6_000, parameters={"max_tokens": 100_000})
        pace, loop = Pace(model), asyncio.get_running_loop()
        async with pace.slot(chat()):
            pace.succeeded(reply(200))
        start = loop.time()
        for _ in range(15):
            async with pace.slot(chat(200)):
                pace.succeeded(reply(200))
        assert loop.time() - start == pytest.approx(MINUTE, rel=0.05)

    run(main)


def test_without_limits_nothing_waits() -> None:
    assert sent_at(Model(in_flight=500), [(0.0, 1e4)] * 500)[-1] < 0.1


def test_no_more_are_under_way_than_in_flight_and_they_come_in_order() -> None:
    times = sent_at(Model(in_flight=4), [(0.0, 0.0)] * 12)
    assert [round(time) for time in times] == [0] * 4 + [1] * 4 + [2] * 4


def test_an_overload_halves_what_is_in_flight_once_a_round_trip() -> None:
    async def main() -> None:
        pace = Pace(Model(in_flight=64))

        async def ask() -> None:
            async with pace.slot(chat()):
                await asyncio.sleep(1)
                pace.overloaded()

        async with asyncio.TaskGroup() as group:
            for _ in range(64):
                group.create_task(ask())
        assert pace.limit == 32
        await ask()
        assert pace.limit == 16

    run(main)


def test_a_round_of_replies_adds_one_up_to_what_was_asked_for() -> None:
    pace = Pace(Model(in_flight=10))
    for _ in range(3):
        pace.overloaded()
    assert pace.limit == 1.25
    pace.limit = 4.0
    for _ in range(4):
        pace.succeeded(reply())
    assert pace.limit == pytest.approx(5, abs=0.15)
    for _ in range(100):
        pace.succeeded(reply())
    assert pace.limit == 10


def test_one_call_is_always_let_through() -> None:
    pace = Pace(Model(in_flight=3))
    for _ in range(20):
        pace.overloaded()
    assert pace.limit == 1
    run(lambda: _enter(pace))


def test_fewer_are_let_in_after_an_overload_and_more_after_replies() -> None:
    times: list[int] = []

    async def main() -> None:
        pace, loop = Pace(Model(in_flight=8)), asyncio.get_running_loop()

        async def ask(number: int) -> None:
            async with pace.slot(chat()):
                times.append(round(loop.time()))
                await asyncio.sleep(1)
                if number == 0:
                    pace.overloaded()
                else:
                    pace.succeeded(reply())

        async with asyncio.TaskGroup() as group:
            for number in range(30):
                group.create_task(ask(number))

    run(main)
    # The seven that were under way with the one too many do not speed it up again.
    assert [times.count(second) for second in range(4)] == [8, 4, 4, 5]


@pytest.mark.parametrize("limits", [{}, {"requests_per_minute": 1}, {"tokens_per_minute": 600}])
def test_a_cancelled_waiter_leaks_nothing(limits: dict[str, int]) -> None:
    async def main() -> None:
        pace = Pace(Model(in_flight=2, **limits))
        async with pace.slot(chat()):
            waiters = [asyncio.ensure_future(_enter(pace)) for _ in range(5)]
            await asyncio.sleep(0.5)
            for waiter in waiters:
                waiter.cancel()
            await asyncio.gather(*waiters, return_exceptions=True)
        async with asyncio.timeout(4 * MINUTE), pace.slot(chat()):
            await _enter(pace)

    run(main)


def test_who_is_cancelled_on_the_threshold_gives_the_place_back() -> None:
    async def main() -> None:
        inside: list[int] = []

        def admit(ticket: int) -> bool:
            if not inside:
                inside.append(ticket)
                return True
            return False

        line = Line(admit, inside.remove)
        await line.join(0)
        first, second = (asyncio.ensure_future(line.join(ticket)) for ticket in (1, 2))
        await asyncio.sleep(0)
        inside.remove(0)
        line.move()
        assert inside == [1]
        first.cancel()
        await second
        assert inside == [2]

    run(main)


def test_an_error_of_the_block_gives_the_place_back() -> None:
    async def main() -> None:
        pace = Pace(Model(in_flight=1))
        for _ in range(3):
            with pytest.raises(OSError, match="broken"):
                async with pace.slot(chat()):
                    raise OSError("broken")

    run(main)


async def _enter(pace: Pace) -> None:
    async with pace.slot(chat()):
        await asyncio.sleep(0)
