"""The keep rule: which of a teacher's replies are traces worth training on, and why the others not.

The gates are tried in the order of `RejectReason`: first what the answer is (nothing more need be
said of a wrong one), then whether there is a thought, then what is wrong with it. All of them come
before a critic is paid.
"""

from __future__ import annotations

from enum import StrEnum
from typing import TYPE_CHECKING, Final

from synthpert.answers import Answer, Grade, ParseStatus
from synthpert.traces.thoughts import (
    has_odd_characters,
    has_tags,
    last_word,
    leans_on_the_outcome,
    mentions,
)

if TYPE_CHECKING:
    from collections.abc import Collection, Sequence

    from synthpert.questions import Label, Question

# A thought this short cannot name two genes, a mechanism and a conclusion.
LEAST_WORDS: Final = 20

# Finish reasons with which a provider says that its reply is a refusal, which is no answer.
REFUSALS: Final = ("refusal", "content_filter")


class RejectReason(StrEnum):
    """Why a trace is not kept; the first that holds, in this order."""

    ABSTAINED = "abstained"
    NO_ANSWER = "no_answer"
    SEVERAL_ANSWERS = "several_answers"
    NEGATED_ANSWER = "negated_answer"
    WRONG_ANSWER = "wrong_answer"
    THOUGHT_MISSING = "thought_missing"
    THOUGHT_HIDDEN = "thought_hidden"
    THOUGHT_TOO_SHORT = "thought_too_short"
    CONTROL_CHARACTERS = "control_characters"
    GENE_NOT_MENTIONED = "gene_not_mentioned"
    LEAKS_LABEL = "leaks_label"
    THOUGHT_DISAGREES = "thought_disagrees"
    NO_GRADE = "no_grade"
    GRADE_TOO_LOW = "grade_too_low"


# The replies that give no one label.
UNREADABLE: Final = frozenset(
    {
        RejectReason.ABSTAINED,
        RejectReason.NO_ANSWER,
        RejectReason.SEVERAL_ANSWERS,
        RejectReason.NEGATED_ANSWER,
    }
)

_UNREAD = {
    ParseStatus.ABSTAIN: RejectReason.ABSTAINED,
    ParseStatus.SEVERAL: RejectReason.SEVERAL_ANSWERS,
    ParseStatus.CONFLICT: RejectReason.SEVERAL_ANSWERS,
    ParseStatus.NEGATED: RejectReason.NEGATED_ANSWER,
}


def gate(
    answer: Answer | Label | None,
    question: Question,
    label: Label,
    reasoning: str | None,
    response: str | None,
    *,
    hidden: bool = False,
    least_words: int = LEAST_WORDS,
) -> RejectReason | None:
    """All of the keep rule that needs no critic.

    Args:
        answer: The teacher's answer, as read.
        question: What was asked.
        label: The true outcome.
        reasoning: The thought, without its tags.
        response: The reply, word for word; None where it is not known.
        hidden: Whether the provider reasoned out of sight, which is no thought to train on.
        least_words: A thought of fewer words is too short.

    Returns:
        Why the trace is rejected, or None if it passes.
    """
    answered = answer.label if isinstance(answer, Answer) else answer
    if answered is None:
        status = answer.status if isinstance(answer, Answer) else None
        return _UNREAD.get(status, RejectReason.NO_ANSWER) if status else RejectReason.NO_ANSWER
    if answered != label:
        return RejectReason.WRONG_ANSWER
    thought = (reasoning or "").strip()
    if not thought:
        return RejectReason.THOUGHT_HIDDEN if hidden else RejectReason.THOUGHT_MISSING
    if len(thought.split()) < least_words:
        return RejectReason.THOUGHT_TOO_SHORT
    # A reply has the thought in it, as a rule.
    whole = response if response and thought in response else f"{thought}\n{response or ''}"
    if has_odd_characters(whole) or has_tags(thought):
        return RejectReason.CONTROL_CHARACTERS
    if not (mentions(thought, question.gene) and mentions(thought, question.pert)):
        return RejectReason.GENE_NOT_MENTIONED
    if leans_on_the_outcome(thought, question):
        return RejectReason.LEAKS_LABEL
    if last_word(thought, question) not in (None, answered):
        return RejectReason.THOUGHT_DISAGREES
    return None


def grade_gate(grade: Grade | None, grades: Collection[str]) -> RejectReason | None:
    """The part of the keep rule that is the critics'.

    Args:
        grade: The critics' grade, as read.
        grades: The grades to keep; if empty, no grade is asked for.

    Returns:
        Why the trace is rejected, or None if it is kept.
    """
    if not grades or grade in grades:
        return None
    return RejectReason.NO_GRADE if grade is None else RejectReason.GRADE_TOO_LOW


def vote(grades: Sequence[Grade | None]) -> Grade | None:
    """Make one grade of several critics': their median, the lower of the two middle ones.

    Args:
        grades: One for each critic; None, a grade that could not be read, is below all others.

    Returns:
        The median; None if that is a missing one, or there are no critics.
    """
    best_first = [*Grade, None]
    ranked = sorted(grades, key=best_first.index)
    return ranked[len(ranked) // 2] if ranked else None
