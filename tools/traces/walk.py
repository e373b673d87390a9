"""From a question to a trace, kept or rejected: the one walk that `make` and `export` both take.

It is a generator that yields calls and is sent replies, so it does not know whether a reply comes
from a model or from the journal; prompts, parsers and the keep rule are applied here alone.
"""

from __future__ import annotations

from collections.abc import Callable, Generator
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, TypeVar

from synthpert.answers import parse_answer, parse_grade
from synthpert.traces.gates import REFUSALS, gate, grade_gate, vote
from tools.traces.journal.records import Call, Reading, Reply

if TYPE_CHECKING:
    from synthpert.answers import Answer, GradeResult
    from synthpert.questions import Label, Question
    from tools.traces.recipe import Recipe

T = TypeVar("T")

# Reasons of our own; the others are those of `synthpert.traces.gates`.
NOT_ANSWERED = "not_answered"
NOT_GRADED = "not_graded"
REFUSED = "refused"
OPEN = (NOT_ANSWERED, NOT_GRADED)


@dataclass(frozen=True, slots=True)
class Outcome:
    """What became of one sample of a question.

    Attributes:
        reason: Why it is rejected; None if it is kept.
        trace: Its row, if it is kept.
    """

    reason: str | None
    trace: dict[str, Any] | None = None


Walk = Generator[Call, Reply | None, Outcome]


def walk(recipe: Recipe, question: Question, label: Label, sample: int) -> Walk:
    """Ask the teacher and, where its answer is right, the critics.

    Args:
        recipe: Texts, models and what is kept.
        question: What is asked.
        label: The outcome.
        sample: Counts the samples of one question.

    Yields:
        A call; to be sent its reply, or None if there is none.

    Returns:
        The trace, or why it is rejected.
    """
    asked = recipe.teacher_call(question, label, sample)
    told = yield asked
    if told is None:
        return Outcome(NOT_ANSWERED)
    if told.finish_reason in REFUSALS:
        return Outcome(REFUSED)
    answer = parse_answer(told.text, told.finish_reason)
    reason = gate(
        answer,
        question,
        label,
        answer.reasoning,
        told.text,
        hidden=bool(told.hidden_thought),
        least_words=recipe.least_words,
    )
    if reason is not None:
        return Outcome(reason)
    verdicts: list[GradeResult] = []
    for call in recipe.critic_calls(asked, answer.reasoning):
        judged = yield call
        if judged is None:
            return Outcome(NOT_GRADED)
        verdicts.append(parse_grade(judged.text))
    grade = vote([verdict.grade for verdict in verdicts])
    reason = grade_gate(grade, recipe.grades)
    if reason is not None:
        return Outcome(reason)
    return Outcome(None, _trace(recipe, asked, told, answer, verdicts))


def replay(steps: Generator[Call, Reply | None, T], answer: Callable[[str], Reply | None]) -> T:
    """Take a walk to its end with replies that are there already.

    Args:
        steps: A walk that has not begun.
        answer: Looks a reply up by its call's key.

    Returns:
        What the walk ends with.
    """
    call = next(steps)
    try:
        while True:
            call = steps.send(answer(call.key))
    except StopIteration as end:
        found: T = end.value
        return found


def read_reply(call: Call, reply: Reply) -> Reading:
    """How a reply reads, for the journal's eyes only: `export` reads every reply anew.

    Args:
        call: A teacher's or a critic's.
        reply: What came back.
    """
    if call.role == "critic":
        verdict = parse_grade(reply.text)
        return Reading(str(verdict.status), verdict.grade and str(verdict.grade))
    answer = parse_answer(reply.text, reply.finish_reason)
    return Reading(str(answer.label or answer.status))


def _trace(
    recipe: Recipe, asked: Call, told: Reply, answer: Answer, verdicts: list[GradeResult]
) -> dict[str, Any]:
    question = asked.question
    return {
        "cell_line": question.cell_line,
        "pert": question.pert,
        "gene": question.gene,
        "label": asked.label,
        # As the student will be asked it.
        "question": recipe.prompts.messages(question)[-1]["content"],
        "reasoning": answer.reasoning,
        "answer": answer.label,
        "response": told.text,
        "grade": vote([verdict.grade for verdict in verdicts]),
        "critique": "\n\n".join(verdict.critique for verdict in verdicts) or None,
        "teacher": recipe.teacher.model,
        "critic": ", ".join(critic.model for critic in recipe.critics) or None,
        "prompt_id": recipe.prompts.prompt_id,
        "label_blind": recipe.label_blind,
        "key": asked.key,
    }
