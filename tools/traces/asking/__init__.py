"""Asking with patience: retries, pace and budget around one request, and the journal of it all."""

from __future__ import annotations

import asyncio
import contextlib
import logging
import time
from dataclasses import dataclass
from typing import TYPE_CHECKING

from tenacity import (
    AsyncRetrying,
    RetryCallState,
    retry_if_exception_type,
    stop_after_attempt,
    wait_random_exponential,
)

from synthpert.errors import InputError, StoppedError
from tools.traces.asking.limits import Pace, strictest
from tools.traces.engines.engine import Engine, FailedError, RefusedError
from tools.traces.engines.keys import server_of
from tools.traces.journal.records import State

if TYPE_CHECKING:
    from collections.abc import AsyncIterator, Callable, Mapping, Sequence

    from tools.traces.asking.money import Budget
    from tools.traces.journal import Journal
    from tools.traces.journal.records import Call, Reading, Reply
    from tools.traces.settings import Model

logger = logging.getLogger(__name__)

# Seconds between attempts, at most, unless the provider asks for more.
_LONGEST_BACKOFF = 60.0
# So many calls lost in a row are no accident of single questions.
_LOST_IN_A_ROW = 20

_STATES = {
    FailedError: State.FAILED,
    RefusedError: State.REFUSED,
    StoppedError: State.STOPPED,
    InputError: State.STOPPED,
}


@dataclass(frozen=True)
class Lane:
    """One model, and how fast it may be asked.

    Attributes:
        engine: Asks it.
        pace: Waits for the provider's limits; shared by all who ask the same model of a provider.
    """

    engine: Engine
    pace: Pace


def open_lanes(models: Sequence[Model], engine_of: Callable[[Model], Engine]) -> dict[str, Lane]:
    """Open an engine for each model.

    Args:
        models: Whom to ask; the same one may stand there more than once.
        engine_of: `tools.traces.engines.open_engine`, or a fake of a test.

    Returns:
        Lanes by `Model.identity`.

    Raises:
        InputError: If a model cannot be asked: unknown, shut down, without a price or a key.
    """
    at: dict[tuple[str, str | None], list[Model]] = {}
    for model in models:
        at.setdefault((model.model, server_of(model)), []).append(model)
    lanes: dict[str, Lane] = {}
    for group in at.values():
        pace = Pace(strictest(group))
        for model in group:
            if model.identity not in lanes:
                lanes[model.identity] = Lane(engine_of(model), pace)
    return lanes


