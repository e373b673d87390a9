"""`traces make`: ask teacher and critic for what the journal does not have yet, then export."""

from __future__ import annotations

import asyncio
import contextlib
import logging
import signal
from typing import TYPE_CHECKING

from rich.console import Console
from rich.progress import (
    BarColumn,
    MofNCompleteColumn,
    Progress,
    TextColumn,
    TimeRemainingColumn,
)

from tools.traces.asking import Asker
from tools.traces.draw import draw
from tools.traces.export import export
from tools.traces.journal import Journal
from tools.traces.recipe import Recipe
from tools.traces.teachers import Teacher
from tools.traces.walk import Outcome, walk

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator
    from pathlib import Path

    from synthpert.questions import Label, Question
    from tools.traces.settings import Settings

logger = logging.getLogger(__name__)

Task = tuple["Question", "Label", int]


def make(settings: Settings) -> Path:
    """Make traces; the same call again goes on where this one ended.

    Args:
        settings: Which questions, which models, where to.

    Returns:
        The file of the kept traces.

    Raises:
        InputError: If data, prompts or a model's name are wrong.
        StoppedError: If key, quota or provider ended the run; every reply so far is kept.
        KeyboardInterrupt: After SIGINT, when the calls under way have come to their end.
        SystemExit: After SIGTERM, likewise, with the code 143.
    """
    recipe = Recipe.of(settings)
    drawn = draw(settings)
    models = {"teacher": Teacher(settings.teacher), "critic": Teacher(settings.critic)}
    for role, model in models.items():
        if not model.has_price:
            logger.warning("%s %s: price unknown, cost not counted", role, model.model.model)
    tasks = [(*each, sample) for sample in range(settings.samples) for each in drawn]
    with Journal(settings.journal, write=True) as journal:
        asker = Asker(models, journal, attempts=settings.attempts, backoff=settings.backoff)
        with _Progress(len(tasks), asker) as progress:
            # A second signal cancels what the first one left to finish.
            with contextlib.suppress(asyncio.CancelledError):
                asyncio.run(_ask_all(settings, recipe, journal, asker, tasks, progress))
        if asker.stopped is not None:
            logger.info("every reply is kept in %s; the same command goes on", settings.journal)
            raise asker.stopped
        return export(settings, journal, recipe, drawn)


async def _ask_all(
    settings: Settings,
    recipe: Recipe,
    journal: Journal,
    asker: Asker,
    tasks: Iterable[Task],
    progress: _Progress,
) -> None:
    rest = iter(tasks)
    _heed_signals(asker)

    async def work(rest: Iterator[Task]) -> None:
        for question, label, sample in rest:
            steps = walk(recipe, question, label, sample, settings.kept_grades)
            call = next(steps)
            while asker.stopped is None:
                reply = journal.answer(call.key) or await asker.ask(call)
                try:
                    call = steps.send(reply)
                except StopIteration as end:
                    progress.advance(end.value)
                    break
            else:
                return

    async with asyncio.TaskGroup() as group:
        for _ in range(settings.in_flight):
            group.create_task(work(rest))


def _heed_signals(asker: Asker) -> None:
    """Let SIGINT and SIGTERM stop the asking, and only a second one the calls under way."""
    loop, asking = asyncio.get_running_loop(), asyncio.current_task()

    def heed(why: BaseException) -> None:
        if asker.stopped is not None and asking is not None:
            asking.cancel()
            return
        logger.warning("no more is asked; calls under way are waited for, once more drops them")
        asker.stop(why)

    loop.add_signal_handler(signal.SIGINT, heed, KeyboardInterrupt())
    loop.add_signal_handler(signal.SIGTERM, heed, SystemExit(128 + signal.SIGTERM))


class _Progress:
    """A bar on stderr: questions done, traces kept, calls made, their rate, the time left."""

    def __init__(self, total: int, asker: Asker) -> None:
        self._asker = asker
        self._kept = 0
        self._bar = Progress(
            TextColumn("questions"),
            BarColumn(bar_width=20),
            MofNCompleteColumn(),
            TextColumn("kept {task.fields[kept]} asked {task.fields[asked]}"),
            TextColumn("{task.fields[rate]:.1f}/s"),
            TimeRemainingColumn(),
            console=Console(stderr=True),
        )
        self._task = self._bar.add_task("traces", total=total, kept=0, asked=0, rate=0.0)

    def __enter__(self) -> _Progress:
        self._bar.start()
        return self

    def __exit__(self, *_: object) -> None:
        self._bar.stop()

    def advance(self, outcome: Outcome) -> None:
        """Count one question that has come to its end."""
        self._kept += outcome.reason is None
        rate = self._bar.tasks[0].speed or 0.0
        self._bar.update(self._task, advance=1, kept=self._kept, asked=self._asker.asked, rate=rate)
