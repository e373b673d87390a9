"""The door to the models: one call through LiteLLM, its reply word for word, its errors sorted.

The only file that imports litellm, and it does so when the first model is made, as the import
takes seconds. Nothing here retries: LiteLLM's retries are off, and `asking.py` owns them.
"""

from __future__ import annotations

import functools
import json
import os
import re
import time
from datetime import UTC, date, datetime
from email.utils import parsedate_to_datetime
from typing import TYPE_CHECKING, Any

from synthpert.errors import InputError, StoppedError
from tools.traces import offline
from tools.traces.journal import Reply

if TYPE_CHECKING:
    from collections.abc import Mapping
    from types import ModuleType

    import openai

    from synthpert.prompts import Message
    from tools.traces.settings import Model

# Seconds. A reasoning model may think for minutes; LiteLLM itself would wait over an hour.
_TIMEOUT = 600.0
# Seconds. Asked to wait longer than this, by a daily limit say, the run stops instead.
_LONGEST_WAIT = 900.0
# The price map has the dates on which models end, but not what follows them.
_SUCCESSORS = {"o4-mini": "openai/gpt-5.6-terra"}

_QUOTA = re.compile(r"insufficient_quota|insufficient.(?:funds|balance)|credit balance", re.I)
# Raised by the client itself, before anything is sent, yet reported as a server's error 500.
_NO_KEY = re.compile(r"missing credentials|api_key client option must be set", re.I)
_INLINE_THOUGHT = re.compile(r"(?:<|\\u003c)\s*think", re.I)


class FailedError(Exception):
    """A passing trouble: too many requests, a server's error, a time-out, no connection.

    Args:
        line: The provider's words.
        retry_after: Seconds that the provider asks to wait, or 0.
    """

    def __init__(self, line: str, retry_after: float = 0.0) -> None:
        super().__init__(line)
        self.retry_after = retry_after


class RefusedError(Exception):
    """The provider will not take this request; the same one again would fare no better."""


class Teacher:
    """A model that can be asked: a teacher or a critic.

    Args:
        model: LiteLLM's name of the model, and the parameters to send.

    Raises:
        InputError: If LiteLLM does not know the provider, or the model is no longer in service.
    """

    def __init__(self, model: Model) -> None:
        self.model = model
        self._litellm = litellm = _load()
        try:
            _, provider, *_ = litellm.get_llm_provider(model=model.model)
        except litellm.BadRequestError:
            raise _wrong(model, "unknown provider", "PROVIDER/MODEL as in LiteLLM's list") from None
        self._is_offline = provider == "offline"
        facts = _facts(litellm, model.model, provider)
        self._is_priced = "input_cost_per_token" in facts
        if not model.parameters.get("api_base"):
            _refuse_ended(model, facts)

    @property
    def has_price(self) -> bool:
        """Whether the cost of a call can be told."""
        return self._is_offline or self._is_priced

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
        import openai

        raw: list[str] = []

        def listen(details: dict[str, Any]) -> None:
            if details.get("log_event_type") == "post_api_call":
                raw.append(str(details.get("original_response")))

        try:
            response = await self._litellm.acompletion(
                model=self.model.model,
                messages=messages,
                num_retries=0,
                max_retries=0,
                logger_fn=listen,
                **({"timeout": _TIMEOUT} | self.model.parameters),
            )
        except openai.OpenAIError as error:  # the parent of every error of litellm's
            raise self._sorted(error) from None
        return self._read(response, raw[-1] if raw else "")

    def _read(self, response: Any, raw: str) -> Reply:  # noqa: ANN401  (a type of litellm's)
        choice = response.choices[0] if response.choices else None
        text = _verbatim(choice.message, raw) if choice else ""
        finish_reason = str(choice.finish_reason) if choice else "no choice"
        fields = (choice and choice.message.provider_specific_fields) or {}
        if not text and fields.get("refusal"):
            text, finish_reason = str(fields["refusal"]), "refusal"
        usage = getattr(response, "usage", None)
        return Reply(
            # A lone surrogate is valid in a provider's JSON but in no file that we write.
            text=text.encode("utf-8", "replace").decode("utf-8"),
            finish_reason=finish_reason,
            prompt_tokens=getattr(usage, "prompt_tokens", None),
            completion_tokens=getattr(usage, "completion_tokens", None),
            cost=self._cost(response),
        )

    def _cost(self, response: object) -> float | None:
        if self._is_offline:
            return 0.0
        if not self._is_priced:
            return None
        try:
            cost = self._litellm.completion_cost(response, model=self.model.model)
        except self._litellm.exceptions.ModelNotMappedError:
            return None
        return float(cost)

    def _sorted(self, error: openai.OpenAIError) -> Exception:
        """Turn an error of LiteLLM's into one of the four that `ask` raises."""
        import openai

        line = " ".join(str(error).split())[:500]
        said = f"{line} {getattr(error, 'body', '')}"
        status = getattr(error, "status_code", None) or 0
        no_quota = status == 402 or (status in (400, 429) and _QUOTA.search(said))
        if status in (401, 403) or no_quota or _NO_KEY.search(line):
            why = "no quota is left" if no_quota else "the key is missing or not accepted"
            return StoppedError(f"{self.model.model}: {why}: {line}")
        if status == 404:
            return _wrong(self.model, f"the provider has no such model: {line}", "another model")
        connection = isinstance(error, openai.APIConnectionError)  # time-outs among them
        if connection or status in (408, 409, 425, 429) or status >= 500:
            wait = retry_after(getattr(error, "litellm_response_headers", None) or {})
            if wait > _LONGEST_WAIT:
                return StoppedError(f"{self.model.model}: come back in {wait:.0f} s: {line}")
            return FailedError(line, wait)
        return RefusedError(line)


