"""Reading a critic's grade and critique."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from synthpert.answers import Grade, ParseStatus, parse_grade


def tagged(grade: str, critique: str = "Sound.") -> str:
    return f"<reasoning>{critique}</reasoning>\n<evaluation>{grade}</evaluation>"


@pytest.mark.parametrize("grade", Grade)
@pytest.mark.parametrize("form", ["{}", "[{}]", "**{}**", "{}.", "'{}'", "\n{}\n"])
@pytest.mark.parametrize("case", [str.lower, str.title, str.upper])
def test_a_spelling_of_a_grade_is_that_grade(grade: Grade, form: str, case: object) -> None:
    assert callable(case)
    assert parse_grade(tagged(form.format(case(grade.value)))).grade is grade


@pytest.mark.parametrize(
    ("text", "status"),
    [
        ("excellent/good", ParseStatus.SEVERAL),
        ("[excellent/good/average/bad/terrible]", ParseStatus.SEVERAL),
        ("good</evaluation><evaluation>bad", ParseStatus.SEVERAL),
        ("not good", ParseStatus.NEGATED),
        ("Is it excellent? No, bad", ParseStatus.NEGATED),
        ("good is wrong; bad", ParseStatus.NEGATED),
        ("far from excellent", ParseStatus.NEGATED),
        ("below average", ParseStatus.NEGATED),
        ("un-good", ParseStatus.NEGATED),
        ("goodish", ParseStatus.UNKNOWN),
        ("8/10", ParseStatus.UNKNOWN),
        ("", ParseStatus.MISSING),
    ],
)
def test_an_unclear_grade_is_none_with_its_reason(text: str, status: ParseStatus) -> None:
    result = parse_grade(f"<evaluation>{text}</evaluation>")
    assert (result.grade, result.status) == (None, status)


def test_a_grade_beside_a_denied_one_is_flagged() -> None:
    result = parse_grade(tagged("good, not excellent"))
    assert (result.grade, result.status) == (Grade.GOOD, ParseStatus.FLAGGED)


def test_the_critique_is_returned_as_it_was_written() -> None:
    result = parse_grade(tagged("good", " It's **excellent**,\n but short. "))
    assert (result.grade, result.critique) == (Grade.GOOD, "It's **excellent**,\n but short.")


def test_the_evaluation_may_come_first() -> None:
    text = "<evaluation>bad</evaluation><reasoning>Not excellent.</reasoning>"
    assert parse_grade(text).grade is Grade.BAD
    assert parse_grade(text).critique == "Not excellent."


def test_an_evaluation_quoted_in_the_critique_does_not_count() -> None:
    critique = "I could say <evaluation>excellent</evaluation>."
    assert parse_grade(tagged("bad", critique)).grade is Grade.BAD


def test_an_unclosed_critique_ends_where_the_evaluation_begins() -> None:
    result = parse_grade("<reasoning>Sound. <evaluation>good</evaluation>")
    assert (result.grade, result.critique) == (Grade.GOOD, "Sound.")


def test_the_critics_own_thought_does_not_count() -> None:
    text = "<think><evaluation>bad</evaluation></think><evaluation>good</evaluation>"
    assert parse_grade(text).grade is Grade.GOOD


def test_a_bare_word_is_a_grade_and_an_essay_is_not() -> None:
    assert parse_grade("Excellent.").grade is Grade.EXCELLENT
    assert parse_grade("A good thought. " * 20).status is ParseStatus.MISSING


@given(
    st.lists(st.sampled_from([*Grade, "<evaluation>", "</evaluation>", "not", "x"])).map(" ".join)
)
def test_any_text_gives_a_grade_that_stands_in_it_or_none(text: str) -> None:
    result = parse_grade(text)
    assert (result.grade is not None) == (result.status in (ParseStatus.OK, ParseStatus.FLAGGED))
    assert result.grade is None or result.grade.value in text


@given(st.text())
def test_no_text_raises(text: str) -> None:
    assert parse_grade(text).critique in text
