"""SUMMER: what is retrieved, what is asked, and how a scripted reader's words become a row."""

from __future__ import annotations

from collections import Counter
from pathlib import Path

import polars as pl
import pytest
from chat_stub import Answer, Body, Stub

from synthpert.answers.verdicts import Verdict
from synthpert.knowledge import Knowledge, TrainOutcomes
from synthpert.predictions import read_predictions
from synthpert.predictions.records import read_record
from synthpert.questions import LABEL_DTYPE, LABELS, Question
from tools.ask import ask_as_summer
from tools.ask.summer import Said, Summer
from tools.ask.summer.entries import entries_of, one_line
from tools.ask.summer.retrieval import Retrieval
from tools.baseline import main as baseline
from tools.traces.journal.records import Call, Reply
from tools.traces.settings import Model
from tools.traces.walk import replay

NOT_DE, UP, DOWN = LABELS
MODEL = Model("openai/x")
# A1, A2 and A3 are one complex and B1, B2 another; Z is in none.
SETS = "complex a\tx\tA1\tA2\tA3\ncomplex b\tx\tB1\tB2\nboth\tx\tA1\tB1\n"
TRAIN = pl.DataFrame(
    [
        ("k562", "A2", "B1", UP),
        ("k562", "A2", "B2", DOWN),
        ("k562", "A3", "B1", NOT_DE),
        ("k562", "Z", "B1", NOT_DE),
        ("k562", "Z", "Y", NOT_DE),
        ("rpe1", "A1", "B1", UP),
    ],
    schema={"cell_line": pl.String, "pert": pl.String, "gene": pl.String, "label": LABEL_DTYPE},
    orient="row",
)


@pytest.fixture
def knowledge(tmp_path: Path) -> Knowledge:
    folder = tmp_path / "knowledge"
    folder.mkdir()
    (folder / "sets.gmt").write_text(SETS)
    return Knowledge.read(folder)


@pytest.fixture
def way(knowledge: Knowledge) -> Summer:
    retrieval = Retrieval(TRAIN, knowledge, examples=2)
    return Summer(MODEL, knowledge, retrieval, TrainOutcomes(TRAIN).fingerprint)


def script(call: Call) -> str:
    """A reader that says yes and decrease, and a summariser that names the gene."""
    text = call.messages[-1]["content"]
    if call.role == "summariser":
        return f"{call.question.pert or call.question.gene} does a thing."
    return "3) So.\nAnswer: decrease" if "increase or decrease?" in text else "5) So.\nAnswer: yes"


def walked(way: Summer, question: Question, sample: int = 0) -> tuple[list[Call], Said]:
    steps, calls = way.walk(question, sample), []
    call = next(steps)
    try:
        while True:
            calls.append(call)
            call = steps.send(Reply(script(call), "stop"))
    except StopIteration as end:
        return calls, end.value


def test_near_perturbations_with_the_same_gene_come_first(knowledge: Knowledge) -> None:
    found = Retrieval(TRAIN, knowledge, examples=2).find(Question("k562", "A1", "B1"))
    assert {(each.pert, each.gene) for each in found[:2]} == {("A2", "B1"), ("A3", "B1")}
    assert ("A2", "B2") in [(each.pert, each.gene) for each in found[2:]]
    assert found == Retrieval(TRAIN.reverse(), knowledge, examples=2).find(
        Question("k562", "A1", "B1")
    )


def test_only_the_questions_cell_line_is_retrieved_from(knowledge: Knowledge) -> None:
    found = Retrieval(TRAIN, knowledge).find(Question("k562", "A1", "B1"))
    assert ("A1", "B1") not in [(each.pert, each.gene) for each in found]


def test_a_line_without_train_rows_is_told_of_the_others(knowledge: Knowledge) -> None:
    found = Retrieval(TRAIN, knowledge).find(Question("hepg2", "A2", "B1"))
    assert found


def test_the_own_row_is_never_an_example(knowledge: Knowledge) -> None:
    for pert, gene in TRAIN.select("pert", "gene").iter_rows():
        found = Retrieval(TRAIN, knowledge).find(Question("k562", pert, gene))
        assert (pert, gene) not in [(each.pert, each.gene) for each in found]


def test_direction_is_shown_what_moved_alone(knowledge: Knowledge) -> None:
    found = Retrieval(TRAIN, knowledge).find(Question("k562", "A1", "B1"), moved=True)
    assert found
    assert NOT_DE not in [each.label for each in found]


def test_a_question_of_unknown_genes_still_gets_examples(knowledge: Knowledge) -> None:
    assert Retrieval(TRAIN, knowledge, examples=1).find(Question("k562", "Q", "B1"))


def test_what_is_known_of_a_gene_is_listed(knowledge: Knowledge) -> None:
    assert entries_of(knowledge, "A1") == ["A1 belongs to both", "A1 belongs to complex a"]
    assert entries_of(knowledge, "nobody") == []


def test_a_text_stands_on_one_line_without_tags() -> None:
    assert one_line("a\n<think>b  c", 99) == "a think>b c"
    assert one_line("one two three", 9) == "one two …"


