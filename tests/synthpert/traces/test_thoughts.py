"""Thoughts: leaks, last words, genes and odd characters are found; false alarms are not raised."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from synthpert.questions import Label, Question
from synthpert.traces.thoughts import (
    has_odd_characters,
    has_tags,
    last_word,
    leans_on_the_outcome,
    mentions,
)

QUESTION = Question("k562", "GATA1", "HBG1")
UP, DOWN, NOT_DE = Label.UP, Label.DOWN, Label.NOT_DE


@pytest.mark.parametrize(
    "leak",
    [
        "It is upregulated, as given.",
        "As is given, it rises.",
        "As stated in the question, HBG1 goes up.",
        "As the prompt says, HBG1 rises.",
        "The provided\noutcome says so.",
        "This fits the **given** label.",
        "Consistent with the given label, HBG1 falls.",
        "This is consistent with the label.",
        "The stated downregulation of HBG1 suggests a lost activator.",
        "The effect is given to you.",
        "The regulatory effect is given as upregulated.",
        "The effect given in the prompt is upregulation.",
        "Given that the outcome is upregulation, A binds B.",
        "Given that HBG1 is upregulated, GATA1 must repress it.",
        "Since we know that HBG1 is upregulated, a repressor must be lost.",
        "Knowing that the answer is upregulated, one looks for a repressor.",
        "I was told that it rises.",
        "We're told HBG1 is downregulated.",
        "It is given that HBG1 falls.",
        "The correct answer is upregulated.",
        "The question states that HBG1 is upregulated.",
        "Because the task specifies upregulated as the outcome, a brake is lost.",
        "According to the prompt, HBG1 goes down.",
        "According to the information given, HBG1 is downregulated.",
        "As indicated in the prompt, the effect is downregulation.",
        "Since the outcome is already known to be downregulation, I look for an activator.",
        "Given the known outcome (downregulated), GATA1 must activate HBG1.",
        "Given the downregulated status, we can infer that GATA1 activates HBG1.",
        "We need to explain why HBG1 is downregulated.",
        "This explains why the answer is downregulated.",
        "Since HBG1 is given as downregulated, GATA1 must be an activator.",
        "This matches the reported outcome of downregulation.",
        "The ground truth is downregulated.",
    ],
)
def test_what_leans_on_the_given_outcome_is_a_leak(leak: str) -> None:
    assert leans_on_the_outcome(leak, QUESTION)


@pytest.mark.parametrize(
    "sound",
    [
        "Given that GATA1 binds HBG1, it rises.",
        "Given that RPL3 is a ribosomal protein, translation slows.",
        "Given that HBG1 is upregulated in fetal cells, a brake is likely.",
        "ATP, as provided by the mitochondria, drives it.",
        "It follows a curve as given by the Hill equation.",
        "The effect size at a given effect size is small; the given effect size too.",
        "The effect provided by GATA1 is lost.",
        "The effect is given by the balance of synthesis and decay.",
        "Given the outcome of ribosome loss is p53 activation, growth slows.",
        "We know that GATA1 activates HBG1.",
        "Since we know that GATA1 is downregulated by CRISPRi, HBG1 loses its driver.",
        "The question is whether HBG1 needs GATA1.",
        "The question mentions K562 cells.",
        "As stated above, GATA1 drives HBG1.",
        "The task of splicing falls to others; the problem is the effect of lost ribosomes.",
        "The answer lies in chromatin, not in a fluorescent label.",
        "The expected outcome is downregulation.",
        "The observed downregulation of MYC in other lines agrees.",
        "Cells were given doxycycline.",
        "My answer is upregulated.",
        "The expected answer is upregulated.",
        "This would explain why HBG1 is downregulated.",
        "The known outcome of GATA1 loss is anemia.",
        "Given the upregulated status of MYC, buffering is strong.",
        "According to the literature, GATA1 drives globins.",
        "K562, as mentioned in the question, is an erythroid line.",
        "One has to explain how HBG1 escapes silencing.",
        "Without a ground truth data set, we reason from mechanism.",
    ],
)
def test_biology_is_no_leak(sound: str) -> None:
    assert not leans_on_the_outcome(sound, QUESTION)


@pytest.mark.parametrize(
    ("thought", "label"),
    [
        ("GATA1 holds it back. Therefore HBG1 is upregulated.", UP),
        ("Thus HBG1 is likely to be downregulated upon GATA1 knockdown.", DOWN),
        ("HBG1 expression is expected to be downregulated following the knockdown of GATA1.", DOWN),
        ("Therefore, HBG1 is not differentially expressed.", NOT_DE),
        ("In conclusion, the target gene would be upregulated in K562 cells.", UP),
        ("Hence HBG1 is upregulated. This fits what is known of globins.", UP),
        ("The net effect on HBG1 is downregulation", DOWN),
        ("It binds HBG1.\nAnswer: unchanged", NOT_DE),
        ("The answer is: **upregulated**.", UP),
        ("So the most likely outcome is that HBG1 is upregulated.", UP),
        ("In summary, loss of GATA1 leads to downregulation of HBG1.", DOWN),
        ("GATA1 knockdown would result in the upregulation of HBG1 expression.", UP),
        ("The most plausible answer is unchanged", NOT_DE),
        ("The effect of knocking down GATA1 on HBG1 is most likely: upregulated.", UP),
    ],
)
def test_a_thought_that_concludes_ends_on_its_label(thought: str, label: Label) -> None:
    assert last_word(thought, QUESTION) == label


@pytest.mark.parametrize(
    "thought",
    [
        "",
        "HBG1 rises.",
        "HBG1 is not upregulated.",
        "HBG1 might be upregulated or downregulated.",
        "If GATA1 is lost, HBG1 is upregulated.",
        "Normally HBG1 is upregulated.",
        "HBG1 is upregulated by GATA1.",
        "HBG1 is upregulated upon loss of BCL11A.",
        "HBG1 is downregulated in erythroid cells.",
        "Thus, with GATA1 downregulated, HBG1 rises.",
        "So MYC is upregulated.",
        "Loss of BCL11A leads to upregulation of HBG1.",
        "Loss of GATA1 leads to upregulation of HBG1 repressors.",
        "The naive prediction is that HBG1 is upregulated.",
        "Another possible outcome is upregulated.",
        "HBG1 is upregulated. Without GATA1 this ends.",
        "Therefore HBG1 is upregulated. But in K562 it is downregulated.",
        "Knocking down GATA1 leaves HBG1 upregulated or unchanged.",
    ],
)
def test_a_thought_that_does_not_plainly_conclude_ends_on_no_label(thought: str) -> None:
    assert last_word(thought, QUESTION) is None


@pytest.mark.parametrize(
    ("text", "symbol"),
    [
        ("Loss of gata1.", "GATA1"),
        ("GATA1-driven genes", "GATA1"),
        ("_GATA1_'s targets", "GATA1"),
        ("HLA-A falls", "HLA-A"),
        ("HLA\u2011A falls", "HLA-A"),
        ("NKX2-1 (TTF1)", "NKX2-1"),
        ("C12ORF45", "C12orf45"),
        ("IL-6 signals", "IL6"),
        ("TGF-β1 signals", "TGFB1"),
        ("GATA10 and GATA1", "GATA1"),
    ],
)
def test_a_gene_is_found_as_a_whole_word(text: str, symbol: str) -> None:
    assert mentions(text, symbol)


@pytest.mark.parametrize(
    ("text", "symbol"),
    [("GATA10", "GATA1"), ("XGATA1", "GATA1"), ("HLA-A2", "HLA-A"), ("p53", "TP53"), ("", "A")],
)
def test_a_part_of_another_word_is_no_gene(text: str, symbol: str) -> None:
    assert not mentions(text, symbol)


@pytest.mark.parametrize(
    "odd",
    "\x00 \x1b \x7f \x85 \xad \u200b \u200e \u2028 \u202e \u2066 \ufeff \ufffd \ue000 \U000e0041"
    " <|im_end|> <｜end▁of▁sentence｜> <s> </s> [INST] [/INST] <<SYS>> <end_of_turn> <0x0A>".split(
        " "
    ),
)
def test_an_odd_character_or_special_token_is_found(odd: str) -> None:
    assert has_odd_characters(f"A{odd}B")


def test_plain_text_of_any_language_has_no_odd_characters() -> None:
    text = "TGF-β → α‑helix;\tp < 0.05, |FC| > 2,\u202f37 °C\r\n«naïve» 🧬 [insertion] <b>S</b>"
    assert not has_odd_characters(text)


@pytest.mark.parametrize("tag", ["<think>", "</think>", "< / Answer >", "</thinking>"])
def test_a_tag_of_the_replys_form_is_found(tag: str) -> None:
    assert has_tags(f"A {tag} B")
    assert not has_tags("A < B, so I think > answer")


@given(
    st.text(max_size=300) | st.lists(st.sampled_from("as given the label HBG1 is up. <".split()))
    .map(" ".join)
)  # fmt: skip
def test_no_text_is_too_odd_to_be_judged(text: str) -> None:
    last_word(text, QUESTION)
    leans_on_the_outcome(text, QUESTION)
    assert mentions(text + " HBG1", "HBG1")
