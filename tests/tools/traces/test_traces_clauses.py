"""Clauses: where a thought is cut, where it is not, and that nothing of it is lost."""

from __future__ import annotations

import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from tools.traces.factuality.clauses import split_clauses

WORDS = "MYC falls. p53 e.g. E. coli (see Fig. 2; so) 1. - # : **Why** … ? ! [ ] -- a; et al. 0.05."
PIECES = st.sampled_from([*WORDS.split(), "\n", "\n\n", " ", "\t"])


@given(st.text() | st.lists(PIECES).map(" ".join))
@example("...\n\n***")
@example("\u2028a:\x1c\n\r\n- b")
def test_joined_clauses_are_the_thought_up_to_white_space(thought: str) -> None:
    clauses = split_clauses(thought)
    folded = " ".join(thought.split())
    assert " ".join(clauses) == (folded if any(map(str.isalnum, thought)) else "")


@given(st.text() | st.lists(PIECES).map(" ".join))
def test_every_clause_says_something_on_one_line(thought: str) -> None:
    for clause in split_clauses(thought):
        assert any(map(str.isalnum, clause))
        assert clause == " ".join(clause.split())


@pytest.mark.parametrize(
    "clause",
    [
        "MYC binds E-boxes, e.g. those of NCL, i.e. CACGTG.",
        "RP11-34P13.7 and HLA-A.1 fall (Fig. 2, p = 0.05).",
        "MAX vs. MNT, cf. Table 2, is what counts, approx. twice.",
        "E. coli and S. cerevisiae have neither.",
        "Smith et al. (2020) showed it in no. 5 of their series.",
        "GO terms such as ribosome; nucleolus; and translation agree.",
        "It is known (in K562; not in RPE1. Jurkat was not tried) to fall.",
        "A;B and C.D stay whole",
        "NCL falls because MYC is lost, so translation slows, therefore RPL3 falls.",
        "It rises (?) a little.",
        "First ... then it falls.",
    ],
)
def test_one_clause_stays_whole(clause: str) -> None:
    assert split_clauses(clause) == [clause]


@pytest.mark.parametrize(
    ("thought", "parts"),
    [
        ("MYC rises. p53 falls. mTOR is as before.", 3),
        ("It needs HLA-A. Then Nkx2.5. So be it!", 3),
        ("Is it a target? No. It is not.", 3),
        ("It is part of complex I. Its loss slows respiration.", 2),
        ("MYC activates NCL; its loss lowers NCL.", 2),
        ('They call it "essential." Others do not.', 2),
        ("**MYC is lost.** NCL falls.", 2),
        ("Ribosomes, mitochondria, etc. Thus both fall.", 2),
        ("It falls… Then it rises.", 2),
        ("An aside ( that never closes. Another one.", 2),
    ],
)
def test_sentences_and_long_parts_at_semicolons_are_clauses(thought: str, parts: int) -> None:
    assert len(split_clauses(thought)) == parts


def test_items_of_a_list_are_clauses_and_keep_their_numbers() -> None:
    assert split_clauses("1. MYC falls\n2) NCL falls\n- K562 grows\n(a) RPE1 too") == [
        "1. MYC falls",
        "2) NCL falls",
        "- K562 grows",
        "(a) RPE1 too",
    ]
    assert split_clauses("As follows: 1. A binds B. 2. C binds D.") == [
        "As follows: 1. A binds B.",
        "2. C binds D.",
    ]


def test_a_heading_goes_with_what_it_announces() -> None:
    thought = (
        "## Pathways\n\nMYC drives ribosomes.\n\n**Cells**\nK562 grow.\n\nHence:\n- NCL falls."
    )
    assert split_clauses(thought) == [
        "## Pathways MYC drives ribosomes.",
        "**Cells** K562 grow.",
        "Hence: - NCL falls.",
    ]


def test_a_line_that_breaks_within_a_sentence_does_not_end_it() -> None:
    assert split_clauses("MYC drives\nNCL. It\nfalls.") == ["MYC drives NCL.", "It falls."]


@pytest.mark.parametrize("thought", ["", " \n ", "... --- ***", "¿?"])
def test_a_thought_without_a_word_has_no_clause(thought: str) -> None:
    assert split_clauses(thought) == []


@pytest.mark.parametrize("unit", ["(", "a; ", "a:\n\n", "- \n", ". ", "1", "**a", "(1. "])
def test_long_nonsense_is_read_in_time(unit: str) -> None:
    # A second of margin per character class: a quadratic rule would take minutes.
    assert len(split_clauses(unit * 50_000)) <= 50_000
