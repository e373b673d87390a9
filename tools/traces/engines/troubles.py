"""What can go wrong with a request and what follows, in one table for all engines.

Nothing in or below an engine asks again: LiteLLM's and the client's own retries are off, and
`asking.py` is the one owner of retries. It asks again after a `FailedError` and nothing else.

=====================================================  ==============  ===========  ==============
trouble                                                becomes         asked again  may be billed
=====================================================  ==============  ===========  ==============
429 too many requests; 503, 529 overloaded             FailedError     yes, slower  no
408, 502, 504, 524 a gateway lost patience             FailedError     yes          yes
409, 425, other 5xx                                    FailedError     yes          no
no connection (refused, no such host, TLS)             FailedError     yes          no
time-out, connection dropped, before a reply or in it  FailedError     yes          yes
200 with HTML, or JSON that is no chat completion      FailedError     yes          yes
400, 413, 422 and other 4xx                            RefusedError    never        no
asked to wait over 15 minutes                          StoppedError    never        no
401, 403 key missing, wrong or not allowed             StoppedError    never        no
402; 400 or 429 that speak of quota or credit          StoppedError    never        no
404 no such model                                      InputError      never        no
a parameter that LiteLLM says the provider lacks       InputError      never        no
empty text, empty list of choices, refusal, cut short  a reply, kept   never        it is billed
=====================================================  ==============  ===========  ==============

A `StoppedError` pauses the run (exit code 3) and the same command resumes it; an `InputError` ends
it (exit code 2). What may be billed stays booked at its bound, so that a budget holds.
"""

from __future__ import annotations

import os
import re
import time
from email.utils import parsedate_to_datetime
from typing import TYPE_CHECKING

from synthpert.errors import InputError, StoppedError
from synthpert.redaction import REDACTED, redact_text
from tools.traces.engines.engine import FailedError, RefusedError

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping

    from tools.traces.settings import Model

# Seconds. Asked to wait longer than this, by a daily limit say, the run stops instead.
_LONGEST_WAIT = 900.0
_LONGEST_LINE = 500

_OVERLOADED = (429, 503, 529)
_PASSING = (408, 409, 425, 429)
# A gateway gave up on a server that may have gone on writing.
_MAYBE_BILLED = (408, 502, 504, 524)

_QUOTA = re.compile(r"insufficient_quota|insufficient.(?:funds|balance)|credit balance", re.I)
# Raised by the client itself, before anything is sent.
_NO_KEY = re.compile(
    r"missing credentials|api_key client option must be set|missing \w* ?api[ _-]?key", re.I
)


def sorted_error(model: Model, error: Exception) -> Exception:
    """Turn an error of the openai client or of LiteLLM, whose errors derive from its, into ours.

    Args:
        model: Who was asked.
        error: An `openai.OpenAIError`.

    Returns:
        The error to raise: a FailedError, RefusedError, StoppedError or InputError.
    """
    import openai

    said = str(error)
    if _NO_KEY.search(said):
        return _no_key(model, error_line(model, said))
    if type(error).__name__ == "UnsupportedParamsError":
        what = f"a parameter the provider does not take: {error_line(model, said)}"
        return _wrong(model, what, "other parameters")
    status = int(getattr(error, "status_code", None) or 0)
    # LiteLLM calls a broken connection, and a reply that it cannot read, a server's error.
    if (isinstance(error, openai.APIConnectionError) or status >= 500) and not _is_http(error):
        *_, first = _chain(error)
        line = error_line(model, f"{said} ({type(first).__name__}: {first})")
        return FailedError(line, may_be_billed=_was_sent(error))
    body = getattr(error, "body", None)
    if body and str(body) not in said:
        said = f"{said} {body}"
    return sorted_status(model, status, said, _headers(error))


def sorted_status(
    model: Model, status: int, said: str, headers: Mapping[str, str] | None = None
) -> Exception:
    """Say what an HTTP status that is not 200 means.

    Args:
        model: Who was asked.
        status: The HTTP status.
        said: The provider's words.
        headers: Of the response, lower-cased or in a mapping that ignores case.

    Returns:
        The error to raise.
    """
    line = error_line(model, said)
    if status == 402 or (status in (400, 429) and _QUOTA.search(said)):
        return StoppedError(f"{model.model}: no quota is left: {line}")
    if status in (401, 403):
        return _no_key(model, line)
    if status == 404:
        return _wrong(model, f"the provider has no such model: {line}", "another model")
    if status not in _PASSING and status < 500:
        return RefusedError(line)
    wait = retry_after(headers or {})
    if wait > _LONGEST_WAIT:
        return StoppedError(f"{model.model}: come back in {wait:.0f} s: {line}")
    return FailedError(
        line, wait, overloaded=status in _OVERLOADED, may_be_billed=status in _MAYBE_BILLED
    )


def no_completion(model: Model, said: str) -> FailedError:
    """A response with status 200 that no model wrote: a proxy's page, half a body.

    Args:
        model: Who was asked.
        said: The body, or the beginning of it.
    """
    return FailedError(error_line(model, f"this is no chat completion: {said}"), may_be_billed=True)


def error_line(model: Model, said: str) -> str:
    """A provider's words in one line, without secrets.

    Args:
        model: Who was asked; its key may stand under any name in the environment.
        said: The words.
    """
    key = os.environ.get(model.key_from, "")
    text = said[: 10 * _LONGEST_LINE]
    if key:
        text = text.replace(key, REDACTED)
    return " ".join(redact_text(text).split())[:_LONGEST_LINE]


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


def _headers(error: Exception) -> Mapping[str, str]:
    found = getattr(error, "litellm_response_headers", None)
    if not found:
        found = getattr(getattr(error, "response", None), "headers", None)
    return found or {}


def _chain(error: BaseException) -> Iterator[BaseException]:
    """The error and those it was raised from."""
    seen: set[int] = set()
    each: BaseException | None = error
    while each is not None and id(each) not in seen:
        seen.add(id(each))
        yield each
        each = each.__cause__ or each.__context__


def _is_http(error: Exception) -> bool:
    """Whether a server sent this status, and not LiteLLM made it up."""
    import httpx
    import openai

    return any(
        isinstance(each, httpx.HTTPStatusError)
        or (isinstance(each, openai.APIStatusError) and type(each).__module__.startswith("openai"))
        for each in _chain(error)
    )


def _was_sent(error: Exception) -> bool:
    """Whether a request that got no reply may have reached the provider."""
    import aiohttp
    import httpx

    chain = list(_chain(error))
    never: tuple[type[Exception], ...] = (httpx.ConnectError, httpx.ConnectTimeout)
    if any(isinstance(each, aiohttp.ClientError) for each in chain):
        # Both transports call a connection that broke later a failure to connect, too.
        never = (aiohttp.ClientConnectorError, aiohttp.ConnectionTimeoutError)
    return not any(isinstance(each, never) for each in chain)


def _no_key(model: Model, line: str) -> StoppedError:
    # The variable's name is LiteLLM's custom, which every large provider follows.
    variable = f"{model.model.partition('/')[0].upper()}_API_KEY"
    named = f" (it is read from {model.key_from or variable}; set it, and the same command goes on)"
    return StoppedError(f"{model.model}: the key is missing or not accepted{named}: {line}")


def _wrong(model: Model, what: str, expected: str) -> InputError:
    return InputError(what, file="traces", column="model", got=model.model, expected=expected)
