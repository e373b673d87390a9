"""Money: what a call costs, what it may cost at most, and a budget that is never exceeded.

The budget works by reservation: before a call is sent, the most that it may cost is set aside;
when its reply is here, what it did cost is booked and the rest is free again.
"""

from __future__ import annotations

import json
import logging
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from synthpert.errors import InputError, StoppedError
from tools.traces.asking.limits import Line

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from synthpert.prompts import Message

logger = logging.getLogger(__name__)

# US dollars are counted in whole units of 1e-12, so that no sum drifts with its order.
_UNITS = 10**12
# Tokens around the texts. OpenAI's counting recipe has 3 or 4 a message and 3 for the reply; a
# provider may add a line of its own before the chat.
_A_MESSAGE, _A_CHAT = 16, 64
# Times the plain price: what is written to a provider's cache, unasked, with OpenAI and Anthropic.
_CACHE_WRITE = 1.25
# From 100,000 tokens on some providers charge more (LiteLLM's `…_above_100k_tokens`).
_LONGEST_PROMPT = 100_000
_OUTPUT_BOUNDS = ("max_tokens", "max_completion_tokens")
# Charged beside the tokens, or dearer than the price list says.
_EXTRAS = ("tools", "functions", "web_search_options", "modalities", "prediction", "service_tier")
_CHEAP_TIERS = ("auto", "default", "flex")


@dataclass(frozen=True)
class Price:
    """What a model charges, in US dollars per token.

    Attributes:
        input: Of the request.
        output: Of the reply, hidden reasoning included.
        input_batch: Of a request in a batch; None where it is not known.
        output_batch: Of its reply.
        max_output: Tokens, the longest reply the model can give; None where it is not known.
        cache_write: Of the request, as far as the provider writes it to its cache.
    """

    input: float
    output: float
    input_batch: float | None = None
    output_batch: float | None = None
    max_output: int | None = None
    cache_write: float = 0.0

    def cost(self, prompt_tokens: float, completion_tokens: float, batch: bool = False) -> float:
        """Price a reply by its usage.

        Args:
            prompt_tokens: Of the request.
            completion_tokens: Of the reply, hidden reasoning included.
            batch: Whether it came by a batch; at the full price where no other is known.

        Returns:
            US dollars.
        """
        price_in, price_out = self._prices(batch)
        return prompt_tokens * price_in + completion_tokens * price_out

    def bound(
        self, messages: Sequence[Message], parameters: Mapping[str, Any], batch: bool = False
    ) -> float:
        """Say what a call may cost at most, before it is sent.

        A token of byte-level BPE (Sennrich et al. 2016; Radford et al. 2019) stands for one byte
        or more, so a text has no more tokens than bytes of UTF-8; SentencePiece falls back to
        bytes likewise. The reply is bounded by what the parameters ask for, else by the model.

        Args:
            messages: The chat.
            parameters: What is sent beside it.
            batch: Whether it goes by a batch.

        Returns:
            US dollars.

        Raises:
            InputError: If the reply has no bound, the prompt is so long that other prices hold,
                or a parameter asks for what is charged beside the tokens.
        """
        price_in, price_out = self._prices(batch)
        if not price_in and not price_out:
            return 0.0
        _refuse_extras(parameters)
        tokens = _most_input(messages, parameters)
        most = 0
        if price_out:
            most = _most_output(parameters, self.max_output)
        return tokens * max(price_in * _CACHE_WRITE, self.cache_write) + most * price_out

    def _prices(self, batch: bool) -> tuple[float, float]:
        if not batch:
            return self.input, self.output
        return (
            self.input if self.input_batch is None else self.input_batch,
            self.output if self.output_batch is None else self.output_batch,
        )


