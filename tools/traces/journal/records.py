"""What the journal's rows are made of: a call, its reply, how it ended, its batch."""

from __future__ import annotations

import hashlib
import json
from dataclasses import dataclass, field
from enum import StrEnum
from functools import cached_property
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from synthpert.prompts import Message
    from synthpert.questions import Label, Question
    from tools.traces.settings import Model


class State(StrEnum):
    """What became of an attempt; all but answered are asked again by the next run.

    `sent` is under way, or in a batch that is open. Answered is final. Failed was a passing
    trouble, refused a request the provider will not take, stopped ended the run, lost was under
    way when a run was killed. Duplicate is a second reply to a call that has been answered: it is
    kept and its cost counts, but the first reply stays the answer.
    """

    SENT = "sent"
    ANSWERED = "answered"
    FAILED = "failed"
    REFUSED = "refused"
    STOPPED = "stopped"
    LOST = "lost"
    DUPLICATE = "duplicate"


class BatchState(StrEnum):
    """How far a batch has come; the first three are open.

    Prepared is written down here alone, uploaded has its file at the provider, submitted has an id
    there. Done: its results have been taken. Released: there is nothing of it at the provider.
    """

    PREPARED = "prepared"
    UPLOADED = "uploaded"
    SUBMITTED = "submitted"
    DONE = "done"
    RELEASED = "released"


OPEN_BATCH = (BatchState.PREPARED, BatchState.UPLOADED, BatchState.SUBMITTED)


@dataclass(frozen=True, slots=True)
class Reply:
    """What a model answered.

    Attributes:
        text: The reply, word for word; empty if the model said nothing.
        finish_reason: Why it ended: stop, length, refusal, content_filter …
        prompt_tokens: Tokens of the request, None if the provider did not say.
        completion_tokens: Tokens of the reply, hidden reasoning included.
        cost: US dollars, None if it is not known (never 0 for that).
        hidden_thought: Reasoning that the provider shows apart; never the rationale asked for.
    """

    text: str
    finish_reason: str
    prompt_tokens: int | None = None
    completion_tokens: int | None = None
    cost: float | None = None
    hidden_thought: str = ""


@dataclass(frozen=True)
class Call:
    """One thing to ask: everything that decides the reply, and what it is about.

    Attributes:
        role: `teacher`, `critic` or `judge`; `reader` and `summariser` of the verb `ask`.
        question: What it is about.
        label: Its outcome; None where none is known.
        sample: Counts the samples of one question, or equal critics of one thought, from 0.
        to: The model.
        messages: What is sent.
        prompt_id: The prompt set the messages were made from.
        parent: The key of the call whose reply this one judges; empty for a teacher's.
    """

    role: str
    question: Question
    label: Label | None
    sample: int
    to: Model = field(hash=False)
    messages: list[Message] = field(hash=False)
    prompt_id: str
    parent: str = ""

    @cached_property
    def key(self) -> str:
        """SHA-256 of what decides the reply (messages, model, parameters, sample), in hex."""
        facts = [self.messages, self.to.model, self.to.told, self.sample]
        return hashlib.sha256(json.dumps(facts, sort_keys=True, default=str).encode()).hexdigest()


@dataclass(frozen=True, slots=True)
class Reading:
    """How a reply read when it arrived; an export reads it anew.

    Attributes:
        parse: The parser's word for it.
        grade: The critic's grade, where it is a critic's reply.
    """

    parse: str
    grade: str | None = None


@dataclass(frozen=True, slots=True)
class Finished:
    """How one attempt ended.

    Attributes:
        row: The id that `Journal.start` or `Journal.batch_rows` gave.
        state: What became of it.
        seconds: From sending to the end.
        reply: The reply, where there is one.
        reading: How the reply reads.
        error: The provider's error; secrets are taken out before it is written.
        may_be_billed: Whether it may cost its reservation although there is no reply.
    """

    row: int
    state: State
    seconds: float
    reply: Reply | None = None
    reading: Reading | None = None
    error: str | None = None
    may_be_billed: bool = False


@dataclass(frozen=True, slots=True)
class BatchRecord:
    """A batch: many calls that went to a provider as one file.

    Attributes:
        id: Our name of it, given before anything is uploaded.
        role: Of all its calls.
        model: Of all its calls.
        requests: How many calls it has.
        state: How far it has come.
        provider_id: The provider's name of it.
        input_file: The provider's name of the file of requests.
        output_file: The provider's name of the file of replies.
        error_file: The provider's name of the file of errors.
        error: What went wrong with all of it.
        at: When it was written down, UTC; empty until then.
    """

    id: str
    role: str
    model: str
    requests: int
    state: BatchState = BatchState.PREPARED
    provider_id: str | None = None
    input_file: str | None = None
    output_file: str | None = None
    error_file: str | None = None
    error: str | None = None
    at: str = ""
