"""The door to the providers: one call through LiteLLM, its reply word for word, its price.

The only file that imports litellm, and it does so when the first model is opened, as the import
takes seconds.
"""

from __future__ import annotations

import functools
import os
from dataclasses import dataclass
from datetime import UTC, date, datetime
from typing import TYPE_CHECKING, Any

from synthpert.errors import InputError
from tools.traces.asking.money import Price
from tools.traces.engines import offline
from tools.traces.engines.completion import cost_of, counted, verbatim, writable
from tools.traces.engines.engine import TIMEOUT
from tools.traces.engines.keys import key_of, server_of
from tools.traces.engines.troubles import sorted_error
from tools.traces.journal.records import Reply
from tools.traces.offline.template import UnreadablePromptError

if TYPE_CHECKING:
    from types import ModuleType

    from synthpert.prompts import Message
    from tools.traces.settings import Model

# The price map has the dates on which models end, but not what follows them.
_SUCCESSORS = {"o4-mini": "openai/gpt-5.6-terra"}
# Parameters that say where a request goes, not what it asks.
_PLACE = ("api_base", "base_url", "api_version", "organization", "timeout")


@dataclass(frozen=True)
class ModelFacts:
    """What is known of a model before it is asked.

    Attributes:
        name: As its provider calls it.
        provider: As LiteLLM calls it.
        price: The given one; else, token by token, that of LiteLLM's map.
        is_price_given: Whether the settings gave some of it, so that LiteLLM's sums do not hold.
        ends: The day on which it is shut down; None where none is known.
    """

    name: str
    provider: str
    price: Price
    is_price_given: bool = False
    ends: date | None = None


class LiteLLMEngine:
    """A model of any provider, asked through `litellm.acompletion`.

    Args:
        model: LiteLLM's name of the model, and the parameters to send.

    Raises:
        InputError: As `model_facts`; if `key_from` names a variable that is not set.
    """

    def __init__(self, model: Model) -> None:
        self.model = model
        self._litellm = load()
        facts = model_facts(model)
        self.price = facts.price
        self._is_price_given = facts.is_price_given
        ours = {"model": model.model, "num_retries": 0, "max_retries": 0}
        self._told = model.parameters | connection(model) | ours

    async def ask(self, messages: list[Message]) -> Reply:
        """Send one request, once; raises as `Engine.ask` says.

        Args:
            messages: The chat so far.

        Returns:
            The reply, word for word.
        """
        import openai

        raw = ""

        def listen(details: dict[str, Any]) -> None:
            nonlocal raw
            if details.get("log_event_type") == "post_api_call":
                raw = details.get("original_response") or ""

        try:
            response = await self._litellm.acompletion(
                messages=messages, logger_fn=listen, **self._told
            )
        except openai.OpenAIError as error:  # the parent of every error of litellm's
            raise sorted_error(self.model, error) from None
        return self._read(response, str(raw))

    async def close(self) -> None:
        """Close the connections, which all models of LiteLLM's share."""
        await self._litellm.close_litellm_async_clients()

    def _read(self, response: Any, raw: str) -> Reply:  # noqa: ANN401  (a type of litellm's)
        text, finish_reason, hidden = "", "no choice", ""
        if response.choices:
            message = response.choices[0].message
            finish_reason = str(response.choices[0].finish_reason)
            text, hidden = verbatim(message, raw)
            fields = message.provider_specific_fields or {}
            if not text and fields.get("refusal"):
                text, finish_reason = fields["refusal"], "refusal"
        usage = getattr(response, "usage", None)
        tokens: tuple[int | None, int | None] = (None, None)
        # LiteLLM fills in zeros where a provider tells no usage.
        if usage is not None:
            least = int(bool(text or hidden))
            tokens = (
                counted(usage.prompt_tokens),
                counted(usage.completion_tokens, least=least),
            )
        return Reply(
            text=writable(text),
            finish_reason=finish_reason,
            prompt_tokens=tokens[0],
            completion_tokens=tokens[1],
            cost=self._cost(response, *tokens),
            hidden_thought=writable(hidden),
        )

    def _cost(self, response: Any, tokens_in: int | None, tokens_out: int | None) -> float | None:  # noqa: ANN401
        # LiteLLM has priced the call by its map already, what was cheaper by caching included.
        mapped = None if self._is_price_given else response._hidden_params.get("response_cost")
        if mapped and None not in (tokens_in, tokens_out):
            return float(mapped)
        return cost_of(tokens_in, tokens_out, self.price)


