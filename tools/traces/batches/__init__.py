"""Batch mode: calls go to the provider as files, at half the price, and come back within a day."""

from __future__ import annotations

import asyncio
import contextlib
import logging
import signal
from typing import TYPE_CHECKING, Generic, TypeVar

from synthpert.errors import InputError, StoppedError
from tools.traces.batches.endpoint import Endpoint
from tools.traces.batches.parts import Part
from tools.traces.batches.progress import live_line
from tools.traces.batches.sending import OpenBatches
from tools.traces.walk import read_reply

if TYPE_CHECKING:
    from collections.abc import Callable, Coroutine, Generator, Iterable, Sequence

    from tools.traces.journal import Journal
    from tools.traces.journal.records import Call, Reading, Reply
    from tools.traces.settings import Model

logger = logging.getLogger(__name__)

T = TypeVar("T")
# Seconds between two looks at a batch that is being cancelled, which takes minutes.
_CANCEL_POLL = 5.0
# Seconds, the bound of the first wait after a trouble.
_BACKOFF = 5.0
# Calls. A smaller batch, and less than a tenth of what waits, is left to a run with more money.
_SCRAP = 50
# Walks between two turns of the event loop, in which signals and other batches are heard.
_WALKS_A_TURN = 100


def run_batches(
    journal: Journal,
    models: Sequence[Model],
    walks: Callable[[], Iterable[Generator[Call, Reply | None, T]]],
    on_done: Callable[[T], bool],
    read: Callable[[Call, Reply], Reading],
    *,
    budget: float | None = None,
    poll: float = 60.0,
) -> None:
    """Take every walk to its end by batches, each stage as soon as the one before it is here.

    Args:
        journal: Open for writing.
        models: Everybody whom a walk may ask.
        walks: Makes the walks, the same ones in the same order each time.
        on_done: Is told each walk's result, once; returns whether it is one to keep.
        read: How a reply reads, for the journal; it sees the call's role and model alone.
        budget: US dollars that everything in the journal may cost.
        poll: Seconds between two looks at a batch.

    Raises:
        InputError: If a model has no batch endpoint, or cannot be asked.
        StoppedError: If key, quota, budget or provider ended the run; open batches go on.
        KeyboardInterrupt: After SIGINT, likewise.
        SystemExit: After SIGTERM, likewise, with the code 143.
    """
    endpoints = _endpoints(models, min(poll, _BACKOFF))
    if journal.lost:
        lost = f"{journal.lost:,}"
        logger.warning("%s calls were under way when the last run ended; asked again", lost)

    async def everything() -> None:
        async with OpenBatches(journal, endpoints, read, poll=poll) as batches:
            stages = _Stages(journal, endpoints, batches, on_done, budget)
            with live_line(journal, batches, lambda: stages.kept):
                await stages.run(walks)

    _drive(everything(), journal)


def cancel(journal: Journal, models: Sequence[Model], *, poll: float = _CANCEL_POLL) -> None:
    """Cancel every open batch, and take what is finished of it: that is paid for.

    Args:
        journal: Open for writing.
        models: Whom the batches may have asked.
        poll: Seconds between two looks at a batch.

    Raises:
        InputError: If a model has no batch endpoint, or cannot be asked.
        StoppedError: If the key is not accepted, or the provider cannot be reached.
        KeyboardInterrupt: After SIGINT.
        SystemExit: After SIGTERM, with the code 143.
    """
    names = {record.model for record in journal.batches(open_only=True)}
    if not names:
        logger.info("no batch is open")
        return
    asked = [model for model in models if model.model in names]
    endpoints = _endpoints(asked, min(poll, _BACKOFF))

    async def everything() -> None:
        how = OpenBatches(journal, endpoints, read_reply, poll=poll, cancels=True)
        async with how as batches:
            with live_line(journal, batches):
                await batches.adopt()
                while batches:
                    await batches.one_ends()
            logger.info("batches cancelled: %s; %s", batches.ended, batches.results.told)

    _drive(everything(), journal)


