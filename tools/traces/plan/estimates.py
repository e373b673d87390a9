"""Estimates of tokens, US dollars and hours: arithmetic alone; `plan.py` reads and shows.

Three figures stand for what is not known. Base is what to expect, low and high are what a teacher
of few or many words would make of it; high is a sensible ceiling, not the bound of a budget.
"""

from __future__ import annotations

import statistics
from dataclasses import dataclass
from typing import TYPE_CHECKING, NamedTuple

if TYPE_CHECKING:
    from collections.abc import Sequence

    from tools.traces.asking.money import Price
    from tools.traces.settings import Model

# Fewer replies tell too little.
ENOUGH_REPLIES = 30
# Seconds that a reasoning model takes for a reply.
SECONDS = 15.0
MINUTE = 60.0


class Range(NamedTuple):
    """A figure that is not known for sure.

    Attributes:
        low: If all goes cheaply.
        base: To be expected.
        high: A sensible ceiling.
    """

    low: float
    base: float
    high: float

    @classmethod
    def exactly(cls, figure: float) -> Range:
        """Make the range of a figure that is known.

        Args:
            figure: Low, base and high.
        """
        return cls(figure, figure, figure)

    def plus(self, other: Range) -> Range:
        """Add, low to low and high to high.

        Args:
            other: What is added.
        """
        return Range(*(a + b for a, b in zip(self, other, strict=True)))

    def times(self, other: Range) -> Range:
        """Multiply, low by low and high by high.

        Args:
            other: The factor.
        """
        return Range(*(a * b for a, b in zip(self, other, strict=True)))

    def at_most(self, limit: float | None) -> Range:
        """Cut off what is above a limit.

        Args:
            limit: None for none.
        """
        return self if limit is None else Range(*(min(each, limit) for each in self))


# Tokens of a reply, hidden reasoning included. About US$ 900 is paid for 74,765 questions, each put
# to teacher and critic once, at o4-mini's US$ 1.10 and 4.40 a million and the paper's prompts.
REPLY_TOKENS = Range(600, 1200, 2400)
# Tokens of the thought within it, which a critic reads: 2.8 kB of text at four bytes a token.
THOUGHT_TOKENS = Range(350, 700, 1400)
# The share of the teacher's answers that are right and go to the critics. Told the outcome it
# rarely says another; to predict it is hard (the paper's Table 1).
RIGHT_WHEN_TOLD = Range(0.8, 0.95, 1.0)
RIGHT_WHEN_BLIND = Range(0.3, 0.6, 0.9)


@dataclass(frozen=True)
class Stage:
    """What is asked of one model in one role.

    Attributes:
        role: `teacher` or `critic`.
        model: Who is asked.
        price: What it charges.
        calls: How many.
        tokens_in: Of a request.
        tokens_out: Of a reply, hidden reasoning included.
        seconds: From sending to the reply.
    """

    role: str
    model: Model
    price: Price
    calls: Range
    tokens_in: Range
    tokens_out: Range
    seconds: float = SECONDS

    def dollars(self, batch: bool = False) -> Range:
        """Price all its calls.

        Args:
            batch: Whether by the provider's batch prices.

        Returns:
            US dollars.
        """
        each = zip(self.calls, self.tokens_in, self.tokens_out, strict=True)
        return Range(*(n * self.price.cost(sent, told, batch) for n, sent, told in each))


def total(stages: Sequence[Stage], batch: bool = False) -> Range:
    """Price everything.

    Args:
        stages: Who is asked what.
        batch: Whether by the providers' batch prices.

    Returns:
        US dollars.
    """
    cost = Range.exactly(0.0)
    for stage in stages:
        cost = cost.plus(stage.dollars(batch))
    return cost


def mean_of(figures: Sequence[float]) -> Range | None:
    """Estimate a mean from replies.

    Args:
        figures: One for each reply.

    Returns:
        The mean, and two standard errors to each side; None if there are too few replies.
    """
    if len(figures) < ENOUGH_REPLIES:
        return None
    mean = statistics.fmean(figures)
    error = 2 * statistics.stdev(figures) / len(figures) ** 0.5
    return Range(max(0.0, mean - error), mean, mean + error)


def duration(stages: Sequence[Stage]) -> tuple[float, str]:
    """Say how long the base case takes; teacher and critics are asked side by side.

    Args:
        stages: Who is asked what.

    Returns:
        Seconds, and what it is that makes it so long.
    """
    by_model: dict[tuple[str, object], list[Stage]] = {}
    for stage in stages:
        place = (stage.model.model, stage.model.parameters.get("api_base"))
        by_model.setdefault(place, []).append(stage)
    return max(_slowest(group) for group in by_model.values())


def _slowest(stages: Sequence[Stage]) -> tuple[float, str]:
    """The same of stages that ask one model, and share its limits."""
    model = stages[0].model
    calls = sum(stage.calls.base for stage in stages)
    busy = sum(stage.calls.base * stage.seconds for stage in stages)
    tokens = sum(s.calls.base * (s.tokens_in.base + s.tokens_out.base) for s in stages)
    times = [(busy / model.in_flight, f"{model.in_flight:,} in flight")]
    if model.requests_per_minute:
        limit = model.requests_per_minute
        times.append((calls / limit * MINUTE, f"{limit:,} requests a minute"))
    if model.tokens_per_minute:
        limit = model.tokens_per_minute
        times.append((tokens / limit * MINUTE, f"{limit:,} tokens a minute"))
    return max(times)


def affordable(left: float, cost: Range, questions: int) -> Range:
    """Say for how many questions the money lasts.

    Args:
        left: US dollars.
        cost: US dollars, of all the questions.
        questions: How many there are.

    Returns:
        Questions; low is what the high cost leaves.
    """
    return Range(
        *(questions * min(1.0, max(0.0, left) / each) if each else questions for each in cost[::-1])
    )
