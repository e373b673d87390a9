"""The walk from question to trace: who is asked what, and why a trace is rejected."""

from __future__ import annotations

import pytest

from synthpert.questions import Label, Question
from tools.traces.journal.records import Call, Reading, Reply
from tools.traces.recipe import Recipe
from tools.traces.settings import Model, Settings
from tools.traces.walk import Outcome, read_reply, walk

QUESTION = Question("k562", "GATA1", "HBZ")
RECIPE = Recipe.of(Settings(least_words=3))
BLIND = Recipe.of(Settings(least_words=3, label_blind=True, critics=[]))
RIGHT = "<think>GATA1 drives HBZ.</think><answer>downregulated</answer>"
GRADED = "<reasoning>Sound.</reasoning><evaluation>{}</evaluation>"


def reply(text: str, finish_reason: str = "stop") -> Reply:
    return Reply(text, finish_reason)


def take(*replies: Reply | None, recipe: Recipe = RECIPE) -> tuple[list[Call], Outcome]:
    """Walk with these replies; the calls that were made, and the outcome."""
    steps = walk(recipe, QUESTION, Label.DOWN, 0)
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
        (reply("<answer>downregulated</answer>"), "thought_missing"),
        (
            Reply("<answer>downregulated</answer>", "stop", hidden_thought="GATA1 drives HBZ."),
            "thought_hidden",
        ),
        (reply("<think>GATA1, HBZ</think><answer>downregulated</answer>"), "thought_too_short"),
        (
            reply("<think>As given, GATA1 drives HBZ.</think><answer>downregulated</answer>"),
            "leaks_label",
        ),
        (
            reply("<think>GATA1 drives alpha globin.</think><answer>downregulated</answer>"),
            "gene_not_mentioned",
        ),
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
    lower = Recipe.of(Settings(least_words=3, grades="excellent,good"))
    _, outcome = take(reply(RIGHT), reply(GRADED.format("good")), recipe=lower)
    assert outcome.reason is None


def test_a_label_blind_teacher_is_not_told_and_needs_no_critic() -> None:
    calls, outcome = take(reply(RIGHT), recipe=BLIND)
    assert len(calls) == 1
    assert "downregulated" not in calls[0].messages[1]["content"]
    assert "is given to you" not in calls[0].messages[0]["content"]
    assert outcome.trace is not None
    assert outcome.trace["label_blind"]
    assert outcome.trace["grade"] is outcome.trace["critic"] is None


@pytest.mark.parametrize(
    ("grades", "kept"),
    [
        (("excellent", "excellent", "terrible"), True),
        (("excellent", "good", "good"), False),
        (("excellent", "hm", "excellent"), True),
    ],
)
def test_the_median_of_several_critics_counts(grades: tuple[str, ...], kept: bool) -> None:
    jury = Recipe.of(Settings(least_words=3, critics=[Model(), Model("a/b"), Model()]))
    calls, outcome = take(
        reply(RIGHT), *(reply(GRADED.format(grade)) for grade in grades), recipe=jury
    )
    assert (outcome.reason is None) is kept
    # The same model twice is two samples of it, so that neither reply stands for both.
    assert [call.sample for call in calls[1:]] == [0, 0, 1]
    assert len({call.key for call in calls}) == 4
    assert {call.parent for call in calls[1:]} == {calls[0].key}


def test_a_jury_of_which_one_is_missing_has_not_graded() -> None:
    jury = Recipe.of(Settings(least_words=3, critics=[Model(), Model("a/b")]))
    assert take(reply(RIGHT), reply(GRADED.format("excellent")), None, recipe=jury)[1] == Outcome(
        "not_graded"
    )


@pytest.mark.parametrize(
    ("role", "text", "reading"),
    [
        ("teacher", RIGHT, Reading("downregulated")),
        ("teacher", "", Reading("missing")),
        ("critic", GRADED.format("good"), Reading("ok", "good")),
        ("critic", "hm", Reading("unknown")),
    ],
)
def test_how_a_reply_reads_is_written_beside_it(role: str, text: str, reading: Reading) -> None:
    call = Call(role, QUESTION, Label.DOWN, 0, Model(), [], "p")
    assert read_reply(call, reply(text)) == reading
