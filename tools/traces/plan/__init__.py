"""`traces plan`: what a run would ask, cost and take; without a key, a socket, a question asked."""

from __future__ import annotations

from typing import TYPE_CHECKING

from synthpert.display import show
from tools.traces.asking.money import longest_reply
from tools.traces.draw import draw
from tools.traces.engines.providers import count_tokens, model_facts
from tools.traces.plan.estimates import (
    ENOUGH_REPLIES,
    REPLY_TOKENS,
    RIGHT_WHEN_BLIND,
    RIGHT_WHEN_TOLD,
    SECONDS,
    THOUGHT_TOKENS,
    Range,
    Stage,
    affordable,
    duration,
    mean_of,
    total,
)
from tools.traces.plan.experience import gather
from tools.traces.recipe import Recipe

if TYPE_CHECKING:
    from collections.abc import Sequence

    from synthpert.questions import Label, Question
    from tools.traces.asking.money import Price
    from tools.traces.journal.records import Call
    from tools.traces.plan.experience import Experience
    from tools.traces.settings import Model, Settings

    Drawn = list[tuple[Question, Label]]

# Prompts differ by a few names, and to count the tokens of all of them takes minutes.
_PROMPTS = 200
_HEADER = (
    *("role", "model", "calls", "tokens in", "tokens out"),
    *("US$ low", "US$ base", "US$ high"),
)


