"""The offline teacher and critic: fixed sentences, read by the real parsers and keep rule."""

from __future__ import annotations

import re
from collections import Counter

import pytest

from synthpert.answers import Grade, ParseStatus, parse_answer, parse_grade
from synthpert.prompts import load_prompts
from synthpert.questions import LABELS, Label, Question
from synthpert.traces.gates import gate
from tools.traces.offline import template

PROMPTS = load_prompts("paper")
QUESTIONS = [
    (Question(cell_line, f"PERT{i}", f"GENE-{i}.{i % 7}"), label)
    for i in range(100)
    for cell_line in ("k562", "hepg2")
    for label in LABELS
]


def taught(question: Question, label: Label) -> str:
    return template.reply(PROMPTS.generator_messages(question, label))


def graded(question: Question, thinking: str) -> Grade | None:
    return parse_grade(template.reply(PROMPTS.critic_messages(question, thinking))).grade


def thoughts() -> list[tuple[Question, Label, str]]:
    return [(q, label, parse_answer(taught(q, label)).reasoning) for q, label in QUESTIONS]


def test_the_same_messages_get_the_same_reply() -> None:
    assert all(taught(*each) == taught(*each) for each in QUESTIONS)


def test_every_reply_has_the_form_asked_for_and_passes_the_keep_rule_but_for_its_grade() -> None:
    for question, label in QUESTIONS:
        text = taught(question, label)
        assert re.fullmatch(rf"<think>[^<]+</think><answer>{label}</answer>", text)
        answer = parse_answer(text)
        assert gate(answer, question, label, answer.reasoning, text, least_words=0) is None


def test_excellent_thoughts_name_all_and_end_in_the_label() -> None:
    for question, label, thought in thoughts():
        if graded(question, thought) is Grade.EXCELLENT:
            assert {question.pert, question.cell_line} <= set(re.split(r"[ ,]|\.(?: |$)", thought))
            assert question.gene in thought
            assert thought.endswith(f" {label}.")
            assert 25 <= len(thought.split()) <= 45


def test_some_thoughts_are_weak_and_graded_so() -> None:
    grades = Counter(graded(question, thought) for question, _, thought in thoughts())
    assert set(grades) == {Grade.EXCELLENT, Grade.GOOD, Grade.AVERAGE}
    assert 0.8 < grades[Grade.EXCELLENT] / grades.total() < 0.95


def test_the_vocabulary_beside_the_names_is_small() -> None:
    words = Counter[str]()
    for question, _, thought in thoughts():
        names = {question.pert, question.gene, question.cell_line}
        words.update(word for word in re.split(r"[ ,.]+", thought) if word not in names)
    assert len([word for word in words if "GENE" not in word]) < 100


def test_a_text_that_says_nothing_is_terrible() -> None:
    assert graded(Question("k562", "A", "B"), "Nothing.") is Grade.TERRIBLE


def test_a_gene_named_like_a_slot_is_left_as_it_is() -> None:
    text = taught(Question("k562", "{gene}", "{label}"), Label.UP)
    assert "{gene}" in text
    assert parse_answer(text).label is Label.UP


def test_label_blind_it_does_not_know() -> None:
    text = template.reply(PROMPTS.predictor_messages(Question("k562", "A", "B")))
    assert parse_answer(text).status is ParseStatus.ABSTAIN


def test_other_prompts_are_refused() -> None:
    with pytest.raises(template.UnreadablePromptError, match="the set paper alone"):
        template.reply([{"role": "user", "content": "What is the capital of France?"}])
