"""How the end of a guided question is read."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from synthpert.answers.verdicts import Verdict, VerdictStatus, parse_verdict

OPTIONS = "End with one of\nAnswer: yes\nAnswer: no\nAnswer: insufficient\n"


@pytest.mark.parametrize(
    ("text", "verdict"),
    [
        ("1) It is near.\nAnswer: yes", Verdict.YES),
        ("**Answer:** No.", Verdict.NO),
        ("5) Unrelated, so\nNo. Knockdown of A does not impact B.", Verdict.NO),
        ("- Yes. Knockdown of A results in differential expression of B.", Verdict.YES),
        ("final answer: INCREASE", Verdict.INCREASE),
        ("My answer is decrease.", Verdict.DECREASE),
        ("Decrease. Knockdown of A results in a decrease in expression of B.", Verdict.DECREASE),
        ("So we say: Answer: Increased", Verdict.INCREASE),
        ("There is insufficient evidence to determine how A affects B.", Verdict.INSUFFICIENT),
        ("Answer: insufficient evidence", Verdict.INSUFFICIENT),
        (f"{OPTIONS}My view of it:\nAnswer: no", Verdict.NO),
        ("Answer: yes\n\nOn reflection,\nAnswer: no\n", Verdict.NO),
        ("<think>Answer: yes</think>Answer: no", Verdict.NO),
    ],
)
def test_a_verdict_is_read_in_many_forms(text: str, verdict: Verdict) -> None:
    result = parse_verdict(text)
    assert (result.verdict, result.status) == (verdict, VerdictStatus.OK)


@pytest.mark.parametrize(
    ("text", "reason", "status"),
    [
        ("", "stop", VerdictStatus.MISSING),
        ("No other gene of the list is near it, and nothing more", "stop", VerdictStatus.MISSING),
        ("Increase in B is likely", "stop", VerdictStatus.MISSING),
        ("Answer: not yes", "stop", VerdictStatus.UNKNOWN),
        ("The outcomes say little.", "stop", VerdictStatus.MISSING),
        ("The outcomes say", "length", VerdictStatus.TRUNCATED),
        ("Answer: yes / no / insufficient", "stop", VerdictStatus.SEVERAL),
        ("<think>Answer: yes</think>", "stop", VerdictStatus.MISSING),
    ],
)
def test_why_there_is_none(text: str, reason: str, status: VerdictStatus) -> None:
    assert parse_verdict(text, reason).verdict is None
    assert parse_verdict(text, reason).status is status


@given(st.text())
def test_no_text_raises(text: str) -> None:
    result = parse_verdict(text)
    assert (result.verdict is None) == (result.status is not VerdictStatus.OK)


@given(st.text(alphabet="abc .\n", max_size=60), st.sampled_from(["yes", "no", "insufficient"]))
def test_the_asked_for_last_line_is_always_read(prose: str, word: str) -> None:
    assert parse_verdict(f"{prose}\nAnswer: {word}").verdict == word
