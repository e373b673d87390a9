"""Money: bounds that hold, and a budget that no order of replies exceeds."""

from __future__ import annotations

import asyncio
import json
import logging
import random

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from synthpert.errors import InputError, StoppedError
from synthpert.prompts import Message
from tools.traces.asking.money import Budget, Price

PRICE = Price(1.1e-6, 4.4e-6, 0.55e-6, 2.2e-6, max_output=100_000)
CHAT: list[Message] = [{"role": "user", "content": "Does it?"}]
# The most that a call may cost, the share of it that it does cost (none: it fails, and is not
# billed), and for how many turns of the event loop it is under way.
CALL = st.tuples(st.floats(1e-7, 2.0), st.none() | st.floats(0.0, 1.0), st.integers(0, 9))


def many(seed: int, count: int) -> list[tuple[float, float | None, int]]:
    """More calls than hypothesis likes to make one by one."""
    draw = random.Random(seed)
    return [
        (draw.uniform(1e-7, 0.5), draw.choice([None, draw.random()]), draw.randrange(10))
        for _ in range(count)
    ]


CALLS = st.lists(CALL, min_size=1) | st.builds(many, st.integers(), st.integers(257, 600))


async def ask_all(
    budget: Budget, calls: list[tuple[float, float | None, int]], in_flight: int
) -> list[StoppedError]:
    """Make the calls, so many at once; whoever is stopped makes no more."""
    rest = iter(calls)
    stopped = []

    async def work() -> None:
        for bound, share, turns in rest:
            try:
                await budget.reserve(bound)
            except StoppedError as error:
                stopped.append(error)
                return
            for _ in range(turns):
                await asyncio.sleep(0)
                assert within(budget)
            budget.settle(bound, None if share is None else share * bound)
            assert within(budget)

    async with asyncio.timeout(60), asyncio.TaskGroup() as group:
        for _ in range(in_flight):
            group.create_task(work())
    return stopped


def within(budget: Budget) -> bool:
    return budget.limit is None or budget.spent + budget.reserved <= budget.limit + 1e-9


@given(CALLS, st.floats(0.0, 50.0))
@settings(deadline=None)
def test_whatever_the_order_of_replies_the_limit_holds(
    calls: list[tuple[float, float | None, int]], limit: float
) -> None:
    budget = Budget(limit)
    stopped = asyncio.run(ask_all(budget, calls, 256))
    assert budget.reserved == 0
    assert bool(stopped) or budget.spent == pytest.approx(
        sum(bound * (share or 0) for bound, share, _ in calls), abs=1e-9
    )


@given(CALLS)
@settings(deadline=None)
def test_the_budget_is_used_while_anything_fits(
    calls: list[tuple[float, float | None, int]],
) -> None:
    budget = Budget(5.0)
    stopped = asyncio.run(ask_all(budget, calls, 256))
    assert not stopped or budget.spent > 5.0 - 2.0


def test_without_a_limit_nothing_waits_and_all_is_counted() -> None:
    budget = Budget(None, spent=1.0)
    assert asyncio.run(ask_all(budget, [(1.0, 0.5, 1)] * 1000, 256)) == []
    assert budget.spent == 501.0


def test_who_waits_goes_on_when_somebody_gives_back() -> None:
    async def run() -> None:
        budget = Budget(1.0)
        await budget.reserve(0.8)
        waiting = asyncio.ensure_future(budget.reserve(0.6))
        await asyncio.sleep(0)
        assert not waiting.done()
        budget.settle(0.8, 0.1)
        await waiting
        assert (budget.spent, budget.reserved) == (0.1, 0.6)

    asyncio.run(run())


def test_nobody_waits_for_what_can_not_come() -> None:
    async def run() -> None:
        budget = Budget(1.0)
        await budget.reserve(0.5)
        waiting = asyncio.ensure_future(budget.reserve(0.6))
        await asyncio.sleep(0)
        budget.settle(0.5, 0.5)
        with pytest.raises(StoppedError, match=r"budget of US\$ 1\.00 is used up: US\$ 0\.5000 is"):
            await waiting

    asyncio.run(run())


def test_what_a_journal_has_cost_counts() -> None:
    with pytest.raises(StoppedError, match="used up"):
        asyncio.run(Budget(1.0, spent=0.9).reserve(0.2))


def test_free_calls_go_on_when_the_budget_is_used_up() -> None:
    asyncio.run(Budget(1.0, spent=2.0).reserve(0.0))


