"""The keep rule: one named reason for what is wrong, none for what is sound; critics vote."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from synthpert.answers import Grade, parse_answer
from synthpert.questions import LABELS, Label, Question
from synthpert.traces.gates import RejectReason, gate, grade_gate, vote

QUESTION = Question("k562", "GATA1", "HBG1")
SOUND = "GATA1 holds HBG1 back in these cells, so that less of it leaves the gene free to rise."
E, G, B = Grade.EXCELLENT, Grade.GOOD, Grade.BAD


def judged(
    reply: str, *, hidden: bool = False, least_words: int = 5, finish_reason: str = "stop"
) -> RejectReason | None:
    answer = parse_answer(reply, finish_reason)
    reasoning = answer.reasoning
    return gate(
        answer, QUESTION, Label.UP, reasoning, reply, hidden=hidden, least_words=least_words
    )


def reply(thought: str = SOUND, answer: str = "upregulated") -> str:
    return f"<think>{thought}</think><answer>{answer}</answer>"


def test_a_right_answer_with_a_sound_thought_passes() -> None:
    assert judged(reply()) is None
    assert gate(Label.UP, QUESTION, Label.UP, SOUND, None, least_words=5) is None


@pytest.mark.parametrize(
    ("told", "reason"),
    [
        (reply(answer="I do not know"), "abstained"),
        ("", "no_answer"),
        (reply(answer="dysregulated"), "no_answer"),
        (reply(answer="upregulated / downregulated"), "several_answers"),
        (reply() + "<answer>downregulated</answer>", "several_answers"),
        (reply(answer="not upregulated"), "negated_answer"),
        (reply(answer="downregulated"), "wrong_answer"),
        (reply(thought=" "), "thought_missing"),
        ("<answer>upregulated</answer>", "thought_missing"),
        (reply(thought="GATA1 binds HBG1."), "thought_too_short"),
        (reply(thought=SOUND + "\u200b"), "control_characters"),
        (reply(thought=SOUND + " <answer>"), "control_characters"),
        (reply() + "<|im_end|>", "control_characters"),
        (reply(thought=SOUND.replace("HBG1", "the gene")), "gene_not_mentioned"),
        (reply(thought=SOUND.replace("GATA1", "it")), "gene_not_mentioned"),
        (reply(thought=SOUND + " It rises, as given."), "leaks_label"),
        (reply(thought=SOUND + " Therefore HBG1 is downregulated."), "thought_disagrees"),
    ],
)
def test_each_fault_has_its_name(told: str, reason: str) -> None:
    assert judged(told) == reason


def test_a_reply_that_was_cut_short_has_no_answer() -> None:
    assert judged("<think>GATA1 holds", finish_reason="length") == "no_answer"


def test_an_answer_of_another_file_that_is_null_is_no_answer() -> None:
    assert gate(None, QUESTION, Label.UP, SOUND, None) == "no_answer"


def test_a_thought_that_the_provider_hides_is_said_to_be_hidden() -> None:
    assert judged("<answer>upregulated</answer>", hidden=True) == "thought_hidden"
    assert judged(reply(), hidden=True) is None


def test_a_conclusion_on_the_answer_itself_agrees() -> None:
    assert judged(reply(SOUND + " Therefore HBG1 is upregulated.")) is None


@pytest.mark.parametrize(
    ("grade", "grades", "reason"),
    [
        (E, ["excellent"], None),
        (G, ["excellent", "good"], None),
        (None, [], None),
        (None, ["excellent"], "no_grade"),
        (G, ["excellent"], "grade_too_low"),
    ],
)
def test_a_grade_is_kept_where_it_is_asked_for(
    grade: Grade | None, grades: list[str], reason: str | None
) -> None:
    assert grade_gate(grade, grades) == reason


@pytest.mark.parametrize(
    ("grades", "voted"),
    [
        ([], None),
        ([E], E),
        ([None], None),
        ([E, G], G),
        ([B, E, G], G),
        ([E, E, B], E),
        ([E, None], None),
        ([None, E, E], E),
        ([G, E, B, E], G),
        ([None, None, E], None),
    ],
)
def test_the_median_grade_counts_and_the_lower_of_two(
    grades: list[Grade | None], voted: Grade | None
) -> None:
    assert vote(grades) == voted


@given(st.lists(st.sampled_from([None, *Grade]), min_size=1, max_size=7))
def test_at_least_half_of_the_critics_gave_the_voted_grade_or_a_better_one(
    grades: list[Grade | None],
) -> None:
    rank = [*Grade, None].index
    voted = vote(grades)
    assert sum(rank(grade) <= rank(voted) for grade in grades) * 2 >= len(grades)
    assert vote(grades[::-1]) == voted


PIECES = [
    "<think>", "</think>", "<answer>", "</answer>", "upregulated", "downregulated", "not", "HBG1",
    "GATA1", SOUND, "as given.", "\u202e", "I do not know", "Therefore HBG1 is", "unchanged", "\n",
]  # fmt: skip


@given(
    replies=st.lists(
        st.lists(st.sampled_from(PIECES) | st.text(max_size=5), max_size=12).map(" ".join)
        | st.builds(reply, st.sampled_from([SOUND, "", "short"]), st.sampled_from(list(LABELS))),
        max_size=12,
    ),
    hidden=st.booleans(),
)
def test_every_reply_is_kept_or_rejected_for_one_named_reason(
    replies: list[str], hidden: bool
) -> None:
    reasons = [judged(each, hidden=hidden) for each in replies]
    kept = sum(reason is None for reason in reasons)
    rejected = [sum(reason is name for reason in reasons) for name in RejectReason]
    assert len(replies) == kept + sum(rejected)