class _Stages(Generic[T]):
    """Walks on their way: advanced with what is answered, their next calls sent as batches.

    Args:
        journal: Where the replies are.
        endpoints: By `Model.identity`.
        batches: Those under way.
        on_done: Is told each walk's result.
        budget: US dollars that everything in the journal may cost.
    """

    def __init__(
        self,
        journal: Journal,
        endpoints: dict[str, Endpoint],
        batches: OpenBatches,
        on_done: Callable[[T], bool],
        budget: float | None,
    ) -> None:
        self.kept = 0
        self._journal = journal
        self._endpoints = endpoints
        self._batches = batches
        self._on_done = on_done
        self._budget = budget
        self._done: set[int] = set()
        self._parts: dict[tuple[str, str], Part] = {}
        self._spent = 0.0
        self._short = 0.0
        self._waiting = self._sent = 0

    async def run(self, walks: Callable[[], Iterable[Generator[Call, Reply | None, T]]]) -> None:
        """Go on until no walk has a call left that can be sent.

        Args:
            walks: Makes the walks.

        Raises:
            StoppedError: If the budget does not allow another call.
        """
        await self._batches.adopt()
        while True:
            await self._stage(walks())
            if not self._batches:
                break
            await self._batches.one_ends()
        if self._short:
            raise self._used_up()
        for place, steps in enumerate(walks()):
            if place not in self._done and self._next(steps, place) is not None:
                self._without_reply(steps, place)
        if left := self._batches.results.given_up:
            told = "%s calls came to nothing and are left to the next run; the last: %s"
            logger.warning(told, f"{left:,}", self._batches.results.last_error)

    async def _stage(self, walks: Iterable[Generator[Call, Reply | None, T]]) -> None:
        self._short, self._waiting = 0.0, 0
        self._spent = self._journal.spent()
        try:
            for place, steps in enumerate(walks):
                if place % _WALKS_A_TURN == 0:
                    await asyncio.sleep(0)
                if place in self._done:
                    continue
                call = self._next(steps, place)
                if call is not None and self._batches.takes(call):
                    await self._put(call)
            for part in list(self._parts.values()):
                if not self._is_scrap(part):
                    await self._send(part)
        finally:
            while self._parts:
                self._parts.popitem()[1].close()

    def _next(self, steps: Generator[Call, Reply | None, T], place: int) -> Call | None:
        """Advance a walk to its first call without an answer; None if it came to its end."""
        try:
            call = next(steps)
            while (reply := self._journal.answer(call.key)) is not None:
                call = steps.send(reply)
        except StopIteration as end:
            self._finish(end.value, place)
            return None
        return call

    def _without_reply(self, steps: Generator[Call, Reply | None, T], place: int) -> None:
        reply: Reply | None = None
        try:
            while True:
                reply = self._journal.answer(steps.send(reply).key)
        except StopIteration as end:
            self._finish(end.value, place)

    def _finish(self, result: T, place: int) -> None:
        self._done.add(place)
        self.kept += self._on_done(result)

    async def _put(self, call: Call) -> None:
        """Put a call into the part of its role and model, and send the part if it is full."""
        endpoint = self._endpoints[call.to.identity]
        name = (call.role, call.to.identity)
        part = self._parts.get(name)
        if self._batches.is_full(endpoint) or (part and call.key in part.keys):
            return
        bound = self._bound(endpoint, call)
        if not self._short and not self._fits(bound or 0.0):
            self._short = bound or 0.0
        if self._short:
            self._waiting += 1
            return
        if part is None or not part.add(call, bound):
            if part is not None:
                await self._send(part)
            part = self._parts[name] = Part(
                call.role, call.to, endpoint.name, endpoint.url, endpoint.most
            )
            part.add(call, bound)

    def _fits(self, bound: float) -> bool:
        planned = sum(part.bound for part in self._parts.values())
        return self._budget is None or self._spent + planned + bound <= self._budget

    async def _send(self, part: Part) -> None:
        del self._parts[part.role, part.model.identity]
        try:
            await self._batches.send(part, self._endpoints[part.model.identity])
        finally:
            part.close()
        self._spent = self._journal.spent()
        self._sent += 1

    def _is_scrap(self, part: Part) -> bool:
        """Whether the budget has left so little of a part that it is not worth a day's wait."""
        enough = min(_SCRAP, (self._waiting + len(part.keys)) / 10)
        return bool(self._sent and self._short and len(part.keys) < enough)

    def _bound(self, endpoint: Endpoint, call: Call) -> float | None:
        """What a call may cost at most; None if it has no bound and needs none."""
        try:
            return endpoint.price.bound(call.messages, call.to.parameters, batch=True)
        except InputError:
            if self._budget is not None:
                raise
            return None

    def _used_up(self) -> StoppedError:
        return StoppedError(
            f"the budget of US$ {self._budget or 0:,.2f} is used up: US$ {self._spent:,.4f} is"
            f" spent, and the next call may cost up to US$ {self._short:,.4f}"
        )


def _endpoints(models: Sequence[Model], backoff: float) -> dict[str, Endpoint]:
    return {model.identity: Endpoint(model, backoff) for model in models}


def _drive(work: Coroutine[None, None, None], journal: Journal) -> None:
    """Run to the end or to a signal; what is open then goes on at the provider."""
    stopped: list[BaseException] = []

    async def heeding() -> None:
        loop, task = asyncio.get_running_loop(), asyncio.current_task()
        assert task is not None

        def heed(why: BaseException) -> None:
            stopped.append(why)
            task.cancel()

        loop.add_signal_handler(signal.SIGINT, heed, KeyboardInterrupt())
        loop.add_signal_handler(signal.SIGTERM, heed, SystemExit(128 + signal.SIGTERM))
        await work

    try:
        with contextlib.suppress(asyncio.CancelledError):
            asyncio.run(heeding())
        if stopped:
            raise stopped[0]
    except (StoppedError, KeyboardInterrupt, SystemExit):
        if count := len(journal.batches(open_only=True)):
            told = "%s batches go on at the provider: the same command takes their results,"
            logger.warning(told + " `synthpert traces cancel` cancels them", count)
        raise