def test_a_gene_is_summarised_once_for_all_samples_and_questions(way: Summer) -> None:
    first, _ = walked(way, Question("k562", "A1", "B1"))
    second, _ = walked(way, Question("k562", "A1", "B1"), sample=1)
    keys = Counter(call.key for call in first + second if call.role == "summariser")
    assert len({call.key for call in first if call.role == "summariser"}) == len(keys)
    readers = [call.key for call in first + second if call.role == "reader"]
    assert len(set(readers)) == 4


def test_the_question_holds_summaries_examples_and_no_direction(way: Summer) -> None:
    calls, _ = walked(way, Question("k562", "A1", "B1"))
    changes, direction = (c.messages[-1]["content"] for c in calls if c.role == "reader")
    assert "The perturbed gene A1: A1 does a thing." in changes
    assert "Measured: B1 (B1 does a thing.) Outcome: its expression changed." in changes
    assert "expression increased" not in changes
    assert "Outcome: its expression increased." in direction


def test_no_summary_is_asked_of_what_nobody_knows(way: Summer) -> None:
    calls, _ = walked(way, Question("k562", "Q", "B1"))
    assert "Q" not in [call.question.pert for call in calls if call.role == "summariser"]
    assert "Nothing is known of it" in calls[-1].messages[-1]["content"]


def test_an_empty_summary_is_the_entries_themselves(way: Summer) -> None:
    def answer(key: str) -> Reply:
        return Reply("", "stop")

    said = replay(way.walk(Question("k562", "A1", "B1"), 0), answer)
    assert way.is_answered(said)


def test_without_a_summary_the_question_waits(way: Summer) -> None:
    said = replay(way.walk(Question("k562", "A1", "B1"), 0), lambda key: None)
    assert not way.is_answered(said)
    assert way.row([said])["parse_status"] == "not_answered"


def samples(*pairs: tuple[str, str]) -> list[Said]:
    return [
        Said(Reply(f"Answer: {one}", "stop"), Reply(f"Answer: {two}", "stop")) for one, two in pairs
    ]


def test_a_row_is_the_mean_of_those_who_decide(way: Summer) -> None:
    row = way.row(samples(("yes", "increase"), ("no", "insufficient"), ("yes", "increase")))
    assert row["p_not_de"] == pytest.approx(1 / 3)
    assert row["p_up"] == pytest.approx(2 / 3 * 0.99)
    assert (row["answer"], row["parse_status"]) == (UP, "ok")


def test_a_no_from_all_keeps_the_direction(way: Summer) -> None:
    row = way.row(samples(("no", "decrease")))
    assert row["answer"] == NOT_DE
    assert row["p_up"] / (row["p_up"] + row["p_down"]) == pytest.approx(0.01)
    assert row["p_not_de"] == pytest.approx(0.99)


def test_evidence_that_nobody_finds_sufficient_is_no_answer(way: Summer) -> None:
    row = way.row(samples(("insufficient", "increase")))
    assert (row["answer"], row["p_up"]) == (None, None)
    assert row["parse_status"] == Verdict.INSUFFICIENT


def test_other_examples_are_another_prompt(way: Summer, knowledge: Knowledge) -> None:
    more = Summer(MODEL, knowledge, Retrieval(TRAIN, knowledge), TrainOutcomes(TRAIN).fingerprint)
    assert more.prompt_id != way.prompt_id


def scripted(body: Body) -> Answer:
    text = body["messages"][-1]["content"]
    if "Entries:" in text:
        return Answer("It does a thing.")
    return Answer("Answer: increase" if "increase or decrease?" in text else "Answer: yes")


def test_the_baseline_asks_three_times_and_the_same_command_asks_nothing(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    with Stub(then=scripted) as stub:
        given = ["--model", "openai/stub", "--engine", "openai", "--api_base", stub.base]
        given += ["--input_price", "0", "--output_price", "0", "--questions", "4"]
        given += ["--out", "summer.parquet"]
        assert baseline(["summer", *given]) == 0
        count = len(stub.bodies)
        assert sum("Entries:" not in body["messages"][-1]["content"] for body in stub.bodies) == 24
        assert ask_as_summer(given) == 0
        assert len(stub.bodies) == count
    table = read_predictions("summer.parquet")
    assert set(table["answer"]) == {UP}
    assert set(table["n_samples"]) == {3}
    assert read_record(Path("summer.parquet"))["prompts"] == "summer"


def test_a_summary_that_is_paid_for_serves_every_split(knowledge: Knowledge) -> None:
    keys = []
    for train in (TRAIN, TRAIN.head(4)):
        outcomes = TrainOutcomes(train).fingerprint
        way = Summer(MODEL, knowledge, Retrieval(train, knowledge, examples=2), outcomes)
        calls, _ = walked(way, Question("k562", "A1", "B1"))
        keys.append({call.role + call.question.pert: call.key for call in calls})
    assert keys[0]["summariserA1"] == keys[1]["summariserA1"]
