"""`traces export`: the journal, read by today's parsers and keep rule; asks nobody."""

from __future__ import annotations

import itertools
import logging
from collections import Counter
from dataclasses import replace
from typing import TYPE_CHECKING, Any

import polars as pl

from synthpert.errors import InputError
from synthpert.questions import read_questions, split_questions
from synthpert.traces import TRACE_SCHEMA, write_traces
from synthpert.traces.leaks import leaked, refuse_leaked
from tools.traces.export.card import Usage, write_card
from tools.traces.export.formats import beside, write_messages, write_released
from tools.traces.export.hub import push, read_token
from tools.traces.settings import ALSO
from tools.traces.status.funnel import KEPT, Group, merge
from tools.traces.walk import NOT_ANSWERED, OPEN, walk

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping, Sequence
    from pathlib import Path

    from synthpert.questions import Label, Question
    from tools.traces.journal import Journal
    from tools.traces.journal.records import Call, Reply
    from tools.traces.recipe import Recipe
    from tools.traces.settings import Settings
    from tools.traces.walk import Outcome, Walk

logger = logging.getLogger(__name__)

_AT_ONCE = 1024


def export(
    settings: Settings,
    journal: Journal,
    recipe: Recipe,
    drawn: Sequence[tuple[Question, Label]],
) -> Path:
    """Write the kept traces of the drawn questions, and log how many were rejected and why.

    Args:
        settings: Samples, and what to write where.
        journal: Where the replies are.
        recipe: What was asked of whom.
        drawn: The questions with their labels.

    Returns:
        The file written; a data card and the other forms asked for are beside it.

    Raises:
        InputError: If there is no reply to any of the questions, or one of them is of a test
            perturbation; nothing is written.
        StoppedError: If the hub does not take the files, which are written by then.
    """
    if settings.push:
        read_token()
    reading = _Reading(journal)
    outcomes = (
        reading.take(walk(recipe, question, label, sample), question, label)
        for sample in range(settings.samples)
        for question, label in drawn
    )
    traces = _table(outcome.trace for outcome in outcomes if outcome.trace is not None)
    total = merge(reading.counts)
    if total[NOT_ANSWERED] == total.total():
        # An empty file would take the place of one that other settings have made.
        expected = "the settings of a run of `traces make`"
        raise InputError("no reply with these settings", file=settings.journal, expected=expected)
    _refuse_test(settings, traces)
    files = _write(settings, recipe, traces)
    card = write_card(settings, recipe, traces, reading.counts, reading.usage)
    _log(settings, total)
    if settings.push:
        logger.info("pushed: %s", push(settings.push, files, card))
    return settings.out


def _table(traces: Iterator[dict[str, Any]]) -> pl.DataFrame:
    """Rows to a table, some at a time: as objects of Python they take twice the room."""
    parts = [pl.DataFrame(schema=TRACE_SCHEMA)]
    while rows := list(itertools.islice(traces, _AT_ONCE)):
        parts.append(pl.DataFrame(rows, schema=TRACE_SCHEMA))
    return pl.concat(parts, rechunk=False)


class _Reading:
    """Takes walks to their end with what the journal holds, and counts."""

    def __init__(self, journal: Journal) -> None:
        self.usage: dict[tuple[str, str], Usage] = {}
        self._counts: dict[Group, Counter[str]] = {}
        self._journal = journal
        self._seen: set[str] = set()

    @property
    def counts(self) -> Mapping[Group, Counter[str]]:
        """How many samples ended where."""
        return dict(sorted(self._counts.items()))

    def take(self, steps: Walk, question: Question, label: Label) -> Outcome:
        """Walk to the end."""
        call = next(steps)
        while True:
            reply = self._journal.answer(call.key)
            if reply is not None and call.key not in self._seen:
                # Equal thoughts share a critic's reply, which was paid for once.
                self._seen.add(call.key)
                self._add(call, reply)
            try:
                call = steps.send(reply)
            except StopIteration as end:
                outcome: Outcome = end.value
                group = Group(question.cell_line, label.value)
                self._counts.setdefault(group, Counter())[str(outcome.reason or KEPT)] += 1
                return outcome

    def _add(self, call: Call, reply: Reply) -> None:
        who = (call.role, call.to.model)
        before = self.usage.get(who, Usage())
        self.usage[who] = replace(
            before,
            replies=before.replies + 1,
            prompt_tokens=_plus(before.prompt_tokens, reply.prompt_tokens),
            completion_tokens=_plus(before.completion_tokens, reply.completion_tokens),
            cost=_plus(before.cost, reply.cost),
            no_price=before.no_price + (reply.cost is None),
        )


def _plus(known: Any, more: Any) -> Any:  # noqa: ANN401  (whole or not, or None for not known)
    return known if more is None else (known or 0) + more


def _refuse_test(settings: Settings, traces: pl.DataFrame) -> None:
    _, test = split_questions(read_questions(settings.data), settings.split)
    tested = leaked(traces, test, settings.split)
    refuse_leaked(
        traces, tested, settings.journal, f"train questions of the split {settings.split}"
    )


def _write(settings: Settings, recipe: Recipe, traces: pl.DataFrame) -> list[Path]:
    write_traces(traces, settings.out)
    files = [settings.out]
    for form in ALSO:
        path = beside(settings.out, form)
        if form not in settings.also_written:
            if path.exists():
                logger.warning("%s is of an earlier export; --also %s renews it", path, form)
            continue
        if form == "messages":
            write_messages(traces, recipe.prompts, path)
        else:
            write_released(traces, path)
        files.append(path)
    return files


def _log(settings: Settings, counts: Counter[str]) -> None:
    total, kept = counts.total(), counts[KEPT]
    waiting = {reason: counts[reason] for reason in OPEN if counts[reason]}
    why = {r: count for r, count in counts.most_common() if r != KEPT and r not in waiting}
    if waiting:
        logger.warning(
            "%s without a reply yet (%s): `traces make` asks them",
            f"{sum(waiting.values()):,}",
            _listed(waiting),
        )
    rejected = sum(why.values())
    logger.info(
        "%s: %s kept of %s; %s rejected%s%s",
        settings.out,
        f"{kept:,}",
        f"{total:,}",
        f"{rejected:,}",
        f" ({_listed(why)})" if why else "",
        f"; {total - kept - rejected:,} without a reply yet" if waiting else "",
    )


def _listed(counts: Mapping[str, int]) -> str:
    return ", ".join(f"{reason} {count:,}" for reason, count in counts.items())
