"""`traces export`: the journal, read by today's parsers and keep rule; asks nobody."""

from __future__ import annotations

import logging
from collections import Counter
from typing import TYPE_CHECKING

import polars as pl

from synthpert.errors import InputError
from synthpert.traces import TRACE_SCHEMA, write_traces
from tools.traces.walk import NOT_ANSWERED, NOT_GRADED, Outcome, walk

if TYPE_CHECKING:
    from collections.abc import Sequence
    from pathlib import Path

    from synthpert.questions import Label, Question
    from tools.traces.journal import Journal
    from tools.traces.recipe import Recipe
    from tools.traces.settings import Settings

logger = logging.getLogger(__name__)


def export(
    settings: Settings,
    journal: Journal,
    recipe: Recipe,
    drawn: Sequence[tuple[Question, Label]],
) -> Path:
    """Write the kept traces of the drawn questions, and log how many were rejected and why.

    Args:
        settings: Samples, grades and the file to write.
        journal: Where the replies are.
        recipe: What was asked of whom.
        drawn: The questions with their labels.

    Returns:
        The file written.

    Raises:
        InputError: If there is no reply to any of the questions; nothing is written.
    """
    outcomes = [
        _read(journal, recipe, settings, question, label, sample)
        for sample in range(settings.samples)
        for question, label in drawn
    ]
    traces = [outcome.trace for outcome in outcomes if outcome.trace is not None]
    reasons = Counter(outcome.reason for outcome in outcomes if outcome.reason is not None)
    if reasons[NOT_ANSWERED] == len(outcomes):
        # An empty file would take the place of one that other settings have made.
        expected = "the settings of a run of `traces make`"
        raise InputError("no reply with these settings", file=settings.journal, expected=expected)
    write_traces(pl.DataFrame(traces, schema=TRACE_SCHEMA), settings.out)
    _log(settings, len(outcomes), len(traces), reasons)
    return settings.out


def _read(
    journal: Journal,
    recipe: Recipe,
    settings: Settings,
    question: Question,
    label: Label,
    sample: int,
) -> Outcome:
    steps = walk(recipe, question, label, sample, settings.kept_grades)
    call = next(steps)
    while True:
        try:
            call = steps.send(journal.answer(call.key))
        except StopIteration as end:
            outcome: Outcome = end.value
            return outcome


def _log(settings: Settings, total: int, kept: int, reasons: Counter[str]) -> None:
    open_ones = reasons[NOT_ANSWERED] + reasons[NOT_GRADED]
    if open_ones:
        logger.warning("%s without a reply yet: `traces make` asks them", f"{open_ones:,}")
    rejected = ", ".join(f"{reason} {count:,}" for reason, count in reasons.most_common())
    logger.info(
        "%s: %s kept of %s; %s rejected%s",
        settings.out,
        f"{kept:,}",
        f"{total:,}",
        f"{total - kept:,}",
        f" ({rejected})" if rejected else "",
    )
