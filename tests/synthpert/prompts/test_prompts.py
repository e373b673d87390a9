"""Prompt sets: what is shipped, how slots are filled, and what is refused."""

from __future__ import annotations

import re
from dataclasses import dataclass
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from synthpert.answers import parse_answer
from synthpert.errors import InputError
from synthpert.prompts import PromptSet, load_prompts
from synthpert.prompts.evidence import Evidence
from synthpert.questions import Label, Question

ROOT = Path(__file__).resolve().parents[3]
SHIPPED = ["compact", "direction", "judge", "paper", "paper_context", "short", "short_context"]
CONTEXT = ["paper_context", "short_context"]
QUESTION = Question("k562", "GATA1", "HBG1")
USER = "{cell_line} {pert} {gene}"


@dataclass(frozen=True)
class Told(Evidence):
    """Evidence that is one text."""

    text: str = "- HBG1 is told of."

    @property
    def fingerprint(self) -> str:
        return self.text

    def block(self, question: Question) -> str:
        return self.text


def contents(messages: object) -> str:
    assert isinstance(messages, list)
    return "\n".join(message["content"] for message in messages)


def written(folder: Path, text: str) -> Path:
    path = folder / "mine.yaml"
    path.write_text(text, encoding="utf-8")
    return path


@pytest.mark.parametrize("name", SHIPPED)
def test_a_shipped_set_asks_the_question_and_leaves_no_slot(name: str) -> None:
    text = contents(load_prompts(name).messages(QUESTION))
    assert all(re.search(rf"\b{word}\b", text) for word in ("k562", "GATA1", "HBG1"))
    assert not re.search(r"[{}]", text)


@pytest.mark.parametrize("name", CONTEXT)
def test_evidence_stands_in_the_users_message_alone(name: str) -> None:
    *system, user = load_prompts(name, Told()).messages(QUESTION)
    assert user["content"].endswith("\n- HBG1 is told of.")
    assert "told of" not in contents(system)


@pytest.mark.parametrize("name", CONTEXT)
def test_all_questions_share_the_system_message(name: str) -> None:
    prompts = load_prompts(name, Told())
    other = prompts.messages(Question("rpe1", "TP53", "MDM2"))
    assert prompts.messages(QUESTION)[:-1] == other[:-1]


def test_a_set_with_evidence_needs_no_more_than_its_name() -> None:
    assert load_prompts("paper_context").evidence == Evidence()


def test_a_set_without_the_slot_leaves_evidence_alone(tmp_path: Path) -> None:
    nowhere = Evidence(tmp_path / "none", tmp_path / "none")
    prompts = load_prompts("paper", nowhere)
    assert prompts.evidence is None
    assert prompts.prompt_id == load_prompts("paper").prompt_id


def test_teachers_and_critics_are_given_the_evidence_too() -> None:
    prompts = load_prompts("paper_context", Told())
    for messages in (
        prompts.generator_messages(QUESTION, Label.UP),
        prompts.predictor_messages(QUESTION),
        prompts.critic_messages(QUESTION, "It binds."),
    ):
        assert "- HBG1 is told of." in messages[-1]["content"]
        assert "told of" not in messages[0]["content"]


def test_slots_and_tags_in_evidence_stay_as_they_are() -> None:
    prompts = PromptSet("mine", USER + " {evidence}", evidence=Told(text="{gene} {evidence} {0}"))
    assert prompts.messages(QUESTION)[0]["content"] == "k562 GATA1 HBG1 {gene} {evidence} {0}"


def test_a_set_made_by_hand_says_that_it_lacks_evidence() -> None:
    with pytest.raises(InputError, match="prompt set mine needs evidence"):
        PromptSet("mine", USER + " {evidence}").messages(QUESTION)


def test_the_id_changes_with_the_evidence() -> None:
    ids = {load_prompts("short_context", Told(text=text)).prompt_id for text in "aba"}
    assert len(ids) == 2


@pytest.mark.parametrize("name", SHIPPED)
def test_every_answer_of_a_shipped_set_is_read_back(name: str) -> None:
    prompts = load_prompts(name)
    for label in prompts.labels:
        assert parse_answer(prompts.answer_text(label)).label is label


def test_the_papers_question_is_quoted() -> None:
    system, user = load_prompts("paper").messages(QUESTION)
    assert system["role"] == "system"
    assert system["content"].startswith(
        "You are a molecular and cellular biology expert analyzing gene regulation upon CRISPRi"
        " knockdown. First, provide your reasoning process within <think> </think> tags."
    )
    assert user == {
        "role": "user",
        "content": "Analyze the regulatory effect of knocking down the GATA1 gene on the HBG1 gene"
        " in a single-cell k562 cell line using CRISPR interference.",
    }


