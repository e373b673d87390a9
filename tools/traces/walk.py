"""From a question to a trace, kept or rejected: the one walk that `make` and `export` both take.

It is a generator that yields calls and is sent replies, so it does not know whether a reply comes
from a model or from the journal; prompts, parsers and the keep rule are applied here alone.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from synthpert.answers import parse_answer, parse_grade
from synthpert.traces import reject_reason

if TYPE_CHECKING:
    from collections.abc import Generator, Sequence

    from synthpert.answers import Grade
    from synthpert.questions import Label, Question
    from tools.traces.journal import Call, Reply
    from tools.traces.recipe import Recipe

# Reasons of our own; the others are those of `synthpert.traces.reject_reason`.
NOT_ANSWERED = "not_answered"
NOT_GRADED = "not_graded"
REFUSED = "refused"

_REFUSALS = ("refusal", "content_filter")


@dataclass(frozen=True, slots=True)
class Outcome:
    """What became of one sample of a question.

    Attributes:
        reason: Why it is rejected; None if it is kept.
        trace: Its row, if it is kept.
    """

    reason: str | None
    trace: dict[str, Any] | None = None


def walk(
    recipe: Recipe, question: Question, label: Label, sample: int, grades: Sequence[Grade]
) -> Generator[Call, Reply | None, Outcome]:
    """Ask the teacher and, where its answer is right, the critic.

    Args:
        recipe: Texts and models.
        question: What is asked.
        label: The outcome.
        sample: Counts the samples of one question.
        grades: The grades to keep.

    Yields:
        A call; to be sent its reply, or None if there is none.

    Returns:
        The trace, or why it is rejected.
    """
    asked = recipe.teacher_call(question, label, sample)
    told = yield asked
    if told is None:
        return Outcome(NOT_ANSWERED)
    if told.finish_reason in _REFUSALS:
        return Outcome(REFUSED)
    answer = parse_answer(told.text, told.finish_reason)
    # With the best of grades: whatever is rejected all the same needs no critic.
    reason = reject_reason(answer, label, grades[0], grades, answer.reasoning)
    if reason is not None:
        return Outcome(reason)
    judged = yield recipe.critic_call(question, label, sample, answer.reasoning)
    if judged is None:
        return Outcome(NOT_GRADED)
    verdict = parse_grade(judged.text)
    reason = reject_reason(answer, label, verdict.grade, grades, answer.reasoning)
    if reason is not None:
        return Outcome(reason)
    trace = {
        "cell_line": question.cell_line,
        "pert": question.pert,
        "gene": question.gene,
        "label": label,
        "question": recipe.prompts.messages(question)[-1]["content"],
        "reasoning": answer.reasoning,
        "answer": answer.label,
        "response": told.text,
        "grade": verdict.grade,
        "critique": verdict.critique,
        "teacher": recipe.teacher.model,
        "critic": recipe.critic.model,
        "prompt_id": recipe.prompts.prompt_id,
        "label_blind": False,
        "key": asked.key,
    }
    return Outcome(None, trace)
