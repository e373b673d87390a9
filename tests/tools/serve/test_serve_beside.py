"""What stands beside the student: priors, neighbours, outcomes, and traces like the question."""

from __future__ import annotations

from collections.abc import Sequence
from itertools import pairwise
from pathlib import Path

import polars as pl
import pytest

from synthpert.errors import InputError
from synthpert.questions import Label, Question
from synthpert.traces import TRACE_SCHEMA
from tools.baseline import answer
from tools.serve.alike import WHY, Traces
from tools.serve.beside import Benchmark
from tools.serve.desk import Desk

TESTED = Question("k562", "T0", "G0")
TRAINED = Question("k562", "P0", "G1")


@pytest.fixture
def benchmark(desk: Desk) -> Benchmark:
    return desk.benchmark


def test_the_references_say_what_the_baselines_say(benchmark: Benchmark) -> None:
    beside = benchmark.beside(TESTED)
    asked = benchmark.test.filter(pert="T0", gene="G0", cell_line="k562")
    for name, ours in (("gene-prior", beside.gene_prior), ("knn", beside.neighbours)):
        theirs = answer(name, benchmark.train, asked, materials=benchmark.materials)
        assert ours == theirs.select("p_not_de", "p_up", "p_down").row(0)


def test_a_train_questions_own_outcome_is_told_but_not_used(benchmark: Benchmark) -> None:
    beside = benchmark.beside(TRAINED)
    without = benchmark.train.filter(
        ~((pl.col("pert") == "P0") & (pl.col("gene") == "G1") & (pl.col("cell_line") == "k562"))
    )
    asked = benchmark.train.filter(pert="P0", gene="G1", cell_line="k562")
    expected = answer("gene-prior", without, asked)
    assert beside.gene_prior == expected.select("p_not_de", "p_up", "p_down").row(0)
    assert (beside.measured, beside.part) == (Label(asked["label"][0]), "train")


def test_the_nearest_are_train_rows_of_the_gene(benchmark: Benchmark) -> None:
    nearest = benchmark.beside(TESTED).nearest
    assert [each.pert for each in nearest[:2]] == ["P3", "P3"]
    assert nearest[0].cell_line == "k562"
    assert all(a.similarity >= b.similarity for a, b in pairwise(nearest))
    row = benchmark.train.filter(pert="P3", gene="G0", cell_line="k562")
    assert nearest[0].label == row["label"][0]


def test_a_question_that_nobody_measured_is_answered_too(benchmark: Benchmark) -> None:
    beside = benchmark.beside(Question("k562", "NEW1", "NEW2"))
    assert (beside.measured, beside.part, beside.new) == (None, "", ("NEW1", "NEW2"))
    assert beside.neighbours is None
    assert "no gene NEW1" in beside.why_none
    assert sum(beside.gene_prior) == pytest.approx(1)


def test_knowledge_of_other_genes_gives_no_neighbours(tmp_path: Path) -> None:
    (tmp_path / "sets.gmt").write_text("A\t\tX1\tX2\n")
    beside = Benchmark(Path("data"), "default", tmp_path).beside(TESTED)
    assert beside.why_none == "the knowledge files have 0% of the perturbed genes"


def test_a_knowledge_folder_that_is_none_is_refused() -> None:
    with pytest.raises(InputError, match="no such folder"):
        Benchmark(Path("data"), "default", Path("nowhere"))


def test_outcomes_of_many_come_in_order(benchmark: Benchmark) -> None:
    row = benchmark.table.row(0, named=True)
    known = Question(row["cell_line"], row["pert"], row["gene"])
    asked = [Question("k562", "NEW1", "G0"), known]
    assert benchmark.outcomes(asked) == [None, Label(row["label"])]


def test_examples_are_test_questions(benchmark: Benchmark) -> None:
    examples = benchmark.examples()
    assert len(set(examples)) == 4
    assert {benchmark.beside(each).part for each in examples} == {"test"}


def traces(*questions: tuple[str, str, str]) -> Traces:
    known = {"label": Label.UP, "reasoning": "so", "grade": "good"}
    rows = [dict(zip(("cell_line", "pert", "gene"), q, strict=True)) | known for q in questions]
    table = pl.DataFrame(rows).cast({"label": TRACE_SCHEMA["label"]})  # type: ignore[dict-item]

    def likeness(symbol: str, others: Sequence[str]) -> list[float]:
        return [{"NEAR": 0.5, "NEARER": 0.9}.get(other, 0.0) for other in others]

    return Traces(table, likeness)


def test_traces_are_ranked_by_what_they_share() -> None:
    ranked = [
        ("k562", "T0", "G0"),
        ("rpe1", "T0", "G0"),
        ("k562", "T0", "NEARER"),
        ("k562", "T0", "NEAR"),
        ("k562", "OTHER", "G0"),
        ("rpe1", "T0", "G1"),
        ("rpe1", "OTHER", "G0"),
        ("rpe1", "NEAR", "G1"),
    ]
    found = traces(*reversed(ranked), ("k562", "OTHER", "G9")).like(TESTED, 20)
    assert [(each.cell_line, each.pert, each.gene) for each in found] == ranked
    assert list(dict.fromkeys(each.why for each in found)) == list(WHY)


def test_no_trace_may_be_like_it() -> None:
    assert traces(("k562", "OTHER", "G9")).like(TESTED) == []
