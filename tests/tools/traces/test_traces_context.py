"""Teachers and critics are asked with evidence as without it, by the prompt set's name alone."""

from __future__ import annotations

import pytest

from synthpert.answers import parse_answer, parse_grade
from synthpert.prompts import load_prompts
from synthpert.prompts.evidence import Evidence
from synthpert.questions import Label, Question
from tools.traces.offline import template
from tools.traces.offline.knowledge import KnowledgeTeacher
from tools.traces.recipe import Recipe
from tools.traces.settings import Model, Settings

QUESTION = Question("k562", "RPL18A", "RPS6")


def recipe(**settings: object) -> Recipe:
    return Recipe.of(Settings(prompts="paper_context", **settings))  # type: ignore[arg-type]


@pytest.mark.parametrize("name", ["template", "knowledge"])
def test_the_offline_teachers_and_their_critics_read_the_set_with_evidence(name: str) -> None:
    reply = template.reply if name == "template" else KnowledgeTeacher.read(None, None).reply
    prompts = load_prompts("paper_context")
    answer = parse_answer(reply(prompts.generator_messages(QUESTION, Label.DOWN)))
    assert answer.label is Label.DOWN
    assert answer.reasoning
    critique = reply(prompts.critic_messages(QUESTION, answer.reasoning))
    assert parse_grade(critique).grade is not None


@pytest.mark.parametrize("label_blind", [False, True])
def test_the_teacher_is_shown_the_evidence_that_the_student_is(label_blind: bool) -> None:
    made = recipe(label_blind=label_blind)
    asked = made.teacher_call(QUESTION, Label.UP, 0)
    evidence = Evidence().block(QUESTION)
    assert evidence in asked.messages[-1]["content"]
    assert asked.messages[-1] == made.prompts.messages(QUESTION)[-1]


def test_the_critic_is_shown_it_too() -> None:
    made = recipe(critics=[Model()])
    (call,) = made.critic_calls(made.teacher_call(QUESTION, Label.UP, 0), "It binds.")
    assert Evidence().block(QUESTION) in call.messages[-1]["content"]


def test_evidence_of_another_split_is_another_question() -> None:
    plain, strict = (recipe(split=split).prompts for split in ("default", "strict"))
    assert plain.prompt_id == load_prompts("paper_context").prompt_id != strict.prompt_id
