"""The live line of batch mode: what is open, done, kept and spent, and when the next look is."""

from __future__ import annotations

import asyncio
import contextlib
import logging
import time
from typing import TYPE_CHECKING

from rich.console import Console
from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn, TimeElapsedColumn

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

    from tools.traces.batches.sending import OpenBatches
    from tools.traces.journal import Journal

logger = logging.getLogger(__name__)

# Seconds between two lines of a log that is no terminal.
_LOG_EVERY = 60.0


@contextlib.contextmanager
def live_line(
    journal: Journal, batches: OpenBatches, kept: Callable[[], int] | None = None
) -> Iterator[None]:
    """Show how far the batches are, on stderr, or in the log where that is no terminal.

    Args:
        journal: Knows what is spent.
        batches: Those under way.
        kept: How many traces are kept so far, where that is counted.
    """
    console = Console(stderr=True)
    bar = Progress(
        TextColumn("requests"),
        BarColumn(bar_width=20),
        MofNCompleteColumn(),
        TextColumn("{task.fields[told]}"),
        TimeElapsedColumn(),
        console=console,
    )
    task = bar.add_task("", total=None, told="")

    def refresh() -> str:
        done, total = batches.progress
        told = _told(journal, batches, kept)
        bar.update(task, completed=done, total=total or None, told=told)
        return f"requests {done:,} of {total:,}: {told}"

    async def ticking() -> None:
        last = time.monotonic()
        while True:
            line = refresh()
            if not console.is_terminal and time.monotonic() - last > _LOG_EVERY:
                last = time.monotonic()
                logger.info(line)
            await asyncio.sleep(1.0)

    ticker = asyncio.create_task(ticking())
    try:
        with bar:
            yield
            refresh()
    finally:
        ticker.cancel()


def _told(journal: Journal, batches: OpenBatches, kept: Callable[[], int] | None) -> str:
    facts = [f"{len(batches)} batches open, US$ {journal.spent():,.2f}"]
    if kept is not None:
        facts.insert(0, f"kept {kept():,}")
    if batches:
        facts.append(f"next look in {batches.next_look:.0f} s")
    return ", ".join(facts)
