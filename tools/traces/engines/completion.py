"""A chat completion as a reply, word for word."""

from __future__ import annotations

import json
import re
from typing import TYPE_CHECKING, Any

from tools.traces.journal.records import Reply

if TYPE_CHECKING:
    from tools.traces.asking.money import Price

# Above this a provider's count is an error of its own.
_MOST_TOKENS = 10**9
_INLINE_THOUGHT = re.compile(r"(?:<|\\u003c)\s*think", re.I)


def read_completion(body: dict[str, Any], price: Price, *, batch: bool = False) -> Reply:
    """Read the body of a response in OpenAI's form with status 200.

    An inline thought stays where the model wrote it. What the provider shows apart, under
    `reasoning_content` or vLLM's `reasoning`, is its hidden thought, not the rationale asked for.

    Args:
        body: The JSON of the response.
        price: Of the model.
        batch: Whether it came by a batch.

    Returns:
        The reply; an empty one where there is no choice, since the request is paid for.
    """
    choice = _first(body.get("choices"))
    message = choice.get("message")
    message = message if isinstance(message, dict) else {}
    text, finish_reason = message.get("content"), choice.get("finish_reason") or "no choice"
    if not text and message.get("refusal"):
        text, finish_reason = message["refusal"], "refusal"
    usage = body.get("usage")
    usage = usage if isinstance(usage, dict) else {}
    text = writable(text)
    hidden = writable(message.get("reasoning_content") or message.get("reasoning"))
    tokens_in = counted(usage.get("prompt_tokens"))
    tokens_out = counted(usage.get("completion_tokens"), least=bool(text or hidden))
    return Reply(
        text=text,
        finish_reason=str(finish_reason),
        prompt_tokens=tokens_in,
        completion_tokens=tokens_out,
        cost=cost_of(tokens_in, tokens_out, price, batch=batch),
        hidden_thought=hidden,
    )


def verbatim(message: Any, raw: str) -> tuple[str, str]:  # noqa: ANN401  (a type of LiteLLM's)
    """The text as the model wrote it, and what its provider showed apart from it.

    LiteLLM moves a leading <think>…</think> out of the text to `reasoning_content`, where it also
    puts a provider's hidden reasoning, which is not the rationale that was asked for: so only what
    the raw reply shows inline is put back (LiteLLM's issue 10702).

    Args:
        message: As LiteLLM returns it.
        raw: The provider's response as text.
    """
    text = message.content or ""
    thought = getattr(message, "reasoning_content", None)
    if thought is None:
        return text, ""
    try:
        told = json.loads(raw)["choices"][0]["message"]
        if isinstance(told["content"], str):
            return told["content"], told.get("reasoning_content") or told.get("reasoning") or ""
    except (ValueError, LookupError, TypeError, AttributeError):
        pass  # not of OpenAI's form: the text is where LiteLLM has put it
    if thought and _INLINE_THOUGHT.search(raw) and not _INLINE_THOUGHT.search(text):
        return f"<think>{thought}</think>{text}", ""
    return text, thought


def counted(told: object, *, least: int = 1) -> int | None:
    """A number of tokens as a provider tells it.

    Args:
        told: Anything that JSON can hold.
        least: What it is at least; no request is empty, and no text has no tokens.

    Returns:
        The number; None for what cannot be one, so that the call counts with its bound.
    """
    if not isinstance(told, int) or isinstance(told, bool):
        return None
    return told if least <= told <= _MOST_TOKENS else None


def cost_of(
    tokens_in: int | None, tokens_out: int | None, price: Price, *, batch: bool = False
) -> float | None:
    """What a reply cost, in US dollars; None where its usage is not told and it is not free.

    Args:
        tokens_in: Of the request.
        tokens_out: Of the reply.
        price: Of the model.
        batch: Whether it came by a batch.
    """
    if not price.input and not price.output:
        return 0.0
    if tokens_in is None or tokens_out is None:
        return None
    return price.cost(tokens_in, tokens_out, batch=batch)


def writable(text: object) -> str:
    """A text of a provider's as one that any file takes.

    Args:
        text: The text; None is empty. A list holds its parts, as some servers write it.
    """
    if isinstance(text, list):
        parts = [each.get("text") if isinstance(each, dict) else each for each in text]
        text = "".join(str(part or "") for part in parts)
    # A lone surrogate is valid in a provider's JSON but in no file that we write.
    return str(text or "").encode("utf-8", "replace").decode("utf-8")


def _first(choices: object) -> dict[str, Any]:
    found = choices[0] if isinstance(choices, list) and choices else {}
    return found if isinstance(found, dict) else {}
