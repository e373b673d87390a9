"""`ask --plan`: calls, tokens, US$ and hours; without a key, a socket, a question asked."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING, TypeVar

from synthpert.display import show
from synthpert.questions import to_questions
from tools.traces.asking.money import longest_reply
from tools.traces.engines.providers import count_tokens, model_facts
from tools.traces.journal import Journal
from tools.traces.journal.records import Reply, State
from tools.traces.plan.estimates import (
    REPLY_TOKENS,
    SECONDS,
    Range,
    Stage,
    affordable,
    duration,
    mean_of,
    total,
)

if TYPE_CHECKING:
    from collections.abc import Sequence

    from tools.ask.drawing import Drawn
    from tools.ask.settings import Settings
    from tools.ask.ways import Walk, Way
    from tools.traces.asking.money import Price
    from tools.traces.journal.records import Call

T = TypeVar("T")
# Prompts differ by a few names, and to count the tokens of all of them takes minutes.
_PROMPTS = 200
# A reply of about 80 tokens where a later call of a walk quotes the reply of an earlier one.
_STAND_IN = Reply(
    "It belongs to a complex of many parts and its loss is felt by others. " * 5, "stop"
)
_HEADER = ("role", "model", "calls", "tokens in", "tokens out", "US$ low", "US$ base", "US$ high")


def plan(settings: Settings, way: Way[T], drawn: Drawn) -> None:
    """Show what a run would ask, cost and take, on stdout.

    Args:
        settings: As for the run.
        way: How a question is asked.
        drawn: The questions.

    Raises:
        InputError: If a price is not known, or there is a budget and a call without a bound.
    """
    price = model_facts(way.model).price
    questions = to_questions(drawn.asked)
    some = questions[:: -(-len(questions) // _PROMPTS)]
    calls = {
        call.key: call
        for question in some
        for number in settings.numbers
        for call in _calls(way.walk(question, number))
    }
    waiting, spent, seen = _look(settings, list(calls.values()))
    scale = len(questions) / len(some)
    stages = [
        _stage(role, way, price, [call for call in waiting if call.role == role], scale, seen)
        for role in dict.fromkeys(call.role for call in calls.values())
    ]
    rows = [_row(stage) for stage in stages]
    if settings.batch or price.input_batch is not None:
        rows.append(("all by batch", None, None, None, None, *_cents(total(stages, batch=True))))
    samples = f" x {settings.samples} samples" * (settings.samples > 1)
    notes = [_sampled(some, questions), _time(settings, stages)]
    if settings.budget is not None:
        bounds = [price.bound(c.messages, c.to.parameters, settings.batch) for c in calls.values()]
        left = settings.budget - spent - max(bounds)
        lasts = affordable(left, total(stages, settings.batch), len(questions))
        notes.append(
            f"Budget: US$ {settings.budget:,.2f}, of which {spent:,.2f} is spent, lasts for "
            f"about {lasts.base:,.0f} ({lasts.low:,.0f} to {lasts.high:,.0f}) questions of these; "
            "a smaller --max-tokens sets less aside for each call."
        )
    show(f"{len(questions):,} questions{samples}", _HEADER, rows, "\n".join(filter(None, notes)))


def _calls(steps: Walk[T]) -> list[Call]:
    """Everything that a walk asks."""
    found = [next(steps)]
    try:
        while True:
            found.append(steps.send(_STAND_IN))
    except StopIteration:
        return found


def _look(
    settings: Settings, calls: Sequence[Call]
) -> tuple[list[Call], float, list[tuple[int, int]]]:
    """The calls without a reply yet, what is spent, and the tokens of equal calls' replies."""
    if not settings.journal.is_file():
        return list(calls), 0.0, []
    like = {(call.role, call.to.model, json.dumps(call.to.told, sort_keys=True)) for call in calls}
    with Journal(settings.journal) as journal:
        waiting = [call for call in calls if journal.answer(call.key) is None]
        seen = [
            (row["prompt_tokens"], row["completion_tokens"])
            for row in journal.rows()
            if row["state"] == State.ANSWERED
            and (row["role"], row["model"], row["parameters"]) in like
            and None not in (row["prompt_tokens"], row["completion_tokens"])
        ]
        return waiting, journal.spent(), seen


def _stage(
    role: str,
    way: Way[T],
    price: Price,
    calls: Sequence[Call],
    scale: float,
    seen: Sequence[tuple[int, int]],
) -> Stage:
    counts = [count_tokens(way.model, call.messages) for call in calls[:_PROMPTS]]
    limit = longest_reply(way.model.parameters) or price.max_output
    return Stage(
        role=role,
        model=way.model,
        price=price,
        calls=Range.exactly(len(calls) * scale),
        tokens_in=Range.exactly(sum(counts) / max(len(counts), 1)),
        tokens_out=mean_of([out for _, out in seen]) or REPLY_TOKENS.at_most(limit),
        seconds=0.0 if way.model.model.startswith("offline/") else SECONDS,
    )


def _row(stage: Stage) -> tuple[object, ...]:
    calls = stage.calls.base
    tokens = (round(calls * each.base) for each in (stage.tokens_in, stage.tokens_out))
    return (stage.role, stage.model.model, round(calls), *tokens, *_cents(stage.dollars()))


def _cents(dollars: Range) -> tuple[float, ...]:
    return tuple(round(each, 2) for each in dollars)


def _sampled(some: Sequence[object], every: Sequence[object]) -> str:
    if len(some) == len(every):
        return ""
    return f"Reckoned from {len(some):,} of the questions."


def _time(settings: Settings, stages: Sequence[Stage]) -> str:
    if settings.batch:
        return "Time: 24 hours at most for each stage, as providers promise for a batch."
    seconds, why = duration(stages)
    return f"Time: about {seconds / 3600:,.1f} hours, by {why}." if seconds else ""