def plan(settings: Settings) -> None:
    """Show calls, tokens, US dollars and hours of a run of `make`, on stdout.

    Args:
        settings: As for `make`.

    Raises:
        InputError: If data, prompts or a model's name are wrong, a price is not known, or there
            is a budget and a call whose cost has no bound.
    """
    recipe = Recipe.of(settings)
    prices = [model_facts(model).price for model in recipe.models]
    drawn = draw(settings)
    seen = gather(settings, recipe, drawn)
    chats = [_chats(recipe, *each) for each in drawn[:: -(-len(drawn) // _PROMPTS)]]
    stages = [
        _stage(place, price, [calls[place] for calls in chats], seen, settings)
        for place, price in enumerate(prices)
    ]
    notes = [_assumed(settings, stages, seen), _time(settings, stages)]
    if settings.budget is not None:
        bound = max(
            price.bound(call.messages, call.to.parameters, settings.batch)
            for calls in chats
            for price, call in zip(prices, calls, strict=True)
        )
        notes.append(_budget(settings, settings.budget - seen.spent, stages, seen, bound))
    show(_title(settings, drawn, seen), _HEADER, _rows(stages), "\n".join(filter(None, notes)))


def _chats(recipe: Recipe, question: Question, label: Label) -> list[Call]:
    """Everything that is asked about a question; the thought, not known yet, is left out."""
    asked = recipe.teacher_call(question, label, 0)
    return [asked, *(recipe.critic_calls(asked, "") if recipe.critics else [])]


def _stage(
    place: int, price: Price, asked: Sequence[Call], seen: Experience, settings: Settings
) -> Stage:
    model = asked[0].to
    counts = [count_tokens(model, call.messages) for call in asked]
    tokens_in = Range.exactly(sum(counts) / len(counts))
    if place:
        tokens_in = tokens_in.plus(THOUGHT_TOKENS)
    limit = longest_reply(model.parameters) or price.max_output
    measured = seen.mean(place, "seconds")
    expected = 0.0 if _is_offline(model) else SECONDS
    return Stage(
        role=asked[0].role,
        model=model,
        price=price,
        calls=_calls(place, seen, settings),
        tokens_in=seen.mean(place, "prompt_tokens") or tokens_in,
        tokens_out=seen.mean(place, "completion_tokens") or REPLY_TOKENS.at_most(limit),
        seconds=measured.base if measured else expected,
    )


def _is_offline(model: Model) -> bool:
    return model.model.startswith("offline/")


def _calls(place: int, seen: Experience, settings: Settings) -> Range:
    waiting = Range.exactly(seen.waiting[0])
    if place == 0:
        return waiting
    # Critics are asked one after the other.
    before = sum(seen.waiting[each] for each in range(1, place + 1))
    return waiting.times(_right(seen, settings)).plus(Range.exactly(before))


def _right(seen: Experience, settings: Settings) -> Range:
    assumed = RIGHT_WHEN_BLIND if settings.label_blind else RIGHT_WHEN_TOLD
    return (mean_of(seen.went_on) or assumed).at_most(1.0)


def _title(settings: Settings, drawn: Drawn, seen: Experience) -> str:
    traces = len(drawn) * settings.samples
    title = f"{len(drawn):,} questions" + f" x {settings.samples} samples" * (settings.samples > 1)
    return f"{title}: {traces - seen.waiting.total():,} decided, {seen.waiting.total():,} to ask"


def _rows(stages: Sequence[Stage]) -> list[tuple[object, ...]]:
    rows: list[tuple[object, ...]] = []
    tokens = [0, 0]
    for stage in stages:
        counts = [round(stage.calls.times(t).base) for t in (stage.tokens_in, stage.tokens_out)]
        tokens = [a + b for a, b in zip(tokens, counts, strict=True)]
        calls = round(stage.calls.base)
        rows.append((stage.role, stage.model.model, calls, *counts, *_cents(stage.dollars())))
    calls = sum(round(stage.calls.base) for stage in stages)
    rows.append(("total", "", calls, *tokens, *_cents(total(stages))))
    by_batch = total(stages, batch=True)
    if by_batch != total(stages):
        rows.append(("total by batch", "", calls, *tokens, *_cents(by_batch)))
    return rows


def _cents(dollars: Range) -> tuple[float, ...]:
    return tuple(round(each, 2) for each in dollars)


def _assumed(settings: Settings, stages: Sequence[Stage], seen: Experience) -> str:
    guesses = []
    if any(seen.mean(place, "completion_tokens") is None for place in range(len(stages))):
        guesses.append(
            f"a reply has {_spread(REPLY_TOKENS)} tokens, hidden reasoning included; a critic "
            f"reads {_spread(THOUGHT_TOKENS)} of them; it takes {SECONDS:.0f} seconds"
        )
    if settings.critics and mean_of(seen.went_on) is None:
        percent = _right(seen, settings).times(Range.exactly(100))
        guesses.append(f"of 100 answers {_spread(percent)} pass and are graded")
    if not guesses or all(_is_offline(stage.model) for stage in stages):
        return ""
    return (
        f"Assumed of a reasoning model and the paper's prompts: {'; '.join(guesses)}. "
        f"With {ENOUGH_REPLIES} replies of a role in the journal, their own figures are taken."
    )


def _spread(figure: Range) -> str:
    return f"{figure.base:,.0f} ({figure.low:,.0f} to {figure.high:,.0f})"


def _time(settings: Settings, stages: Sequence[Stage]) -> str:
    if settings.batch:
        text = f"Time: {len(stages)} x 24 hours at most, as providers promise for a batch"
        # What does not fit beside what is set aside waits for the end of a batch.
        return text + ("; more where the budget splits it." if settings.budget else ".")
    seconds, why = duration(stages)
    return f"Time: about {seconds / 3600:,.1f} hours, by {why}." if seconds else ""


def _budget(
    settings: Settings, left: float, stages: Sequence[Stage], seen: Experience, bound: float
) -> str:
    traces = seen.waiting.total()
    cost = total(stages, settings.batch)
    # The run stops when what the next call may cost does not fit any more.
    lasts = affordable(left - bound, cost, traces)
    text = f"Budget: US$ {settings.budget:,.2f}, of which {seen.spent:,.2f} is spent, "
    if lasts.base >= traces:
        text += "is enough" + (" in the base case." if lasts.low < traces else ".")
    else:
        text += f"stops after about {_spread(lasts)} traces."
    if bound:
        at_once = int(max(left, 0) / bound)
        text += f" About US$ {bound:,.4f} at most is set aside for each call under way"
        most = traces if settings.batch else stages[0].model.in_flight
        text += f", so {at_once:,} at once" * (at_once < most)
        text += "; a smaller max_tokens sets less aside."
    return text