def test_the_papers_teacher_is_told_the_outcome() -> None:
    messages = load_prompts("paper").generator_messages(QUESTION, Label.DOWN)
    assert "k562 cell line is given to you downregulated. Please" in messages[0]["content"]
    assert messages[1:] == load_prompts("paper").messages(QUESTION)[1:]
    assert not re.search(r"[{}]", contents(messages))


def test_the_papers_critic_sees_the_query_and_the_thought() -> None:
    system, user = load_prompts("paper").critic_messages(QUESTION, "It {gene} binds {thinking}.")
    assert "acting as a critic" in system["content"]
    assert "Original User Query: Analyze the regulatory effect" in user["content"]
    assert "(<think> block): It {gene} binds {thinking}.\n" in user["content"]


def test_the_direction_query_offers_two_labels() -> None:
    prompts = load_prompts("direction")
    assert list(prompts.labels) == [Label.UP, Label.DOWN]
    assert (
        "'not differentially expressed' is NOT an OPTION"
        in prompts.messages(QUESTION)[1]["content"]
    )
    assert prompts.messages(QUESTION)[0] == load_prompts("paper").messages(QUESTION)[0]


def test_a_label_that_a_set_does_not_offer_is_refused() -> None:
    with pytest.raises(InputError, match="direction has no such label"):
        load_prompts("direction").answer_text(Label.NOT_DE)


def test_a_set_without_a_teacher_says_so() -> None:
    with pytest.raises(InputError, match="compact has no generator_system"):
        load_prompts("compact").generator_messages(QUESTION, Label.UP)


def test_a_set_without_a_critic_says_so() -> None:
    with pytest.raises(InputError, match="direction has no critic_system"):
        load_prompts("direction").critic_messages(QUESTION, "why")


def test_the_compact_set_is_a_line_and_a_word() -> None:
    prompts = load_prompts("compact")
    assert prompts.messages(QUESTION) == [{"role": "user", "content": "k562 GATA1 HBG1"}]
    assert [prompts.answer_text(label) for label in Label] == [
        "unchanged", "upregulated", "downregulated",
    ]  # fmt: skip
    assert (prompts.answer_prefix, prompts.answer_suffix) == ("", "")


def test_prefix_label_and_suffix_make_the_answer() -> None:
    prompts = load_prompts("paper")
    assert (prompts.answer_prefix, prompts.answer_suffix) == ("<answer>", "</answer>")
    assert prompts.answer_text(Label.UP) == "<answer>upregulated</answer>"


@given(st.text(), st.text())
def test_names_with_braces_or_slots_stay_as_they_are(pert: str, gene: str) -> None:
    prompts = PromptSet(name="p", user="a {pert} b {gene} c {cell_line} {{}} {0} %s")
    for left, right in ((pert, gene), ("{gene}", "{pert}"), ("{0}{}", "\\1")):
        message = prompts.messages(Question("k562", left, right))[0]
        assert message["content"] == f"a {left} b {right} c k562 {{{{}}}} {{0}} %s"


def test_the_id_is_the_name_and_a_hash_and_does_not_move() -> None:
    prompts = PromptSet(name="mine", user=USER)
    assert prompts.prompt_id == "mine-8983d92711f1"


@pytest.mark.parametrize(
    "change",
    [
        {"user": USER + "."},
        {"system": "s"},
        {"answer": "{label}."},
        {"labels": {Label.UP: "up"}},
        {"generator_system": "{label}"},
        {"critic_system": "s"},
        {"critic_user": "{thinking}"},
        {"critic_user": ""},
    ],
    ids=str,
)
def test_the_id_changes_with_any_text(change: dict[str, object]) -> None:
    texts: dict[str, object] = {"user": USER} | change
    changed = PromptSet(name="mine", **texts)  # type: ignore[arg-type]
    assert changed.prompt_id != PromptSet(name="mine", user=USER).prompt_id


def test_the_id_is_the_same_with_the_newlines_of_another_system() -> None:
    ids = {PromptSet(name="p", user=f"a{end}{USER}").prompt_id for end in ("\n", "\r\n", "\r")}
    assert len(ids) == 1


def test_a_users_own_file_is_a_set(tmp_path: Path) -> None:
    prompts = load_prompts(written(tmp_path, f"user: '{USER}?'\nanswer: 'It is {{label}}'"))
    assert prompts.messages(QUESTION)[0]["content"] == "k562 GATA1 HBG1?"
    assert prompts.answer_text(Label.UP) == "It is upregulated"
    assert prompts.prompt_id.startswith("mine-")
