"""Limits: how many calls a provider gets at once and in a minute; whoever is too many waits."""

from __future__ import annotations

import asyncio
import contextlib
from collections import deque
from contextvars import ContextVar
from dataclasses import replace
from typing import TYPE_CHECKING, Generic, TypeVar

from aiolimiter import AsyncLimiter

if TYPE_CHECKING:
    from collections.abc import AsyncIterator, Callable, Iterable, Sequence

    from synthpert.prompts import Message
    from tools.traces.journal import Reply
    from tools.traces.settings import Model

T = TypeVar("T")

_MINUTE = 60.0
# A bucket holds what a second lets through: no more comes in a burst, after a rest either.
_BURST = 1 / _MINUTE
# English text in the tokenizers of today; a wrong guess averages out with the replies'.
_CHARACTERS_A_TOKEN = 3.5
_FIRST_GUESS = 1000.0
# From so many replies on the mean forgets, so that it follows a change of prompts.
_REMEMBERED = 200

# How often the pace had been halved when the call of this task began.
_halvings_before: ContextVar[int] = ContextVar("halvings_before")


class Line(Generic[T]):
    """A waiting line: first come, first served; who leaves it early takes nothing along.

    Args:
        admit: Lets the one with this ticket in and returns true, or returns false, and will be
            asked again; whatever it raises is raised in `join` of that one.
        undo: Takes an admission back, of one who was cancelled before it could go on.
    """

    def __init__(self, admit: Callable[[T], bool], undo: Callable[[T], None]) -> None:
        self._admit = admit
        self._undo = undo
        self._waiting: deque[tuple[T, asyncio.Future[None]]] = deque()

    async def join(self, ticket: T) -> None:
        """Wait until everybody before is in, and this one too.

        Args:
            ticket: What `admit` is asked about.
        """
        if not self._waiting and self._admit(ticket):
            return
        turn: asyncio.Future[None] = asyncio.get_running_loop().create_future()
        self._waiting.append((ticket, turn))
        try:
            await turn
        except asyncio.CancelledError:
            if turn.cancelled():
                self.move()
            elif turn.exception() is None:
                self._undo(ticket)
                self.move()
            raise

    def move(self) -> None:
        """Let in from the head as many as there is room for; to be called when there is more."""
        while self._waiting:
            ticket, turn = self._waiting[0]
            if not turn.done():
                try:
                    if not self._admit(ticket):
                        return
                except RuntimeError as error:
                    turn.set_exception(error)
                else:
                    turn.set_result(None)
            self._waiting.popleft()


class Pace:
    """How fast one model is asked: in flight, requests a minute, tokens a minute.

    In any 60 seconds no more requests go out than the limit, and no more tokens, as far as they
    can be known before, than the limit and one call. A call above the limit counts as the limit.

    How many are in flight follows the provider by additive increase and multiplicative decrease
    (Chiu and Jain 1989), as in TCP: one more a round of replies, half of it when the provider is
    overloaded, between 1 and the model's `in_flight`. It begins at `in_flight`, which somebody
    has chosen with the provider in mind: from 1 it would take a quarter of an hour to get there.

    Args:
        model: Its limits; without limits a minute nothing waits for them.
    """

    def __init__(self, model: Model) -> None:
        self.limit = float(model.in_flight)
        self._most = float(model.in_flight)
        self._running = 0
        self._halvings = 0
        self._line: Line[None] = Line(self._admit, self._release)
        self._requests = _request_bucket(model.requests_per_minute)
        self._tokens = _token_bucket(model.tokens_per_minute)
        self._most_tokens = float(model.tokens_per_minute or 0)
        told = model.parameters
        guess = told.get("max_completion_tokens") or told.get("max_tokens") or _FIRST_GUESS
        self._reply_tokens = float(guess)
        self._replies = 0
        # The buckets themselves would let small calls pass large ones for ever.
        self._turn = asyncio.Lock()

    @contextlib.asynccontextmanager
    async def slot(self, messages: Sequence[Message]) -> AsyncIterator[None]:
        """Wait until a call may be sent; the call is under way until the block ends.

        Args:
            messages: What will be sent, for its length.

        Yields:
            Nothing.
        """
        await self._line.join(None)
        try:
            if self._requests or self._tokens:
                async with self._turn:
                    await self._draw(messages)
            _halvings_before.set(self._halvings)
            yield
        finally:
            self._release(None)
            self._line.move()

    def succeeded(self, reply: Reply) -> None:
        """Learn from a reply: a little more may be in flight, and replies have such a length.

        To be called inside the block of its call: a call from before an overload says nothing
        about what may be in flight since.

        Args:
            reply: The reply.
        """
        if not self._is_from_before():
            self.limit = min(self._most, self.limit + 1 / self.limit)
            self._line.move()
        if reply.completion_tokens is not None:
            self._replies = min(self._replies + 1, _REMEMBERED)
            self._reply_tokens += (reply.completion_tokens - self._reply_tokens) / self._replies

    def overloaded(self) -> None:
        """Halve what may be in flight; to be called inside the block of the call that was too many.

        Those that were under way with it tell of the same overload, and do not count again.
        """
        if not self._is_from_before():
            self._halvings += 1
            self.limit = max(1.0, self.limit / 2)

    def _is_from_before(self) -> bool:
        return _halvings_before.get(self._halvings) < self._halvings

    def _admit(self, _: None) -> bool:
        if self._running >= int(self.limit):
            return False
        self._running += 1
        return True

    def _release(self, _: None) -> None:
        self._running -= 1

    async def _draw(self, messages: Sequence[Message]) -> None:
        if self._tokens:
            left = min(self._expected(messages), self._most_tokens)
            while left > 0:
                part = min(left, self._tokens.max_rate)
                await self._tokens.acquire(part)
                left -= part
        if self._requests:
            await self._requests.acquire()

    def _expected(self, messages: Sequence[Message]) -> float:
        characters = sum(len(message["content"]) for message in messages)
        return characters / _CHARACTERS_A_TOKEN + self._reply_tokens


def strictest(models: Sequence[Model]) -> Model:
    """Join the limits of those who share one provider's.

    Args:
        models: The same model of the same provider, each with limits of its own.

    Returns:
        The first, with the smallest of every limit that is given.
    """

    def smallest(limits: Iterable[int | None]) -> int | None:
        return min((limit for limit in limits if limit is not None), default=None)

    return replace(
        models[0],
        in_flight=min(model.in_flight for model in models),
        requests_per_minute=smallest(model.requests_per_minute for model in models),
        tokens_per_minute=smallest(model.tokens_per_minute for model in models),
    )


def _request_bucket(limit: int | None) -> AsyncLimiter | None:
    """At most `limit` whole requests in 60 seconds: the bucket's content and what runs out of it.

    In a time w shorter than a minute a bucket of `burst` that loses `rate` a second lets through
    at most `burst + rate * w`; with the rate chosen here that is below `limit + 1`.
    """
    if limit is None:
        return None
    burst = max(1.0, limit * _BURST)
    rate = (limit - burst + 1) / _MINUTE
    return AsyncLimiter(burst, burst / rate)


def _token_bucket(limit: int | None) -> AsyncLimiter | None:
    """At most `limit` tokens in 60 seconds, since here single tokens do not matter."""
    if limit is None:
        return None
    burst = limit * _BURST
    rate = (limit - burst) / _MINUTE
    return AsyncLimiter(burst, burst / rate)