def retry_after(headers: Mapping[str, str]) -> float:
    """Read how long a provider asks to wait.

    Args:
        headers: Of the response, lower-cased or in a mapping that ignores case.

    Returns:
        Seconds; 0 if nothing is asked, or nothing that can be read.
    """
    text = str(headers.get("retry-after", "")).strip()
    if re.fullmatch(r"\d{1,9}(\.\d{1,9})?", text):
        return float(text)
    try:
        when = parsedate_to_datetime(text)
    except ValueError:
        return 0.0
    return max(0.0, when.timestamp() - time.time())


def _verbatim(message: Any, raw: str) -> str:  # noqa: ANN401  (a type of litellm's)
    """The text as the model wrote it, with the inline thought that LiteLLM takes out of it.

    LiteLLM moves a leading <think>…</think> to `reasoning_content`, where it also puts a
    provider's hidden reasoning, which is not the rationale that was asked for: so only what the
    raw reply shows inline is put back (LiteLLM's issue 10702).
    """
    try:
        content = json.loads(raw)["choices"][0]["message"]["content"]
    except (ValueError, LookupError, TypeError):
        content = None  # not of OpenAI's form: the text is where LiteLLM has put it
    if isinstance(content, str):
        return content
    content = message.content or ""
    thought = getattr(message, "reasoning_content", None)
    if thought and _INLINE_THOUGHT.search(raw) and not _INLINE_THOUGHT.search(content):
        return f"<think>{thought}</think>{content}"
    return content


@functools.cache
def _load() -> ModuleType:
    """Import litellm: no network, nothing printed, our offline provider known to it."""
    # Its price map is fetched at import otherwise.
    os.environ.setdefault("LITELLM_LOCAL_MODEL_COST_MAP", "True")
    import litellm
    from litellm.utils import custom_llm_setup

    class Offline(litellm.CustomLLM):
        async def acompletion(self, *args: Any, **kwargs: Any) -> Any:  # noqa: ANN401
            response = kwargs["model_response"]
            try:
                response.choices[0].message.content = offline.reply(kwargs["messages"])
            except offline.UnreadablePromptError as error:
                raise litellm.BadRequestError(str(error), kwargs["model"], "offline") from None
            return response

    litellm.suppress_debug_info = True
    litellm.custom_provider_map = [{"provider": "offline", "custom_handler": Offline()}]
    custom_llm_setup()
    return litellm


def _facts(litellm: ModuleType, name: str, provider: str) -> dict[str, Any]:
    """What LiteLLM's map knows of a model: its prices, the day it ends."""
    known: dict[str, dict[str, Any]] = litellm.model_cost
    bare = known.get(name.removeprefix(f"{provider}/"), {})
    # The same name at another provider is another price.
    return known.get(name) or (bare if bare.get("litellm_provider") == provider else {})


def _refuse_ended(model: Model, facts: dict[str, Any]) -> None:
    try:
        end = date.fromisoformat(str(facts.get("deprecation_date")))
    except ValueError:
        return
    if end <= datetime.now(UTC).date():
        successor = _SUCCESSORS.get(model.model.rpartition("/")[2])
        expected = f"its successor, {successor}" if successor else "a model in service"
        raise _wrong(model, f"this model was shut down on {end}", expected)


def _wrong(model: Model, what: str, expected: str) -> InputError:
    return InputError(what, file="traces", column="model", got=model.model, expected=expected)
