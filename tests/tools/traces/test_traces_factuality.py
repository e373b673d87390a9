"""`traces factuality` as it is typed: a judge on this machine, people's marks, scores by answer."""

from __future__ import annotations

import json
from collections import Counter
from collections.abc import Sequence
from pathlib import Path

import polars as pl
import pytest
import yaml
from chat_stub import Answer, Body, Stub
from hypothesis import given, settings
from hypothesis import strategies as st

from synthpert.answers.marks import Mark
from synthpert.errors import InputError, StoppedError
from synthpert.predictions import write_predictions
from synthpert.questions import Label, Question
from tools import traces
from tools.traces.factuality import agreement, factuality, main, score_thoughts, summarise
from tools.traces.factuality.judging import Thought
from tools.traces.factuality.mark_table import MARK_DTYPE, mark_table, with_judge

UP, DOWN = Label.UP, Label.DOWN
GOOD, BAD = "MYC is a transcription factor. It binds E-boxes.", "MYC is a fish. It sings. NCL, too."


@pytest.fixture
def here(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A working folder with four predictions: three right, one wrong."""
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("OPENAI_API_KEY", "sk-canary")
    rows = [("A", UP, UP, GOOD), ("B", UP, UP, BAD), ("C", UP, DOWN, BAD), ("D", UP, UP, GOOD)]
    names = ["gene", "label", "answer", "reasoning"]
    table = pl.DataFrame(rows, schema=dict.fromkeys(names, pl.String()), orient="row")
    table = table.with_columns(cell_line=pl.lit("k562"), pert=pl.lit("MYC"))
    write_predictions(table, tmp_path / "p.parquet")
    return tmp_path


def clauses(body: Body) -> list[str]:
    asked = body["messages"][-1]["content"]
    return asked.partition("Clauses:\n")[2].partition("\nTask:")[0].split("\n")


def knowing(body: Body) -> Answer:
    """Mark as somebody would who knows what sings."""
    marks = {"MYC is a fish.": "FALSE", "It sings.": "UNSURE"}
    lines = (clause.split(": ", 1) for clause in clauses(body))
    return Answer("\n".join(f"{number}: {marks.get(text, 'TRUE')}" for number, text in lines))


def judge(stub: Stub, *others: str, **more: object) -> dict[str, dict[str, dict[str, object]]]:
    """Run the command; returns its figures by group."""
    model = {"model": "openai/stub", "parameters": {"api_base": stub.base, "max_tokens": 100}}
    model |= {"in_flight": 2, "input_price": 1.0, "output_price": 2.0}
    told = {"judge": model, "attempts": 2, "backoff": 0.001, "json": "f.json"} | more
    Path("f.yaml").write_text(yaml.safe_dump(told))
    assert traces.main(["factuality", "p.parquet", *others, "--config", "f.yaml"]) == 0
    figures = json.loads(Path("f.json").read_text())
    return figures["files"]["p"] | {"agreement": figures["agreement"]}


def marks() -> pl.DataFrame:
    return pl.read_parquet("runs/factuality/marks.parquet")


def human(number: int, gene: str, mark: str) -> None:
    """Fill in one cell of the column `human`, as a person would."""
    path = Path("runs/factuality/marks.csv")
    table = pl.read_csv(path, infer_schema=False)
    here = (pl.col("number") == str(number)) & (pl.col("gene") == gene)
    filled = pl.when(here).then(pl.lit(mark)).otherwise("human").alias("human")
    table.with_columns(filled).write_csv(path)


def thoughts(*files: str) -> list[Thought]:
    question = Question("k562", "MYC", "NCL")
    return [Thought(file, question, i, UP, UP, "right", ["a", "b"]) for i, file in enumerate(files)]


def scored(*said: Sequence[Mark | None], group: str = "right") -> pl.DataFrame:
    """Score thoughts of two clauses each by these marks."""
    mine = thoughts(*["p"] * len(said))
    judged = [[(mark, "ok") for mark in each] for each in said]
    return score_thoughts(mine, with_judge(mark_table(mine), judged))


def test_right_and_wrong_answers_are_scored_apart(here: Path) -> None:
    with Stub(then=knowing) as stub:
        figures = judge(stub)
    assert figures["right"]["thoughts"] == 3
    assert figures["right"]["score"]["value"] == pytest.approx((1 + 1 / 3 + 1) / 3)
    assert figures["wrong"]["score"] == {"value": pytest.approx(1 / 3), "low": None, "high": None}
    assert figures["wrong"]["score_decided"]["value"] == 0.5
    assert list(figures) == ["right", "wrong", "all", "agreement"]


def test_tables_have_a_row_a_clause_and_a_row_a_thought(here: Path) -> None:
    with Stub(then=knowing) as stub:
        judge(stub)
    assert Counter(marks()["mark"]) == {"TRUE": 6, "FALSE": 2, "UNSURE": 2}
    table = pl.read_parquet("runs/factuality/factuality.parquet")
    assert table["gene"].to_list() == ["A", "B", "C", "D"]
    assert table["clauses"].to_list() == [2, 3, 3, 2]
    assert table["group"].to_list() == ["right", "right", "wrong", "right"]


def test_the_same_command_pays_nothing_twice(here: Path) -> None:
    with Stub(then=knowing) as stub:
        first = judge(stub)
        # The prompts name the gene, so that each of the four is a question of its own.
        assert len(stub.bodies) == 4
        assert judge(stub) == first
        assert len(stub.bodies) == 4


def test_the_same_thought_in_two_files_is_asked_about_once(here: Path) -> None:
    Path("q.parquet").write_bytes(Path("p.parquet").read_bytes())
    with Stub(then=knowing) as stub:
        judge(stub, "q.parquet")
        assert len(stub.bodies) == 4
    assert marks()["file"].value_counts(sort=True).rows() == [("p", 10), ("q", 10)]


def test_a_persons_mark_in_the_same_table_wins(here: Path) -> None:
    with Stub(then=knowing) as stub:
        judge(stub)
        human(1, "C", "true")
        human(2, "C", "UNSURE")
        figures = judge(stub)
        assert len(stub.bodies) == 4
    assert figures["wrong"]["score"]["value"] == pytest.approx(2 / 3)
    assert figures["agreement"] == {"clauses": 2, "agree": 0.5, "kappa": pytest.approx(1 / 3)}


def test_people_alone_may_mark(here: Path, capsys: pytest.CaptureFixture[str]) -> None:
    main(["p.parquet"])
    assert "| p | right | 3 | 0 | 7 | 0 | 0 | 0 | 7 | – |" in capsys.readouterr().out
    human(1, "A", "TRUE")
    human(2, "A", "FALSE")
    main(["p.parquet"])
    assert "| p | right | 3 | 1 | 7 | 1 | 1 | 0 | 5 | 0.5000 |" in capsys.readouterr().out
    assert not Path("runs/factuality/journal.sqlite").exists()


def test_what_is_wrong_in_a_persons_marks_is_said_before_the_judge_is_paid(here: Path) -> None:
    main(["p.parquet"])
    human(1, "A", "perhaps")
    with Stub(then=knowing) as stub:
        with pytest.raises(InputError, match="unknown mark"):
            judge(stub)
        assert stub.bodies == []


@pytest.mark.parametrize(
    ("answer", "reason"),
    [
        (Answer("1: TRUE\n2: TRUE\n3: TRUE\n4: TRUE"), "misnumbered"),
        (Answer("1: TRUE", finish_reason="length"), "truncated"),
        (Answer("All true!"), "missing"),
        (Answer("", message={"refusal": "no"}), "refused"),
        (Answer(status=400), "not_answered"),
    ],
)
def test_a_clause_without_a_mark_says_why(here: Path, answer: Answer, reason: str) -> None:
    with Stub(answer, then=knowing) as stub:
        figures = judge(stub)
    reasons = marks().filter(pl.col("mark").is_null())["reason"]
    assert set(reasons) == {reason}
    assert figures["all"]["unmarked"] == len(reasons) > 0


def test_a_budget_stops_the_run_and_a_larger_one_goes_on(here: Path) -> None:
    with Stub(then=knowing) as stub:
        with pytest.raises(StoppedError, match="budget"):
            judge(stub, budget=1e-6)
        assert stub.bodies == []
        assert judge(stub, budget=1.0)["all"]["unmarked"] == 0


def test_no_secret_is_written(here: Path) -> None:
    with Stub(then=knowing) as stub:
        judge(stub)
    files = [path for path in here.rglob("*") if path.is_file()]
    assert len(files) > 5
    assert all(b"sk-canary" not in path.read_bytes() for path in files)


@pytest.mark.parametrize("name", ["offline/template", "offline/knowledge"])
def test_what_is_no_language_model_is_no_judge(here: Path, name: str) -> None:
    with pytest.raises(InputError, match=r"judge\.model: knows no facts to judge by"):
        main(["p.parquet", "--judge.model", name])


@pytest.mark.parametrize(
    ("flags", "match"),
    [
        (["--each", "0"], "each: too small"),
        (["--judge.model", "openai/x", "--judge.parameters.api_key", "k"], "keys are not written"),
        (["--prompts", "jugde"], "did you mean judge"),
        (["--marks", "none.csv"], "no such file"),
    ],
)
def test_wrong_moreare_errors(here: Path, flags: list[str], match: str) -> None:
    with pytest.raises(InputError, match=match):
        main(["p.parquet", *flags])


def test_it_is_a_function_too(here: Path) -> None:
    factuality(["p.parquet"], each=1, out=Path("mine"))
    assert set(pl.read_parquet("mine/factuality.parquet")["group"]) == {"right", "wrong"}


def test_scores_count_what_is_marked() -> None:
    table = scored([Mark.TRUE, Mark.UNSURE], [Mark.UNSURE, Mark.UNSURE], [None, None])
    assert table["score"].to_list() == [0.5, 0.0, None]
    assert table["score_decided"].to_list() == [1.0, None, None]
    assert table["unmarked"].to_list() == [0, 0, 2]


@settings(deadline=None)
@given(st.lists(st.lists(st.sampled_from([*Mark, None]), min_size=2, max_size=2), min_size=1))
def test_a_mean_lies_in_its_interval_and_clauses_add_up(said: list[list[Mark | None]]) -> None:
    block = summarise(scored(*said), seed=0)["p"]["all"]
    assert block["clauses"] == sum(block[n] for n in ("true", "false", "unsure", "unmarked"))
    score = block["score"]
    if score["low"] is not None:
        assert 0 <= score["low"] <= score["value"] + 1e-9
        assert score["value"] - 1e-9 <= score["high"] <= 1
    assert summarise(scored(*said), seed=0)["p"]["all"] == block


def both(pairs: list[tuple[Mark | None, Mark | None]]) -> pl.DataFrame:
    return pl.DataFrame(pairs, {"judge": MARK_DTYPE, "human": MARK_DTYPE}, orient="row")


def test_agreement_is_over_what_both_have_marked() -> None:
    t, f = Mark.TRUE, Mark.FALSE
    assert agreement(both([(t, None), (None, f)])) is None
    assert agreement(both([(t, t), (t, t), (t, None)])) == {
        "clauses": 2,
        "agree": 1.0,
        "kappa": None,
    }
    assert agreement(both([(t, t), (f, f)])) == {"clauses": 2, "agree": 1.0, "kappa": 1.0}
    assert agreement(both([(t, f), (f, t)])) == {"clauses": 2, "agree": 0.0, "kappa": -1.0}
