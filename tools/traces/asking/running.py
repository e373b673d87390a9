"""Running many walks: some at once, a live line, signals, and the journal instead of a model."""

from __future__ import annotations

import asyncio
import contextlib
import logging
import signal
import time
from typing import TYPE_CHECKING, TypeVar

from rich.console import Console
from rich.progress import (
    BarColumn,
    MofNCompleteColumn,
    Progress,
    TextColumn,
    TimeElapsedColumn,
    TimeRemainingColumn,
)

from synthpert.errors import InputError, StoppedError
from tools.traces.asking import Asker, open_lanes
from tools.traces.asking.money import Budget
from tools.traces.engines import open_engine

if TYPE_CHECKING:
    from collections.abc import Callable, Generator, Iterable, Iterator, Sequence

    from tools.traces.engines.engine import Engine
    from tools.traces.journal import Journal
    from tools.traces.journal.records import Call, Reading, Reply
    from tools.traces.settings import Model

logger = logging.getLogger(__name__)

T = TypeVar("T")
# Seconds between two lines of a log that is no terminal.
_LOG_EVERY = 60.0


def run(
    journal: Journal,
    models: Sequence[Model],
    walks: Iterable[Generator[Call, Reply | None, T]],
    on_done: Callable[[T], bool],
    read: Callable[[Call, Reply], Reading],
    *,
    total: int,
    budget: float | None = None,
    attempts: int = 6,
    backoff: float = 1.0,
    target: int | None = None,
    title: str = "questions",
    engine_of: Callable[[Model], Engine] = open_engine,
) -> None:
    """Take every walk to its end, asking only what the journal does not hold.

    Args:
        journal: Open for writing.
        models: Everybody whom a walk may ask.
        walks: Generators that yield calls and are sent replies; drawn from one at a time.
        on_done: Is told each walk's result; returns whether it is one to keep.
        read: How a reply reads, for the journal.
        total: How many walks there are.
        budget: US dollars that everything in the journal may cost.
        attempts: How often a call is made while the trouble looks passing.
        backoff: Seconds, the bound of the first random wait between attempts.
        target: Begin no further walk when so many are kept.
        title: What is counted.
        engine_of: Opens a model.

    Raises:
        InputError: If a model cannot be asked.
        StoppedError: If key, quota, budget or provider ended the run; every reply is kept.
        KeyboardInterrupt: After SIGINT, when the calls under way have come to their end.
        SystemExit: After SIGTERM, likewise, with the code 143.
    """
    lanes = open_lanes(models, engine_of)
    spent = journal.spent()
    if journal.lost:
        logger.warning(
            "%s calls were under way when the last run ended; they are asked again",
            f"{journal.lost:,}",
        )
    asker = Asker(lanes, journal, Budget(budget, spent), read, attempts=attempts, backoff=backoff)
    workers = sum(model.in_flight for model in {each.identity: each for each in models}.values())
    with _LiveLine(title, total, target, asker) as line:

        def done(result: T) -> None:
            line.advance(on_done(result))

        async def everything() -> None:
            try:
                await _all(asker, journal, _until(walks, line), done, min(workers, total))
            finally:
                for lane in lanes.values():
                    await lane.engine.close()

        # A second signal cancels what the first one left to finish.
        with contextlib.suppress(asyncio.CancelledError):
            asyncio.run(everything())
    if asker.stopped is not None:
        raise asker.stopped


def _until(walks: Iterable[T], line: _LiveLine) -> Iterator[T]:
    for each in walks:
        if line.reached:
            return
        yield each


async def _all(
    asker: Asker,
    journal: Journal,
    walks: Iterator[Generator[Call, Reply | None, T]],
    done: Callable[[T], None],
    workers: int,
) -> None:
    heed_signals(asker.stop)

    async def work() -> None:
        try:
            await take(walks)
        except (InputError, StoppedError) as error:
            # Of a walk itself: calls under way still come to their end.
            asker.stop(error)

    async def take(walks: Iterator[Generator[Call, Reply | None, T]]) -> None:
        for steps in walks:
            call = next(steps)
            while asker.stopped is None:
                reply = journal.answer(call.key) or await asker.ask(call)
                try:
                    call = steps.send(reply)
                except StopIteration as end:
                    done(end.value)
                    break
            else:
                return
            # Where all is answered nothing above waits, and a signal would not be heard.
            await asyncio.sleep(0)

    async with asyncio.TaskGroup() as group:
        for _ in range(workers):
            group.create_task(work())


def heed_signals(stop: Callable[[BaseException], None]) -> None:
    """Let SIGINT and SIGTERM end the asking, and only a second one the calls under way.

    Args:
        stop: Is told the exception that the run is to end with.
    """
    loop, asking = asyncio.get_running_loop(), asyncio.current_task()
    seen: list[BaseException] = []

    def heed(why: BaseException) -> None:
        if seen and asking is not None:
            asking.cancel()
            return
        seen.append(why)
        logger.warning("no more is asked; calls under way are waited for, once more drops them")
        stop(why)

    loop.add_signal_handler(signal.SIGINT, heed, KeyboardInterrupt())
    loop.add_signal_handler(signal.SIGTERM, heed, SystemExit(128 + signal.SIGTERM))


class _LiveLine:
    """What is done, kept, asked and spent, how fast, how long still: on stderr, or in the log."""

    def __init__(self, title: str, total: int, target: int | None, asker: Asker) -> None:
        self._title, self._target, self._asker = title, target, asker
        self._done = self._kept = 0
        self._total = total
        self._console = Console(stderr=True)
        self._last = self._start = time.monotonic()
        self._bar = Progress(
            TextColumn(title if target is None else "kept"),
            BarColumn(bar_width=20),
            MofNCompleteColumn(),
            TextColumn("{task.fields[told]}"),
            TimeElapsedColumn(),
            TimeRemainingColumn(),
            console=self._console,
        )
        self._task = self._bar.add_task("", total=target or total, told="")

    def __enter__(self) -> _LiveLine:
        self._bar.start()
        return self

    def __exit__(self, *_: object) -> None:
        self._bar.stop()

    @property
    def reached(self) -> bool:
        """Whether as many are kept as were wanted."""
        return self._target is not None and self._kept >= self._target

    def advance(self, kept: bool) -> None:
        """Count one walk that has come to its end."""
        self._done += 1
        self._kept += kept
        now = time.monotonic()
        rate = self._asker.asked / max(now - self._start, 1e-9)
        told = (
            f"kept {self._kept:,}, asked {self._asker.asked:,} ({rate:.1f}/s),"
            f" US$ {self._asker.budget.spent:,.2f}"
        )
        completed = self._done if self._target is None else min(self._kept, self._target)
        self._bar.update(self._task, completed=completed, told=told)
        if not self._console.is_terminal and now - self._last > _LOG_EVERY:
            self._last = now
            logger.info("%s %s of %s: %s", self._title, f"{self._done:,}", f"{self._total:,}", told)
