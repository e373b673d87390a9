"""The arithmetic of a plan: calls, tokens, dollars, hours."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from tools.traces.asking.money import Price
from tools.traces.plan.estimates import (
    REPLY_TOKENS,
    RIGHT_WHEN_TOLD,
    THOUGHT_TOKENS,
    Range,
    Stage,
    affordable,
    duration,
    mean_of,
    total,
)
from tools.traces.settings import Model

O4_MINI = Price(1.1e-6, 4.4e-6, 0.55e-6, 2.2e-6, max_output=100_000)
# As o4-mini's tokenizer counts the paper's prompts, without the thought that a critic reads.
PROMPT = Range.exactly(283)
AMOUNTS = st.floats(0, 1e6)


def paper(questions: float) -> list[Stage]:
    """The paper's run: approach 2, one critic."""
    model, asked = Model("openai/o4-mini"), Range.exactly(questions)
    read = PROMPT.plus(THOUGHT_TOKENS)
    return [
        Stage("teacher", model, O4_MINI, asked, PROMPT, REPLY_TOKENS),
        Stage("critic", model, O4_MINI, asked.times(RIGHT_WHEN_TOLD), read, REPLY_TOKENS),
    ]


def stage(calls: float, seconds: float = 10.0, **limits: object) -> Stage:
    model = Model("a/b", **limits)  # type: ignore[arg-type]
    some = Range.exactly(100)
    return Stage("teacher", model, O4_MINI, Range.exactly(calls), some, some, seconds)


def test_the_papers_run_costs_about_900_dollars_and_half_of_it_by_batch() -> None:
    assert total(paper(74_765)).base == pytest.approx(900, rel=0.1)
    assert total(paper(74_765), batch=True).base == pytest.approx(450, rel=0.1)


def test_the_output_is_nine_tenths_of_a_teachers_price() -> None:
    teacher = paper(1)[0]
    output = O4_MINI.cost(0, teacher.tokens_out.base)
    assert output / teacher.dollars().base == pytest.approx(0.91, abs=0.04)


@given(st.lists(st.tuples(AMOUNTS, AMOUNTS, AMOUNTS).map(sorted), min_size=2, max_size=2))
def test_low_is_never_above_base_nor_base_above_high(figures: list[list[float]]) -> None:
    a, b = (Range(*each) for each in figures)
    for made in (a.plus(b), a.times(b), a.at_most(b.base)):
        assert made.low <= made.base <= made.high


def test_a_mean_needs_thirty_replies() -> None:
    assert mean_of([5.0] * 29) is None
    assert mean_of([5.0] * 30) == Range(5.0, 5.0, 5.0)


def test_a_mean_lies_two_standard_errors_from_low_and_high() -> None:
    low, base, high = mean_of([0.0, 10.0] * 50) or Range.exactly(0)
    assert base == 5.0
    assert (high - base, base - low) == pytest.approx((1.005, 1.005), abs=1e-3)


@pytest.mark.parametrize(
    ("limits", "seconds", "why"),
    [
        ({"in_flight": 10}, 600.0, "10 in flight"),
        ({"in_flight": 10, "requests_per_minute": 30}, 1200.0, "30 requests a minute"),
        ({"in_flight": 10, "tokens_per_minute": 6000}, 1200.0, "6,000 tokens a minute"),
        ({"in_flight": 1, "requests_per_minute": 30}, 6000.0, "1 in flight"),
    ],
)
def test_the_tightest_limit_says_how_long_it_takes(
    limits: dict[str, object], seconds: float, why: str
) -> None:
    assert duration([stage(600, **limits)]) == (seconds, why)


def test_stages_of_one_model_share_its_limits_and_others_run_beside() -> None:
    assert duration([stage(64), stage(64)])[0] == 20.0
    elsewhere = stage(64, parameters={"api_base": "http://b"})
    assert duration([stage(64), elsewhere])[0] == 10.0


def test_money_lasts_for_fewer_questions_where_they_cost_more() -> None:
    assert affordable(50.0, Range(25.0, 100.0, 200.0), 1000) == Range(250.0, 500.0, 1000.0)


def test_no_money_is_enough_for_nothing_unless_it_is_free() -> None:
    assert affordable(-1.0, Range(1.0, 2.0, 3.0), 1000) == Range(0.0, 0.0, 0.0)
    assert affordable(-1.0, Range(0.0, 0.0, 0.0), 1000) == Range(1000, 1000, 1000)


def test_stages_of_unequal_figures_are_an_error() -> None:
    with pytest.raises(TypeError):
        Range(*[1.0, 2.0])  # type: ignore[call-arg]