def model_facts(model: Model) -> ModelFacts:
    """Look a model up; no socket, no key.

    Args:
        model: The model; where it gives a price, that one counts.

    Returns:
        Provider, price and end.

    Raises:
        InputError: If the provider is unknown, the price is, or the model is no longer in service.
    """
    if model.model.startswith(f"{offline.PROVIDER}/"):
        offline.teacher_of(model.model)
        return ModelFacts(model.model, offline.PROVIDER, Price(0.0, 0.0), is_price_given=True)
    name, provider = provider_of(model)
    known = _known(model.model, provider)
    ends = _ends(known)
    if ends and ends <= datetime.now(UTC).date() and not server_of(model):
        successor = _SUCCESSORS.get(name)
        expected = f"its successor, {successor}" if successor else "a model in service"
        raise _wrong(model, f"this model was shut down on {ends}", expected)
    given = model.input_price is not None or model.output_price is not None
    return ModelFacts(name, provider, _price(model, known), given, ends)


def price_of(model: Model) -> Price:
    """The price of a model; raises as `model_facts`.

    Args:
        model: The model.
    """
    return model_facts(model).price


def provider_of(model: Model) -> tuple[str, str]:
    """Split a model's name.

    Args:
        model: The model.

    Returns:
        Its name at the provider, and the provider's at LiteLLM.

    Raises:
        InputError: If LiteLLM knows no such provider.
    """
    litellm = load()
    try:
        name, provider, *_ = litellm.get_llm_provider(model=model.model)
    except litellm.BadRequestError:
        raise _wrong(model, "unknown provider", "PROVIDER/MODEL as in LiteLLM's list") from None
    return str(name), str(provider)


def connection(model: Model) -> dict[str, Any]:
    """Where a model's requests go, for any call of LiteLLM's: address, key, seconds to wait.

    Args:
        model: The model.

    Raises:
        InputError: If `key_from` names a variable that is not set.
    """
    place = {name: v for name, v in model.parameters.items() if name in _PLACE}
    key = key_of(model)
    return {"timeout": TIMEOUT} | place | ({} if key is None else {"api_key": key})


def count_tokens(model: Model, messages: list[Message]) -> int:
    """Count the tokens of a request with the model's tokenizer, where LiteLLM brings it along.

    Args:
        model: The model.
        messages: The chat.

    Returns:
        Tokens; those of OpenAI's tokenizer for a model whose own would have to be fetched.
    """
    return int(load().token_counter(model=model.model, messages=messages))


@functools.cache
def load() -> ModuleType:
    """Import litellm: no network, nothing printed, our offline provider known to it.

    Returns:
        The module.
    """
    # Its price map is fetched at import otherwise.
    os.environ.setdefault("LITELLM_LOCAL_MODEL_COST_MAP", "True")
    import litellm
    from litellm.utils import custom_llm_setup

    class Offline(litellm.CustomLLM):
        async def acompletion(self, *args: Any, **kwargs: Any) -> Any:  # noqa: ANN401
            model, response = kwargs["model"], kwargs["model_response"]
            teacher = offline.teacher_of(f"{offline.PROVIDER}/{model}")
            try:
                response.choices[0].message.content = teacher(kwargs["messages"])
            except UnreadablePromptError as error:
                raise litellm.BadRequestError(str(error), model, offline.PROVIDER) from None
            return response

    litellm.suppress_debug_info = True
    litellm.disable_hf_tokenizer_download = True
    litellm.custom_provider_map = [{"provider": offline.PROVIDER, "custom_handler": Offline()}]
    custom_llm_setup()
    return litellm


def _known(name: str, provider: str) -> dict[str, Any]:
    """What LiteLLM's map knows of a model: its prices, its longest reply, the day it ends."""
    known: dict[str, dict[str, Any]] = load().model_cost
    bare = known.get(name.removeprefix(f"{provider}/"), {})
    # The same name at another provider is another price.
    return known.get(name) or (bare if bare.get("litellm_provider") == provider else {})


def _price(model: Model, known: dict[str, Any]) -> Price:
    def a_token(given: float | None, name: str) -> float:
        price = known.get(name) if given is None else given / 1e6
        if price is None:
            expected = (
                "input_price and output_price in US$ per million tokens, 0 for a server of your own"
            )
            raise _wrong(model, "price unknown", expected)
        return float(price)

    given = (model.input_price, model.output_price)
    # What else the map lists is no price beside one that was given.
    listed = known if given == (None, None) else {}
    # Some models charge more for the tokens of their thoughts, and those may be all of a reply.
    thought = float(listed.get("output_cost_per_reasoning_token") or 0.0)
    return Price(
        a_token(given[0], "input_cost_per_token"),
        max(a_token(given[1], "output_cost_per_token"), thought),
        listed.get("input_cost_per_token_batches"),
        listed.get("output_cost_per_token_batches"),
        known.get("max_output_tokens") or known.get("max_tokens"),
        float(listed.get("cache_creation_input_token_cost") or 0.0),
    )


def _ends(known: dict[str, Any]) -> date | None:
    try:
        return date.fromisoformat(str(known.get("deprecation_date")))
    except ValueError:
        return None


def _wrong(model: Model, what: str, expected: str) -> InputError:
    return InputError(what, file="traces", column="model", got=model.model, expected=expected)
