"""The second door: a server that speaks OpenAI's protocol, asked with the openai client.

For servers of one's own (vLLM …): with the client's aiohttp transport a request takes a quarter of
the CPU seconds that LiteLLM takes. The body is read here as it was sent, so a thought stays inline.
"""

from __future__ import annotations

import json
from typing import TYPE_CHECKING, Any

from synthpert.errors import InputError
from tools.traces.asking.money import Price
from tools.traces.engines.completion import read_completion
from tools.traces.engines.engine import TIMEOUT
from tools.traces.engines.keys import key_of, server_of
from tools.traces.engines.troubles import no_completion, sorted_error, sorted_status

if TYPE_CHECKING:
    import openai

    from synthpert.prompts import Message
    from tools.traces.journal.records import Reply
    from tools.traces.settings import Model

# LiteLLM's prefixes for servers of OpenAI's form; the rest is what the server calls the model.
_PREFIXES = ("openai/", "hosted_vllm/")
# Where to send and how long to wait: no part of the request's body.
_NOT_SENT = ("api_base", "base_url", "timeout", "extra_body", "organization", "drop_params")


class DirectEngine:
    """A model asked through `openai.AsyncOpenAI`.

    Args:
        model: LiteLLM's name of the model, and the parameters to send.

    Raises:
        InputError: If there is no address to send to, no price, or `key_from` is not set.
        StoppedError: If the provider's own key is missing.
    """

    def __init__(self, model: Model) -> None:
        self.model = model
        self.price = _price(model)
        told = model.parameters
        self._client = _client(model)
        self._timeout = told.get("timeout", TIMEOUT)
        sent = {name: value for name, value in told.items() if name not in _NOT_SENT}
        self._body = {"model": _served_name(model)} | sent | (told.get("extra_body") or {})

    async def ask(self, messages: list[Message]) -> Reply:
        """Send one request, once; raises as `Engine.ask` says.

        Args:
            messages: The chat so far.

        Returns:
            The reply, word for word.
        """
        import httpx
        import openai

        try:
            # Raw: the client's own types take a third of its time, and lose fields they lack.
            response = await self._client.post(
                "/chat/completions",
                body=self._body | {"messages": messages},
                cast_to=httpx.Response,
                options={"timeout": self._timeout},
            )
        except openai.OpenAIError as error:
            raise sorted_error(self.model, error) from None
        return read_completion(self._completion(response.content), self.price)

    async def close(self) -> None:
        """Close the connections."""
        await self._client.close()

    def _completion(self, content: bytes) -> dict[str, Any]:
        try:
            body = json.loads(content)
        except (ValueError, RecursionError):
            body = None
        if isinstance(body, dict) and isinstance(body.get("choices"), list):
            return body
        if isinstance(body, dict) and isinstance(body.get("error"), dict):
            # Some gateways send the status line first and the error later.
            status = body["error"].get("code")
            if isinstance(status, int) and status >= 400:
                raise sorted_status(self.model, status, str(body["error"]))
        raise no_completion(self.model, content.decode("utf-8", "replace"))


def _client(model: Model) -> openai.AsyncOpenAI:
    import httpx
    import openai

    # As many connections as calls under way, and none is closed between two calls.
    limits = httpx.Limits(max_connections=model.in_flight, max_keepalive_connections=None)
    try:
        return openai.AsyncOpenAI(
            api_key=key_of(model),
            base_url=server_of(model),
            organization=model.parameters.get("organization"),
            max_retries=0,
            http_client=openai.DefaultAioHttpClient(limits=limits),
        )
    except openai.OpenAIError as error:
        raise sorted_error(model, error) from None


def _price(model: Model) -> Price:
    """The given price without a look at LiteLLM's map, whose import takes seconds."""
    own = server_of(model)
    if own is None and not model.model.startswith("openai/"):
        raise InputError(
            "the engine openai needs to know where to send to",
            file="traces",
            column="parameters",
            got=model.model,
            expected="api_base, or a model openai/…",
        )
    if own and model.input_price is not None and model.output_price is not None:
        return Price(model.input_price / 1e6, model.output_price / 1e6)
    from tools.traces.engines.providers import model_facts

    return model_facts(model).price


def _served_name(model: Model) -> str:
    for prefix in _PREFIXES:
        if model.model.startswith(prefix):
            return model.model.removeprefix(prefix)
    return model.model
