"""`traces make`: ask teacher and critics for what the journal does not have yet, then export."""

from __future__ import annotations

import itertools
import logging
from collections import Counter
from typing import TYPE_CHECKING

from synthpert.errors import StoppedError
from tools.traces.asking.running import run
from tools.traces.draw import draw
from tools.traces.export import export
from tools.traces.journal import Journal
from tools.traces.recipe import Recipe
from tools.traces.walk import NOT_ANSWERED, Outcome, Walk, read_reply, replay, walk

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator, Sequence
    from pathlib import Path

    from synthpert.questions import Label, Question
    from tools.traces.settings import Settings

logger = logging.getLogger(__name__)


def make(settings: Settings) -> Path:
    """Make traces; the same call again goes on where this one ended.

    Args:
        settings: Which questions, which models, where to.

    Returns:
        The file of the kept traces.

    Raises:
        InputError: If data, prompts or a model's name are wrong.
        StoppedError: If key, quota, budget or provider ended the run; every reply so far is kept.
        KeyboardInterrupt: After SIGINT, when the calls under way have come to their end.
        SystemExit: After SIGTERM, likewise, with the code 143.
    """
    # First, so that a second run is refused before it has read the benchmark.
    with Journal(settings.journal, write=True) as journal:
        recipe = Recipe.of(settings)
        drawn = draw(settings)
        try:
            _ask(settings, journal, recipe, drawn)
        except (StoppedError, KeyboardInterrupt, SystemExit):
            logger.info("every reply is kept in %s; the same command goes on", settings.journal)
            raise
        return export(settings, journal, recipe, drawn)


def _ask(
    settings: Settings, journal: Journal, recipe: Recipe, drawn: Sequence[tuple[Question, Label]]
) -> None:
    """Ask what the journal lacks.

    Raises:
        StoppedError: Also if nothing at all has come of it.
    """
    reasons: Counter[str | None] = Counter()

    def walks() -> Iterator[Walk]:
        for sample in range(settings.samples):
            for question, label in drawn:
                yield walk(recipe, question, label, sample)

    def kept(outcome: Outcome) -> bool:
        reasons[outcome.reason] += 1
        return outcome.reason is None

    if _has_enough(settings, journal, walks()):
        logger.info("%s traces are kept already: nothing is asked", f"{settings.target_kept:,}")
        return
    if settings.batch:
        from tools.traces.batches import run_batches

        run_batches(
            journal,
            recipe.models,
            walks,
            kept,
            read_reply,
            budget=settings.budget,
            poll=settings.poll,
        )
    else:
        run(
            journal,
            recipe.models,
            walks(),
            kept,
            read_reply,
            total=len(drawn) * settings.samples,
            budget=settings.budget,
            attempts=settings.attempts,
            backoff=settings.backoff,
            target=settings.target_kept,
        )
    if reasons[NOT_ANSWERED] == reasons.total():
        raise StoppedError(f"{recipe.teacher.model}: no call got a reply")


def _has_enough(settings: Settings, journal: Journal, walks: Iterable[Walk]) -> bool:
    """Whether the target is reached by what the journal holds, whatever it lacks in between."""
    if settings.target_kept is None:
        return False
    enough = (True for steps in walks if replay(steps, journal.answer).reason is None)
    return sum(itertools.islice(enough, settings.target_kept)) == settings.target_kept
