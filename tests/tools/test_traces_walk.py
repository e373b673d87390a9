"""The walk from question to trace: who is asked what, and why a trace is rejected."""

from __future__ import annotations

import pytest

from synthpert.answers import Grade
from synthpert.questions import Label, Question
from tools.traces.journal import Call, Reply
from tools.traces.recipe import Recipe
from tools.traces.settings import Settings
from tools.traces.walk import Outcome, walk

QUESTION = Question("k562", "GATA1", "HBZ")
RECIPE = Recipe.of(Settings())
RIGHT = "<think>GATA1 drives HBZ.</think><answer>downregulated</answer>"
GRADED = "<reasoning>Sound.</reasoning><evaluation>{}</evaluation>"


def reply(text: str, finish_reason: str = "stop") -> Reply:
    return Reply(text, finish_reason)


def take(
    *replies: Reply | None, grades: tuple[Grade, ...] = (Grade.EXCELLENT,)
) -> tuple[list[Call], Outcome]:
    """Walk with these replies; the calls that were made, and the outcome."""
    steps = walk(RECIPE, QUESTION, Label.DOWN, 0, grades)
    calls = [next(steps)]
    for each in replies:
        try:
            calls.append(steps.send(each))
        except StopIteration as end:
            return calls, end.value
    raise AssertionError("the walk wants more replies")


def test_a_right_answer_with_an_excellent_grade_is_kept() -> None:
    calls, outcome = take(reply(RIGHT), reply(GRADED.format("excellent")))
    assert [call.role for call in calls] == ["teacher", "critic"]
    assert outcome.reason is None
    assert outcome.trace is not None
    assert outcome.trace["reasoning"] == "GATA1 drives HBZ."
    assert outcome.trace["response"] == RIGHT
    assert outcome.trace["critique"] == "Sound."
    assert outcome.trace["key"] == calls[0].key


def test_the_teacher_is_told_the_outcome_and_the_critic_reads_the_thought_alone() -> None:
    calls, _ = take(reply(RIGHT), None)
    assert "is given to you downregulated" in calls[0].messages[0]["content"]
    assert "GATA1 drives HBZ." in calls[1].messages[1]["content"]
    assert "<answer>" not in calls[1].messages[1]["content"]


@pytest.mark.parametrize(
    ("told", "reason"),
    [
        (None, "not_answered"),
        (reply("I will not.", "refusal"), "refused"),
        (reply("", "content_filter"), "refused"),
        (reply(""), "no_answer"),
        (reply("<think>long", "length"), "no_answer"),
        (reply("<think>a</think><answer>I do not know</answer>"), "abstained"),
        (reply("<think>a</think><answer>upregulated</answer>"), "wrong_answer"),
        (reply("<answer>downregulated</answer>"), "empty_reasoning"),
        (reply("<think>As given, down.</think><answer>downregulated</answer>"), "leaks_label"),
    ],
)
def test_a_teachers_reply_that_is_no_use_needs_no_critic(told: Reply | None, reason: str) -> None:
    calls, outcome = take(told)
    assert [call.role for call in calls] == ["teacher"]
    assert outcome == Outcome(reason)


@pytest.mark.parametrize(
    ("judged", "reason"),
    [
        (None, "not_graded"),
        (reply("hm"), "no_grade"),
        (reply(GRADED.format("good")), "grade_too_low"),
    ],
)
def test_what_the_critic_can_say_against_it(judged: Reply | None, reason: str) -> None:
    assert take(reply(RIGHT), judged)[1] == Outcome(reason)


def test_lower_grades_are_kept_where_asked_for() -> None:
    _, outcome = take(
        reply(RIGHT), reply(GRADED.format("good")), grades=(Grade.EXCELLENT, Grade.GOOD)
    )
    assert outcome.reason is None
