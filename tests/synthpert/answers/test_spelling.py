"""Folding spellings."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from synthpert.answers.spelling import DENIALS, DOUBT, normalise


@pytest.mark.parametrize(
    ("text", "folded"),
    [
        ("A  b\n\tC", "a b c"),
        ("a\u2010b\u2011c\u2012d\u2013e\u2014f\u2212g", "a-b-c-d-e-f-g"),
        ("a\u200bb\u200cc\u200dd\u2060e\ufefff\u00adg\ufe0fh", "abcdefgh"),
        ("ｕｐ ﬁne", "up fine"),
        ("&lt;b&gt; &amp;lt;", "<b> &lt;"),
        ("**a** `b` # 'c' \"d\" “e” ‘f’ «g»", "a b c d e f g"),
        ("[a] (b) {c} d_e", "a b c d e"),
        ("isn't isn’t isn´t", "isnt isnt isnt"),
    ],
)
def test_what_spellings_differ_in_is_folded(text: str, folded: str) -> None:
    assert normalise(text) == folded


def test_an_accented_word_is_not_the_plain_one() -> None:
    assert normalise("up\u0301") != "up"
    assert normalise("ṕ") != "p"


@given(st.text(st.characters(codec=None)))
def test_any_text_is_folded_to_words_with_single_spaces(text: str) -> None:
    folded = normalise(text)
    assert folded == " ".join(folded.split())


@pytest.mark.parametrize("text", ["not V", "V? yes", "un-V", "V is untrue", "V, but", "~~V~~"])
def test_a_denying_word_casts_doubt(text: str) -> None:
    assert DOUBT.search(text)


@pytest.mark.parametrize("text", ["V", "V because of notch and nodal", "answer-V", "V-V", "DE: V"])
def test_words_that_deny_nothing_cast_none(text: str) -> None:
    assert not DOUBT.search(normalise(text).replace("v", "V"))


@pytest.mark.parametrize("text", ["V, V", "V is not V", "not V or V", "V? not V", "not V, V"])
def test_a_denial_is_one_of_two_forms(text: str) -> None:
    assert not any(denial.fullmatch(text) for denial in DENIALS)