@pytest.mark.parametrize("settled_first", [True, False])
def test_a_cancelled_waiter_takes_nothing_along(settled_first: bool) -> None:
    async def run() -> None:
        budget = Budget(1.0)
        await budget.reserve(0.8)
        large, small = (asyncio.ensure_future(budget.reserve(each)) for each in (0.9, 0.2))
        await asyncio.sleep(0)
        if settled_first:
            budget.settle(0.8, 0.0)
        large.cancel()
        await small
        assert large.cancelled()
        assert budget.reserved == (0.2 if settled_first else 1.0)

    asyncio.run(run())


def test_a_cost_above_its_bound_is_booked_and_said(caplog: pytest.LogCaptureFixture) -> None:
    budget = Budget(1.0)
    asyncio.run(budget.reserve(0.1))
    with caplog.at_level(logging.WARNING):
        budget.settle(0.1, 0.3)
    assert (budget.spent, budget.reserved) == (0.3, 0.0)
    assert "cost US$ 0.3000, bounded by US$ 0.1000" in caplog.text


@pytest.mark.parametrize("amount", [float("inf"), float("nan")])
def test_what_is_no_sum_of_money_is_an_error(amount: float) -> None:
    with pytest.raises((ValueError, OverflowError)):
        asyncio.run(Budget(1.0).reserve(amount))


def test_usage_is_priced_by_the_token() -> None:
    assert PRICE.cost(1_000_000, 500_000) == pytest.approx(3.3)
    assert PRICE.cost(1_000_000, 500_000, batch=True) == pytest.approx(1.65)


def test_an_unknown_batch_price_is_the_full_one() -> None:
    assert Price(1e-6, 4e-6).cost(10, 10, batch=True) == Price(1e-6, 4e-6).cost(10, 10)


@given(st.text(max_size=200))
def test_no_tokenizer_of_bytes_has_more_tokens_than_the_bound(text: str) -> None:
    messages: list[Message] = [{"role": "system", "content": "Be brief."}]
    messages.append({"role": "user", "content": text})
    # The worst case: a token for every byte of the chat as it is sent.
    sent = json.dumps(messages, ensure_ascii=False).encode("utf-8", "surrogatepass")
    most = Price(1.0, 0.0).bound(messages, {})
    assert most >= sum(len(m["content"].encode()) for m in messages) + 32
    assert most >= len(sent) - 32


@pytest.mark.parametrize(
    ("parameters", "most"),
    [
        ({}, 100_000),
        ({"max_tokens": 50}, 50),
        ({"max_completion_tokens": 70, "max_tokens": None}, 70),
        ({"max_tokens": 50, "max_completion_tokens": 70}, 70),
        ({"max_tokens": 50, "extra_body": {"max_tokens": 900}}, 900),
    ],
)
def test_a_reply_is_bounded_by_its_parameters_or_the_model(
    parameters: dict[str, object], most: int
) -> None:
    assert Price(0.0, 1.0, max_output=100_000).bound(CHAT, parameters) == most


def test_a_request_may_be_written_to_a_dear_cache() -> None:
    plain, dear = Price(1e-6, 0.0), Price(1e-6, 0.0, cache_write=9e-6)
    assert dear.bound(CHAT, {}) == pytest.approx(plain.bound(CHAT, {}) * 9 / 1.25)


def test_a_batch_is_bounded_by_its_own_price() -> None:
    assert PRICE.bound(CHAT, {}, batch=True) == pytest.approx(PRICE.bound(CHAT, {}) / 2)


def test_a_reply_without_a_bound_is_an_error_unless_it_is_free() -> None:
    with pytest.raises(InputError, match=r"parameters: .* no bound \(expected max_tokens"):
        Price(0.0, 1.0).bound(CHAT, {})
    assert Price(0.0, 0.0).bound(CHAT, {"tools": [1]}) == 0.0


def test_a_prompt_of_another_price_class_is_an_error() -> None:
    with pytest.raises(InputError, match="too long to be priced"):
        PRICE.bound([{"role": "user", "content": "x" * 100_001}], {})


@pytest.mark.parametrize("extra", [{"tools": [{}]}, {"service_tier": "priority"}])
def test_what_is_charged_beside_the_tokens_is_an_error(extra: dict[str, object]) -> None:
    with pytest.raises(InputError, match=r"parameters\.\w+: its cost has no bound"):
        PRICE.bound(CHAT, extra)
    assert PRICE.bound(CHAT, {"service_tier": "flex"}) > 0
