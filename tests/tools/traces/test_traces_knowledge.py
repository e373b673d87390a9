"""`offline/knowledge`: what it argues, and how its critic looks that and other texts up."""

from __future__ import annotations

import re
from collections import Counter
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from synthpert.answers import Grade, ParseStatus, parse_answer, parse_grade
from synthpert.errors import InputError
from synthpert.knowledge import Kind, Knowledge, TrainOutcomes
from synthpert.prompts import load_prompts
from synthpert.questions import Label, Question, read_questions, split_questions, to_questions
from synthpert.traces.gates import gate
from tools.traces.offline import template
from tools.traces.offline.knowledge import KnowledgeTeacher, argue
from tools.traces.offline.knowledge_critic import check, critique, grade
from tools.traces.offline.reading import Asked, UnreadablePromptError, read_prompt

PROMPTS = load_prompts("paper")
SAMPLE = Path(__file__).resolve().parents[3] / "synthpert" / "sample"


@pytest.fixture(scope="module")
def teacher() -> KnowledgeTeacher:
    return KnowledgeTeacher.read(SAMPLE / "knowledge", SAMPLE)


@pytest.fixture(scope="module")
def asked() -> list[tuple[Question, Label]]:
    train = split_questions(read_questions(SAMPLE))[0].sample(300, seed=0)
    return list(zip(to_questions(train), map(Label, train["label"]), strict=True))


def graded(teacher: KnowledgeTeacher, question: Question, thinking: str) -> Grade | None:
    return parse_grade(teacher.reply(PROMPTS.critic_messages(question, thinking))).grade


def test_every_reply_passes_the_gates_and_is_of_a_paragraphs_length(
    teacher: KnowledgeTeacher, asked: list[tuple[Question, Label]]
) -> None:
    for question, label in asked:
        text = teacher.reply(PROMPTS.generator_messages(question, label))
        answer = parse_answer(text)
        assert gate(answer, question, label, answer.reasoning, text) is None
        assert 50 <= len(answer.reasoning.split()) <= 150
        assert question.cell_line in answer.reasoning


def test_its_own_critic_bears_out_every_clause_with_a_source(
    teacher: KnowledgeTeacher, asked: list[tuple[Question, Label]]
) -> None:
    for question, label in asked:
        facts = teacher.finder.facts(question)
        done = check(facts, argue(facts, label))
        assert (done.wrong, done.unsourced, done.missing) == (0, 0, ())
        assert done.conclusion is label
        assert done.borne_out


def test_excellent_is_what_the_facts_favour_and_no_other_conclusion(
    teacher: KnowledgeTeacher, asked: list[tuple[Question, Label]]
) -> None:
    grades = Counter[tuple[bool, Grade]]()
    for question, _ in asked:
        facts = teacher.finder.facts(question)
        for label in Label:
            done = check(facts, argue(facts, label))
            grades[label == facts.favoured, grade(facts, done)] += 1
    assert grades[False, Grade.EXCELLENT] == 0
    assert grades[True, Grade.EXCELLENT] > 0.5 * len(asked)


def test_against_the_facts_it_says_so(
    teacher: KnowledgeTeacher, asked: list[tuple[Question, Label]]
) -> None:
    every = (teacher.finder.facts(question) for question, _ in asked)
    facts = min((each for each in every if each.observed), key=lambda each: each.lift(Label.UP))
    text = argue(facts, Label.UP)
    assert "Against this, " in text
    assert "the evidence is mixed" in text
    assert grade(facts, check(facts, text)) in (Grade.AVERAGE, Grade.BAD)


def test_label_blind_it_predicts_what_the_facts_favour(
    teacher: KnowledgeTeacher, asked: list[tuple[Question, Label]]
) -> None:
    for question, _ in asked:
        facts = teacher.finder.facts(question)
        answer = parse_answer(teacher.reply(PROMPTS.predictor_messages(question)))
        assert answer.label == (facts.favoured if facts.observed else None)


def test_label_blind_it_does_not_know_a_gene_without_train_rows(teacher: KnowledgeTeacher) -> None:
    answer = parse_answer(teacher.reply(PROMPTS.predictor_messages(Question("k562", "A", "B"))))
    assert answer.status is ParseStatus.ABSTAIN


def test_told_of_genes_that_nobody_knows_it_says_how_thin_the_case_is(
    teacher: KnowledgeTeacher,
) -> None:
    text = teacher.reply(PROMPTS.generator_messages(Question("k562", "A-1", "{pert}"), Label.UP))
    assert "nothing ties A-1 to {pert}" in text
    assert "thin" in text
    thinking = parse_answer(text).reasoning
    assert graded(teacher, Question("k562", "A-1", "{pert}"), thinking) is Grade.TERRIBLE


def test_a_prompt_with_evidence_is_read_as_well(teacher: KnowledgeTeacher) -> None:
    question = Question("k562", "RPL3", "RPL5")
    messages = [
        {"role": "system", "content": "Be brief."},
        {
            "role": "user",
            "content": PROMPTS.messages(question)[-1]["content"] + "\nEvidence:\n- nothing",
        },
    ]
    assert read_prompt(messages) == Asked(question)


