"""The funnel: samples counted by the last stage they reached, from a journal's rows alone."""

from __future__ import annotations

from collections import Counter
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from synthpert.answers import Grade
from synthpert.traces.gates import RejectReason
from tools.traces.status.funnel import KEPT, STAGES, Funnel, Group, lost_before, merge, stages
from tools.traces.walk import NOT_ANSWERED, NOT_GRADED, REFUSED

THOUGHT = "A holds B back, so that with less of A the gene B rises."
RIGHT = f"<think>{THOUGHT}</think><answer>upregulated</answer>"
GROUP = Group("k562", "upregulated")


def teacher(key: str = "t", reply: str | None = RIGHT, **changes: Any) -> dict[str, Any]:
    row = {
        "key": key, "role": "teacher", "cell_line": "k562", "pert": "A", "gene": "B",
        "label": "upregulated", "sample": 0, "prompt_id": "p", "parent": "", "hidden_thought": None,
        "state": "failed" if reply is None else "answered", "reply": reply, "finish_reason": "stop",
    }  # fmt: skip
    return row | changes


def critic(grade: str, parent: str = "t", key: str = "c", **changes: Any) -> dict[str, Any]:
    reply = f"<evaluation>{grade}</evaluation>"
    return teacher(key, reply) | {"role": "critic", "parent": parent} | changes


def counted(*rows: dict[str, Any], critics: int = 1) -> Counter[str]:
    grades = (Grade.EXCELLENT,) if critics else ()
    funnel = Funnel(grades, least_words=5, critics=critics)
    for row in rows:
        funnel.add(row)
    return merge(funnel.counts())


@pytest.mark.parametrize(
    ("rows", "reason"),
    [
        ([teacher(reply=None)], NOT_ANSWERED),
        ([teacher(reply=None, state="lost")], NOT_ANSWERED),
        ([teacher(finish_reason="refusal")], REFUSED),
        ([teacher(reply="<answer>unregulated</answer>")], "no_answer"),
        ([teacher(reply="<answer>unchanged</answer>")], "wrong_answer"),
        ([teacher(reply="<answer>upregulated</answer>")], "thought_missing"),
        ([teacher(reply="<answer>up</answer>", hidden_thought="hm")], "thought_hidden"),
        ([teacher()], NOT_GRADED),
        ([teacher(), critic("hm")], "no_grade"),
        ([teacher(), critic("good")], "grade_too_low"),
        ([teacher(), critic("excellent")], KEPT),
        ([critic("excellent"), teacher()], KEPT),
        ([teacher(reply=None), teacher(), teacher(state="duplicate")], NOT_GRADED),
        ([teacher(), critic("good", state="failed")], NOT_GRADED),
    ],
)
def test_a_sample_counts_once_where_it_ended(rows: list[dict[str, Any]], reason: str) -> None:
    assert counted(*rows) == {reason: 1}


def test_without_critics_what_passes_the_gates_is_kept() -> None:
    assert counted(teacher(), critics=0) == {KEPT: 1}


def test_critics_vote_and_all_of_them_are_waited_for() -> None:
    one, two = critic("excellent", key="1"), critic("good", key="2")
    assert counted(teacher(), one, critics=2) == {NOT_GRADED: 1}
    assert counted(teacher(), one, two, critics=2) == {"grade_too_low": 1}
    assert counted(teacher(), one, two, critic("excellent", key="3"), critics=2) == {KEPT: 1}


def test_equal_thoughts_share_the_critics_reply_and_others_do_not() -> None:
    again = teacher("t2", sample=1)
    other = teacher("t3", RIGHT.replace("rises", "goes up"), sample=2)
    assert counted(teacher(), critic("excellent"), again, other) == {KEPT: 2, NOT_GRADED: 1}


def test_a_critic_of_an_old_journal_is_found_by_what_it_is_about() -> None:
    second = teacher("t2", RIGHT.replace("rises", "goes up"), sample=1)
    graded = critic("excellent", parent="", sample=1)
    assert counted(teacher(), second, graded) == {KEPT: 1, NOT_GRADED: 1}


def test_other_roles_are_not_counted() -> None:
    assert counted(teacher() | {"role": "judge", "label": None}) == {}


def test_groups_are_cell_lines_and_labels_in_order() -> None:
    funnel = Funnel((), 5, 0)
    for key, line, label in (("1", "rpe1", "downregulated"), ("2", "k562", "upregulated"),
                             ("3", "k562", "not differentially expressed")):  # fmt: skip
        funnel.add(teacher(key, cell_line=line, label=label))
    counts = funnel.counts()
    assert [group.cell_line for group in counts] == ["k562", "k562", "rpe1"]
    assert next(iter(counts)).label == "not differentially expressed"
    assert merge(counts, cell_line="k562") == {KEPT: 1, "wrong_answer": 1}
    assert merge(counts, label="upregulated") == {KEPT: 1}


def test_every_reason_has_a_stage_that_it_does_not_reach() -> None:
    for reason in (*map(str, RejectReason), NOT_ANSWERED, NOT_GRADED, REFUSED):
        assert lost_before(reason) in STAGES[1:]
    assert lost_before("wrong_answer") == "right"


def test_an_unknown_reason_is_a_programming_error() -> None:
    with pytest.raises(KeyError):
        stages(Counter(["mood"]))


@given(st.lists(st.sampled_from([RIGHT, "", "<answer>unchanged</answer>", None]), max_size=30),
       st.lists(st.sampled_from(["excellent", "bad", "hm"]), max_size=30))  # fmt: skip
def test_rows_in_are_kept_and_rejected_and_no_stage_grows(
    replies: list[str | None], grades: list[str]
) -> None:
    rows = [teacher(str(i), reply, gene=f"B{i}") for i, reply in enumerate(replies)]
    rows += [critic(grade, str(i), f"c{i}", gene=f"B{i}") for i, grade in enumerate(grades)]
    total = counted(*rows)
    reached = list(stages(total).values())
    assert total.total() == len(replies) == reached[0]
    assert reached == sorted(reached, reverse=True)
    assert reached[-1] == total[KEPT]
