"""Ways to ask: from a question to calls, and from replies to a row of a prediction file.

A way is pure: the same walk builds the calls when they are asked and when they are read from the
journal, so that the two cannot come to differ. The outcome of a question never reaches a way.
"""

from __future__ import annotations

from collections.abc import Generator, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Final, Protocol, TypeVar

from synthpert.answers import Answer, parse_answer
from synthpert.questions import LABELS
from synthpert.traces.gates import REFUSALS
from tools.traces.journal.records import Call, Reading, Reply
from tools.traces.walk import NOT_ANSWERED, REFUSED

if TYPE_CHECKING:
    from synthpert.prompts import PromptSet
    from synthpert.questions import Question
    from tools.traces.settings import Model

T = TypeVar("T")
Walk = Generator[Call, Reply | None, T]

UNREAD: Final[dict[str, Any]] = dict.fromkeys(("answer", "p_not_de", "p_up", "p_down"))


class Way(Protocol[T]):
    """How a question is asked and its replies are read."""

    @property
    def model(self) -> Model:
        """Who is asked."""
        ...

    @property
    def prompt_id(self) -> str:
        """The texts it asks with, by name and content."""
        ...

    def facts(self) -> dict[str, Any]:
        """What else decides the answers, for the record of the predictions."""
        ...

    def walk(self, question: Question, sample: int) -> Walk[T]:
        """Ask for one sample of an answer.

        Args:
            question: What is asked.
            sample: Counts the samples.

        Yields:
            A call; to be sent its reply, or None if there is none.

        Returns:
            What was said.
        """
        ...

    def read(self, call: Call, reply: Reply) -> Reading:
        """How a reply reads, for the journal's eyes; it may look at the call's role alone."""
        ...

    def is_answered(self, said: T) -> bool:
        """Whether every call of a walk got a reply."""
        ...

    def row(self, samples: Sequence[T]) -> dict[str, Any]:
        """Read the samples of one question.

        Args:
            samples: What was said, one or more.

        Returns:
            answer, p_not_de, p_up, p_down, reasoning, response, parse_status, finish_reason; null
            where nothing could be read.
        """
        ...


@dataclass(frozen=True, slots=True)
class Said:
    """One sample of an answer.

    Attributes:
        reply: None if there is none.
        answer: As it reads; None without a reply, and for a refusal.
    """

    reply: Reply | None
    answer: Answer | None

    @property
    def status(self) -> str:
        """How it reads, in a word."""
        if self.reply is None:
            return NOT_ANSWERED
        return REFUSED if self.answer is None else str(self.answer.status)


@dataclass(frozen=True)
class ByPrompt:
    """The benchmark's question in the words of a prompt set, as a student is asked it.

    Attributes:
        prompts: The texts.
        model: Who is asked.
    """

    prompts: PromptSet
    model: Model

    @property
    def prompt_id(self) -> str:
        """That of the prompt set."""
        return self.prompts.prompt_id

    def facts(self) -> dict[str, Any]:
        """The name of the prompt set, and what the probabilities are."""
        return {
            "prompts": self.prompts.name,
            "probabilities": "shares of the votes of the samples that could be read",
        }

    def walk(self, question: Question, sample: int) -> Walk[Said]:
        """Ask once.

        Args:
            question: What is asked.
            sample: Counts the samples.

        Yields:
            The call.

        Returns:
            What was said.
        """
        reply = yield Call(
            role="reader",
            question=question,
            label=None,
            sample=sample,
            to=self.model,
            messages=self.prompts.messages(question),
            prompt_id=self.prompt_id,
        )
        if reply is None or reply.finish_reason in REFUSALS:
            return Said(reply, None)
        return Said(reply, parse_answer(reply.text, reply.finish_reason))

    def read(self, call: Call, reply: Reply) -> Reading:
        """How a reply reads.

        Args:
            call: Any.
            reply: What came back.
        """
        answer = parse_answer(reply.text, reply.finish_reason)
        return Reading(str(answer.label or answer.status))

    def is_answered(self, said: Said) -> bool:
        """Whether there is a reply.

        Args:
            said: The end of a walk.
        """
        return said.reply is not None

    def row(self, samples: Sequence[Said]) -> dict[str, Any]:
        """The vote of the samples, and the first sample that agrees with it.

        Args:
            samples: One or more.

        Returns:
            As `Way.row`; a tie goes to the earlier of `LABELS`.
        """
        given = [each.answer.label for each in samples if each.answer and each.answer.label]
        shares = [given.count(label) / max(len(given), 1) for label in LABELS]
        vote = LABELS[shares.index(max(shares))] if given else None
        shown = next(
            (each for each in samples if vote and each.answer and each.answer.label == vote),
            next((each for each in samples if each.reply is not None), samples[0]),
        )
        row = dict(zip(UNREAD, (vote, *shares), strict=True)) if vote else dict(UNREAD)
        return row | {
            "reasoning": shown.answer.reasoning if shown.answer else None,
            "response": shown.reply.text if shown.reply else None,
            "parse_status": shown.status,
            "finish_reason": shown.reply.finish_reason if shown.reply else None,
        }