class Budget:
    """What all calls of a journal may cost together.

    Whatever the order of replies, `spent + reserved` is never above the limit, as long as no call
    costs more than was reserved for it; one that does is booked all the same, and said.

    Args:
        limit: US dollars; None for no limit.
        spent: What the journal's calls have cost so far.
    """

    def __init__(self, limit: float | None, spent: float = 0.0) -> None:
        self._limit = None if limit is None else _units(limit)
        self._spent = _units(spent)
        self._reserved = 0
        self._line: Line[int] = Line(self._admit, self._release)

    @property
    def limit(self) -> float | None:
        """US dollars; None for no limit."""
        return None if self._limit is None else self._limit / _UNITS

    @property
    def spent(self) -> float:
        """US dollars booked."""
        return self._spent / _UNITS

    @property
    def reserved(self) -> float:
        """US dollars set aside for the calls under way."""
        return self._reserved / _UNITS

    async def reserve(self, amount: float) -> None:
        """Set money aside; waits, first come first served, while others may give some back.

        Args:
            amount: US dollars, the most that the call may cost. Free calls never wait.

        Raises:
            StoppedError: If it would not fit even if all calls under way turned out free.
        """
        if units := _units(amount):
            await self._line.join(units)

    def settle(self, amount: float, cost: float | None) -> None:
        """Give a reservation back and book the cost.

        Args:
            amount: As it was reserved.
            cost: US dollars; None if the call is not billed.
        """
        if self._limit is not None and _units(cost or 0.0) > _units(amount):
            logger.warning("a call cost US$ %.4f, bounded by US$ %.4f before", cost, amount)
        self._spent += _units(cost or 0.0)
        self._release(_units(amount))
        self._line.move()

    def _admit(self, units: int) -> bool:
        if self._limit is not None:
            # What is spent never comes back, so there is nothing to wait for.
            if self._spent + units > self._limit:
                raise StoppedError(self._used_up(units))
            if self._spent + self._reserved + units > self._limit:
                return False
        self._reserved += units
        return True

    def _release(self, units: int) -> None:
        self._reserved -= units

    def _used_up(self, units: int) -> str:
        limit = (self._limit or 0) / _UNITS
        return (
            f"the budget of US$ {limit:,.2f} is used up: US$ {self.spent:,.4f} is spent, "
            f"and the next call may cost up to US$ {units / _UNITS:,.4f}"
        )


def longest_reply(parameters: Mapping[str, Any]) -> int | None:
    """Say how long a reply may be by what is sent with the request.

    Args:
        parameters: What is sent.

    Returns:
        Tokens, hidden reasoning included; None where the parameters do not say.
    """
    extra = parameters.get("extra_body")
    places = [parameters, extra if isinstance(extra, dict) else {}]
    given = [int(place[name]) for place in places for name in _OUTPUT_BOUNDS if place.get(name)]
    return max(given, default=None)


def _units(dollars: float) -> int:
    # Fails on infinity and not-a-number, which are no sums of money.
    return round(dollars * _UNITS)


def _most_input(messages: Sequence[Message], parameters: Mapping[str, Any]) -> int:
    texts = [text for message in messages for text in message.values()]
    # A schema for the reply is read by the model like a text.
    texts.append(json.dumps(dict(parameters), default=str))
    tokens = sum(len(str(text).encode()) for text in texts) + _A_MESSAGE * len(messages) + _A_CHAT
    if tokens > _LONGEST_PROMPT:
        raise InputError(
            "a prompt too long to be priced",
            file="traces",
            column="prompts",
            got=f"{tokens:,} bytes",
            expected=f"at most {_LONGEST_PROMPT:,}",
        )
    return tokens


def _most_output(parameters: Mapping[str, Any], max_output: int | None) -> int:
    most = longest_reply(parameters) or max_output
    if most is None:
        raise InputError(
            "the model's longest reply is not known, so its cost has no bound",
            file="traces",
            column="parameters",
            expected="max_tokens or max_completion_tokens",
        )
    return most


def _refuse_extras(parameters: Mapping[str, Any]) -> None:
    for name in _EXTRAS:
        if parameters.get(name) and parameters[name] not in _CHEAP_TIERS:
            raise InputError(
                "its cost has no bound", file="traces", column=f"parameters.{name}", got=name
            )
