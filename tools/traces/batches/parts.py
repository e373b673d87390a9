"""The two files of a batch: requests on their way to the provider, and the replies in return.

Both are JSON Lines in the form of OpenAI's Batch API, and both stay on disk: a part of 50,000
requests is written while it is counted and read back one line at a time.
"""

from __future__ import annotations

import json
import tempfile
from dataclasses import dataclass
from typing import IO, TYPE_CHECKING, Any

from synthpert.questions import Label, Question
from tools.traces.engines.completion import read_completion
from tools.traces.engines.engine import FailedError, RefusedError
from tools.traces.engines.providers import load, provider_of
from tools.traces.engines.troubles import error_line, sorted_status
from tools.traces.journal.records import Call, Reply, State

if TYPE_CHECKING:
    from collections.abc import Iterator

    from tools.traces.asking.money import Price
    from tools.traces.settings import Model

# https://platform.openai.com/docs/guides/batch: requests in one batch, bytes of its file.
MOST_REQUESTS = 50_000
MOST_BYTES = 200_000_000
# What a client is told, and no server: these are not part of a request.
_NOT_SENT = ("api_base", "base_url", "api_version", "organization", "timeout", "drop_params")
# What a line's error says of the call: asked again, never, or the run stops.
_STATES = {FailedError: State.FAILED, RefusedError: State.REFUSED}


class Part:
    """Calls of one role to one model, written to a file as they come; a context manager.

    Args:
        role: Of all its calls.
        model: Whom they ask.
        name: The model's name as its provider knows it.
        url: Where the provider is to send a request.
        most: Requests it may hold.
    """

    def __init__(
        self, role: str, model: Model, name: str, url: str, most: int = MOST_REQUESTS
    ) -> None:
        self.role = role
        self.model = model
        self.bytes = 0
        self.bound = 0.0
        self.keys: set[str] = set()
        self.file: IO[bytes] = tempfile.TemporaryFile()
        self._facts: IO[bytes] = tempfile.TemporaryFile()
        self._body = {"model": name} | sent_parameters(model)
        self._url = url
        self._most = min(most, MOST_REQUESTS)

    def close(self) -> None:
        """Drop what is on disk."""
        self.file.close()
        self._facts.close()

    def add(self, call: Call, bound: float | None) -> bool:
        """Write a request, if there is room for it.

        Args:
            call: What to ask.
            bound: US dollars that it may cost at most; None where that is not known.

        Returns:
            Whether it went in.
        """
        body = {"messages": call.messages} | self._body
        request = {"custom_id": call.key, "method": "POST", "url": self._url}
        line = json.dumps(request | {"body": body}).encode() + b"\n"
        if len(self.keys) >= self._most or self.bytes + len(line) > MOST_BYTES:
            return False
        question = call.question
        about = (question.cell_line, question.pert, question.gene, call.label)
        facts = [*about, call.sample, call.prompt_id, call.parent, bound]
        self.file.write(line)
        self._facts.write(json.dumps(facts).encode() + b"\n")
        self.bytes += len(line)
        self.bound += bound or 0.0
        self.keys.add(call.key)
        return True

    def calls(self) -> Iterator[tuple[Call, float | None]]:
        """Read its calls back from disk one at a time, each with what it may cost."""
        self.file.seek(0)
        self._facts.seek(0)
        for line, facts in zip(self.file, self._facts, strict=True):
            cell_line, pert, gene, label, sample, prompt_id, parent, bound = json.loads(facts)
            call = Call(
                role=self.role,
                question=Question(cell_line, pert, gene),
                label=None if label is None else Label(label),
                sample=sample,
                to=self.model,
                messages=json.loads(line)["body"]["messages"],
                prompt_id=prompt_id,
                parent=parent,
            )
            yield call, bound


def sent_parameters(model: Model) -> dict[str, Any]:
    """The parameters of a model that are part of a request.

    Args:
        model: The model; what its `extra_body` holds is merged in, as clients do it.
    """
    sent = {name: v for name, v in model.parameters.items() if name not in _NOT_SENT}
    extra = sent.pop("extra_body", None) or {}
    if "max_tokens" in sent:
        sent = _reply_limit(model, sent.pop("max_tokens")) | sent
    return sent | extra


def _reply_limit(model: Model, most: int) -> dict[str, Any]:
    """Name it as it is named outside batches: OpenAI's reasoning models refuse `max_tokens`."""
    name, provider = provider_of(model)
    told = load().get_optional_params(model=name, custom_llm_provider=provider, max_tokens=most)
    return {each: told[each] for each in ("max_tokens", "max_completion_tokens") if each in told}


@dataclass(frozen=True, slots=True)
class Line:
    """One line of a batch's output or error file.

    Attributes:
        key: The call's, as it was sent; empty if the line cannot be read.
        state: Answered, failed, refused, or stopped where every other call would fare alike.
        reply: The reply, if it is answered.
        error: The provider's words, if it is not.
        may_be_billed: Whether it may cost something all the same.
    """

    key: str
    state: State
    reply: Reply | None = None
    error: str | None = None
    may_be_billed: bool = False


def read_lines(file: IO[bytes], model: Model, price: Price) -> Iterator[Line]:
    """Read an output or error file, whatever order its lines are in.

    Args:
        file: At its beginning.
        model: Who was asked.
        price: Its price, for the replies' cost.

    Yields:
        What each line that is not blank says.
    """
    for raw in file:
        if raw.strip():
            yield _line(raw, model, price)


def _line(raw: bytes, model: Model, price: Price) -> Line:
    try:
        told = json.loads(raw)
        key = str(told["custom_id"])
        response = told.get("response") or {}
        status, body = int(response.get("status_code") or 0), response.get("body")
        if status == 200 and isinstance(body, dict):
            return Line(key, State.ANSWERED, read_completion(body, price, batch=True))
    except (ValueError, LookupError, TypeError, AttributeError):
        return Line("", State.FAILED, error="a line that cannot be read")
    error = told.get("error") or (body.get("error") if isinstance(body, dict) else body)
    words = _words(error)
    # No status: the batch ended before it was this line's turn; 200: a body that is no reply.
    passing = status in (0, 200)
    trouble = FailedError(words) if passing else sorted_status(model, status, words)
    line = f"{status or ''} {error_line(model, words)}".strip()
    state = _STATES.get(type(trouble), State.STOPPED)
    return Line(key, state, error=line, may_be_billed=status == 200)


def _words(error: object) -> str:
    if isinstance(error, dict):
        parts = (error.get("code"), error.get("message"))
        return ": ".join(str(part) for part in parts if part) or str(error)
    return str(error or "no reason given")
