"""A judge's reply: one mark a clause or none, with the reason, and never a guess."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from synthpert.answers.marks import Mark, MarkStatus, parse_marks

MARKS = st.lists(st.sampled_from(list(Mark)), min_size=1, max_size=30)


def statuses(text: str, count: int, finish_reason: str = "stop") -> list[str]:
    results = parse_marks(text, count, finish_reason)
    assert all((it.mark is not None) == (it.status is MarkStatus.OK) for it in results)
    return [it.mark or it.status for it in results]


@given(MARKS, st.sampled_from(["{}: {}", "{}. {}", "**{}:** {}", "- [{}] {}", "| {} | {} |"]))
def test_what_was_written_is_read_whatever_the_form(marks: list[Mark], form: str) -> None:
    text = "\n".join(form.format(i, mark) for i, mark in enumerate(marks, 1))
    assert statuses(text, len(marks)) == marks


@given(st.text() | st.text("0123456789:TRUEFALS \n"), st.integers(0, 5))
def test_any_text_gives_one_result_a_clause(text: str, count: int) -> None:
    assert len(parse_marks(text, count)) == count


def test_a_thought_and_words_around_the_lines_do_not_count() -> None:
    text = "<think>1: FALSE</think>Here are 2 marks:\n1: TRUE\nClause 2: unsure.\n2 of 2 done"
    assert statuses(text, 2) == [Mark.TRUE, Mark.UNSURE]


@pytest.mark.parametrize(
    ("line", "status"),
    [
        ("1: TRUE / FALSE", "several"),
        ("1: TRUE 2: FALSE", "several"),
        ("1: not true", "unknown"),
        ("1: TRUE, but not in K562", "unknown"),
        ("1: TRUE?", "unknown"),
        ("1: correct", "unknown"),
        ("1 is true", "unknown"),
        ("1: TRUE\n1: FALSE", "conflict"),
        ("1: TRUE\n1. well, no", "conflict"),
        ("the first is true", "missing"),
        ("1TRUE", "missing"),
        ("", "missing"),
    ],
)
def test_what_is_not_one_mark_is_none(line: str, status: str) -> None:
    assert statuses(line, 1) == [status]


def test_a_mark_said_twice_alike_counts() -> None:
    assert statuses("1: TRUE\n\n1. true", 1) == [Mark.TRUE]


@pytest.mark.parametrize("text", ["0: TRUE\n1: FALSE", "1: TRUE\n2: TRUE\n3: FALSE"])
def test_a_judge_that_counts_otherwise_is_not_read_at_all(text: str) -> None:
    assert statuses(text, 2) == ["misnumbered"] * 2


def test_what_the_length_limit_cut_off_is_named_so() -> None:
    assert statuses("1: TRUE\n2: FA", 3, "length") == [Mark.TRUE, "truncated", "truncated"]
