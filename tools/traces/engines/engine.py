"""What an engine is: one request, one reply, four ways to fail. Nothing here or below retries."""

from __future__ import annotations

from typing import TYPE_CHECKING, Protocol

if TYPE_CHECKING:
    from synthpert.prompts import Message
    from tools.traces.asking.money import Price
    from tools.traces.journal.records import Reply
    from tools.traces.settings import Model

# Seconds. A reasoning model may think for minutes; LiteLLM itself would wait over an hour.
TIMEOUT = 600.0


class FailedError(Exception):
    """A passing trouble: too many requests, a server's error, a time-out, no connection.

    Args:
        line: The provider's words, without secrets.
        retry_after: Seconds that the provider asks to wait, or 0.
        overloaded: Whether the provider asks for less at once (429, 503, 529).
        may_be_billed: Whether the request reached the provider and may be charged all the same, as
            with a time-out or a connection that broke while it was read.
    """

    def __init__(
        self,
        line: str,
        retry_after: float = 0.0,
        *,
        overloaded: bool = False,
        may_be_billed: bool = False,
    ) -> None:
        super().__init__(line)
        self.retry_after = retry_after
        self.overloaded = overloaded
        self.may_be_billed = may_be_billed


class RefusedError(Exception):
    """The provider will not take this request; the same one again would fare no better."""


class Engine(Protocol):
    """A model that can be asked, as teacher, critic or judge."""

    model: Model
    price: Price

    async def ask(self, messages: list[Message]) -> Reply:
        """Send one request, once.

        Args:
            messages: The chat so far.

        Returns:
            The reply, word for word.

        Raises:
            FailedError: If the trouble looks passing.
            RefusedError: If the provider will not take the request.
            StoppedError: If the key is wrong or missing, or the quota is used up.
            InputError: If the provider has no such model.
        """

    async def close(self) -> None:
        """Close the connections."""
