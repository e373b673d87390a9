"""`traces make`: ask teacher and critics for what the journal does not have yet, then export."""

from __future__ import annotations

import logging
from typing import TYPE_CHECKING

from synthpert.errors import StoppedError
from tools.traces.asking.running import run
from tools.traces.draw import draw
from tools.traces.export import export
from tools.traces.journal import Journal
from tools.traces.recipe import Recipe
from tools.traces.walk import Outcome, Walk, read_reply, walk

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

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
    recipe = Recipe.of(settings)
    drawn = draw(settings)

    def walks() -> Iterator[Walk]:
        for sample in range(settings.samples):
            for question, label in drawn:
                yield walk(recipe, question, label, sample)

    def kept(outcome: Outcome) -> bool:
        return outcome.reason is None

    with Journal(settings.journal, write=True) as journal:
        try:
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
        except (StoppedError, KeyboardInterrupt, SystemExit):
            logger.info("every reply is kept in %s; the same command goes on", settings.journal)
            raise
        return export(settings, journal, recipe, drawn)