class Asker:
    """Asks models, and keeps the journal of it.

    Whatever ends the run is kept in `stopped`, and `ask` returns None from then on; calls that are
    under way come to their end, since their replies are paid for.

    Args:
        lanes: Whom to ask, as `open_lanes` returns them.
        journal: Where every attempt is written.
        budget: What it may cost.
        read: How a reply reads, for the journal.
        attempts: How often a call is made while the trouble looks passing.
        backoff: Seconds, the bound of the first random wait; it doubles with every attempt.
    """

    def __init__(
        self,
        lanes: Mapping[str, Lane],
        journal: Journal,
        budget: Budget,
        read: Callable[[Call, Reply], Reading],
        *,
        attempts: int,
        backoff: float,
    ) -> None:
        self.stopped: BaseException | None = None
        self.asked = 0
        self.budget = budget
        self._lanes = lanes
        self._journal = journal
        self._read = read
        # Full jitter: anything from 0 to the bound, so that those who failed together part.
        self._jitter = wait_random_exponential(multiplier=backoff, max=_LONGEST_BACKOFF)
        self._retrying = AsyncRetrying(
            stop=stop_after_attempt(attempts),
            retry=retry_if_exception_type(FailedError),
            wait=self._wait,
            sleep=self._sleep,
            reraise=True,
        )
        self._wake = asyncio.Event()
        self._waits: set[asyncio.Timeout] = set()
        self._under_way: dict[str, asyncio.Future[Reply | None]] = {}
        self._lost_in_a_row = 0

    async def ask(self, call: Call) -> Reply | None:
        """Make a call, several times if need be.

        Args:
            call: What to ask; its key must not have been answered.

        Returns:
            The reply, safely in the journal, or None if there is none to be had in this run.
        """
        under_way = self._under_way.get(call.key)
        if under_way is not None:
            # Two equal thoughts are one call: asked twice at once, it would be paid for twice.
            return await asyncio.shield(under_way)
        self._under_way[call.key] = asyncio.get_running_loop().create_future()
        reply = None
        try:
            reply = await self._to_its_end(call)
        finally:
            self._under_way.pop(call.key).set_result(reply)
        return reply

    async def _to_its_end(self, call: Call) -> Reply | None:
        lane = self._lanes[call.to.identity]
        try:
            reply: Reply = await self._retrying.copy()(self._once, lane, call)
        except (FailedError, RefusedError) as error:
            self._lose(call, error)
            return None
        except (InputError, StoppedError) as error:
            self.stop(error)
            return None
        self._lost_in_a_row = 0
        return reply

    def stop(self, why: BaseException) -> None:
        """Ask nothing more.

        Args:
            why: Kept in `stopped`, unless something has ended the run before.
        """
        if self.stopped is not None:
            return
        self.stopped = why
        self._wake.set()
        for wait in self._waits:
            wait.reschedule(0.0)

    async def _once(self, lane: Lane, call: Call) -> Reply:
        bound = self._bound(lane, call)
        async with contextlib.AsyncExitStack() as turn:
            async with self._unless_stopped():
                await turn.enter_async_context(lane.pace.slot(call.messages))
                await self.budget.reserve(bound or 0.0)
            return await self._send(lane, call, bound)

    @contextlib.asynccontextmanager
    async def _unless_stopped(self) -> AsyncIterator[None]:
        """Wait inside, but only as long as the run goes on; nothing has been sent yet."""
        stopped = StoppedError("stopped while it waited to ask")
        if self.stopped is not None:
            raise stopped
        try:
            async with asyncio.timeout(None) as wait:
                self._waits.add(wait)
                try:
                    yield
                finally:
                    self._waits.discard(wait)
        except TimeoutError:
            raise stopped from None

    async def _send(self, lane: Lane, call: Call, bound: float | None) -> Reply:
        """One request, written down before it is sent and when it is over."""
        cost: float | None = bound
        try:
            row = await self._journal.start(call, reserved=bound)
            self.asked += 1
            start = time.monotonic()
            try:
                reply = await lane.engine.ask(call.messages)
            except (FailedError, RefusedError, StoppedError, InputError) as error:
                billed = isinstance(error, FailedError) and error.may_be_billed
                cost = bound if billed else None
                if isinstance(error, FailedError) and error.overloaded:
                    lane.pace.overloaded()
                seconds = time.monotonic() - start
                state = _STATES[type(error)]
                await self._journal.finish(
                    row, state, seconds, error=str(error), may_be_billed=billed
                )
                raise
            cost = bound if reply.cost is None else reply.cost
            seconds = time.monotonic() - start
            reading = self._read(call, reply)
            await self._journal.finish(row, State.ANSWERED, seconds, reply=reply, reading=reading)
            lane.pace.succeeded(reply)
            return reply
        finally:
            # Of a call that is cancelled nobody knows what it costs: its bound stays booked.
            self.budget.settle(bound or 0.0, cost)

    def _bound(self, lane: Lane, call: Call) -> float | None:
        """What the call may cost at most; None if it has no bound and needs none."""
        try:
            return lane.engine.price.bound(call.messages, call.to.parameters)
        except InputError:
            if self.budget.limit is not None:
                raise
            return None

    def _wait(self, state: RetryCallState) -> float:
        error = state.outcome.exception() if state.outcome else None
        asked_for = error.retry_after if isinstance(error, FailedError) else 0.0
        return asked_for + float(self._jitter(state))

    async def _sleep(self, seconds: float) -> None:
        with contextlib.suppress(TimeoutError):
            await asyncio.wait_for(self._wake.wait(), seconds)

    def _lose(self, call: Call, error: Exception) -> None:
        self._lost_in_a_row += 1
        if self._lost_in_a_row == 1:
            logger.warning("%s %s gave no reply: %s", call.role, call.to.model, error)
        if self._lost_in_a_row >= _LOST_IN_A_ROW:
            count = f"{_LOST_IN_A_ROW} calls in a row came to nothing"
            self.stop(StoppedError(f"{call.to.model}: {count}; the last: {error}"))