@pytest.mark.parametrize("reply", ["template", "knowledge"])
def test_a_prompt_in_other_words_is_refused(teacher: KnowledgeTeacher, reply: str) -> None:
    answer = {"template": template.reply, "knowledge": teacher.reply}[reply]
    with pytest.raises(UnreadablePromptError, match="the set paper alone"):
        answer([{"role": "user", "content": "What is the capital of France?"}])


def test_a_source_that_does_not_say_so_is_wrong(teacher: KnowledgeTeacher) -> None:
    question = Question("k562", "A", "B")
    text = "A binds B [reactome_pathways]. A and B are both in 'Sugar' (7 genes) [made_up]."
    done = check(teacher.finder.facts(question), text)
    assert (done.borne_out, done.wrong) == ((), 2)


def test_a_fact_under_another_source_or_denied_is_wrong(
    teacher: KnowledgeTeacher, asked: list[tuple[Question, Label]]
) -> None:
    facts = teacher.finder.facts(asked[0][0])
    fact = facts.facts[0]
    assert check(facts, f"{fact.sentence} [elsewhere].").wrong == 1
    assert check(facts, f"It is not so that {fact.sentence} [{fact.source}].").wrong == 1
    assert check(facts, str(fact)).borne_out == (fact,)


@pytest.mark.parametrize(
    "around",
    [
        "It is false that {said}.",
        "{pert} degrades {gene} and cures cancer, and {said}.",
        "Contrary to the claim that {said}.",
        "TP53 drives MYC, and {said}.",
    ],
)
def test_a_claim_beside_a_fact_is_not_borne_out_by_its_source(
    teacher: KnowledgeTeacher, asked: list[tuple[Question, Label]], around: str
) -> None:
    question = asked[0][0]
    facts = teacher.finder.facts(question)
    for fact in facts.facts:
        said = f"{fact.sentence} [{fact.source}]"
        text = around.format(said=said, pert=question.pert, gene=question.gene)
        assert check(facts, text).borne_out == ()
        assert check(facts, f"Moreover, {said}.").borne_out == (fact,)


def test_a_fact_on_two_genes_is_not_one_on_two_others(teacher: KnowledgeTeacher) -> None:
    facts = teacher.finder.facts(Question("k562", "RPL3", "RPL5"))
    for fact in facts.of(Kind.SET, Kind.NETWORK):
        text = str(fact).replace("RPL3", "TP53")
        assert (check(facts, text).borne_out, check(facts, str(fact)).wrong) == ((), 0)


@pytest.mark.parametrize("claim", ["So RPL3 eats TP{}.", "Knockdown of RPL3 wakes TP{}."])
def test_a_thought_of_conclusions_and_premises_alone_is_not_free(
    teacher: KnowledgeTeacher, claim: str
) -> None:
    facts = teacher.finder.facts(Question("k562", "RPL3", "RPL5"))
    text = " ".join(claim.format(number) for number in range(20))
    assert check(facts, text).unsourced >= 16


def test_a_fluent_text_without_sources_is_terrible(teacher: KnowledgeTeacher) -> None:
    question = Question("k562", "RPL3", "TP53")
    text = (
        "Knockdown of RPL3 in k562 cells disturbs the assembly of the large ribosomal subunit. "
        "Free ribosomal proteins then bind MDM2. TP53 is no longer degraded. "
        "Therefore TP53 is upregulated."
    )
    assert check(teacher.finder.facts(question), text).unsourced == 3
    assert graded(teacher, question, text) is Grade.TERRIBLE


def test_repeating_one_fact_does_not_make_it_three(
    teacher: KnowledgeTeacher, asked: list[tuple[Question, Label]]
) -> None:
    facts = teacher.finder.facts(asked[0][0])
    done = check(facts, " ".join([str(facts.facts[0])] * 5))
    assert len(done.borne_out) == 1


@given(st.text(max_size=300))
def test_any_text_is_graded(teacher: KnowledgeTeacher, text: str) -> None:
    facts = teacher.finder.facts(Question("k562", "RPL3", "RPL5"))
    assert 0 <= check(facts, text).share <= 1
    assert parse_grade(critique(facts, text)).grade is not None


def test_the_fingerprint_is_that_of_knowledge_and_train_split(teacher: KnowledgeTeacher) -> None:
    parts = re.split(r"[-.]", teacher.fingerprint)
    assert parts[:2] == [teacher.finder.knowledge.fingerprint, teacher.finder.outcomes.fingerprint]
    other = KnowledgeTeacher(Knowledge([]), TrainOutcomes.read(SAMPLE, "strict"))
    assert other.fingerprint != teacher.fingerprint


def test_a_wrong_folder_is_one_line(tmp_path: Path) -> None:
    with pytest.raises(InputError, match="no knowledge file in this folder"):
        KnowledgeTeacher.read(tmp_path, SAMPLE)
