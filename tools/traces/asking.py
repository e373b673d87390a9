"""Asking with patience: retries with back-off, every attempt in the journal, one way to stop."""

from __future__ import annotations

import asyncio
import contextlib
import logging
import time
from typing import TYPE_CHECKING, Protocol

from tenacity import (
    AsyncRetrying,
    RetryCallState,
    retry_if_exception_type,
    stop_after_attempt,
    wait_random_exponential,
)

from synthpert.errors import InputError, StoppedError
from tools.traces.journal import Attempt, State
from tools.traces.teachers import FailedError, RefusedError

if TYPE_CHECKING:
    from collections.abc import Mapping

    from synthpert.prompts import Message
    from tools.traces.journal import Call, Journal, Reply

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


class Askable(Protocol):
    """What answers messages: a `teachers.Teacher`, or a fake of a test."""

    async def ask(self, messages: list[Message]) -> Reply:
        """Send one request, once; raises as `teachers.Teacher.ask` does."""


class Asker:
    """Asks models, and keeps the journal of it.

    Whatever ends the run is kept in `stopped`, and `ask` returns None from then on; calls that are
    under way come to their end, since their replies are paid for.

    Args:
        models: Whom to ask, by role.
        journal: Where every attempt is written.
        attempts: How often a call is made while the trouble looks passing.
        backoff: Seconds, the bound of the first random wait; it doubles with every attempt.
    """

    def __init__(
        self, models: Mapping[str, Askable], journal: Journal, *, attempts: int, backoff: float
    ) -> None:
        self.stopped: BaseException | None = None
        self.asked = 0
        self._models = models
        self._journal = journal
        self._attempts = attempts
        # Full jitter: anything from 0 to the bound, so that those who failed together part.
        self._jitter = wait_random_exponential(multiplier=backoff, max=_LONGEST_BACKOFF)
        self._wake = asyncio.Event()
        self._lost_in_a_row = 0

    async def ask(self, call: Call) -> Reply | None:
        """Make a call, several times if need be.

        Args:
            call: What to ask; its key must not have been answered.

        Returns:
            The reply, safely in the journal, or None if there is none to be had in this run.
        """
        try:
            reply = await self._patiently(call)
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
        self.stopped = self.stopped or why
        self._wake.set()

    async def _patiently(self, call: Call) -> Reply:
        retrying = AsyncRetrying(
            stop=stop_after_attempt(self._attempts),
            retry=retry_if_exception_type(FailedError),
            wait=self._wait,
            sleep=self._sleep,
            reraise=True,
        )
        return await retrying(self._once, call)

    async def _once(self, call: Call) -> Reply:
        if self.stopped is not None:
            raise StoppedError("stopped while it waited to ask again")
        start = time.monotonic()
        self.asked += 1
        try:
            reply = await self._models[call.role].ask(call.messages)
        except (FailedError, RefusedError, StoppedError, InputError) as error:
            seconds = time.monotonic() - start
            attempt = Attempt(call, _STATES[type(error)], seconds, error=str(error))
            await self._journal.record(attempt)
            raise
        seconds = time.monotonic() - start
        await self._journal.record(Attempt(call, State.ANSWERED, seconds, reply))
        return reply

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
            logger.warning("%s %s gave no reply: %s", call.role, call.model, error)
        if self._lost_in_a_row >= _LOST_IN_A_ROW:
            count = f"{_LOST_IN_A_ROW} calls in a row came to nothing"
            self.stop(StoppedError(f"{call.model}: {count}; the last: {error}"))
