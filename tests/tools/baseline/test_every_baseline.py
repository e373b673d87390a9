"""What holds for every baseline: it sees no test label, is deterministic and sums to one."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import polars as pl
import pytest
from worlds import GENES, LINES, NOT_DE, PERTS, P, modules, write_knowledge

from synthpert.errors import InputError
from synthpert.questions import LABEL_DTYPE
from tools.baseline.answering import BASELINES, REFERENCES, answer, references
from tools.baseline.materials import Materials, shown

BLIND = ("majority", "class-frequency", "gene-prior", "gene-prior-other-lines")


@pytest.fixture(scope="module")
def materials(tmp_path_factory: pytest.TempPathFactory) -> Materials:
    folder = tmp_path_factory.mktemp("baseline")
    vectors = folder / "vectors.csv"
    rows = (f"{gene},{i % 2},{i / 24}" for i, gene in enumerate((*PERTS, *GENES)))
    vectors.write_text("\n".join(["gene,a,b", *rows]) + "\n")
    return Materials(write_knowledge(folder / "knowledge"), vectors=vectors)


@pytest.fixture(scope="module")
def answers(materials: Materials) -> dict[str, pl.DataFrame]:
    train, test = modules()
    return {name: answer(name, train, test, materials=materials) for name in BASELINES}


@pytest.mark.parametrize("name", BASELINES)
def test_probabilities_sum_to_one(name: str, answers: dict[str, pl.DataFrame]) -> None:
    table = answers[name]
    assert table.select((pl.sum_horizontal(P) - 1).abs().max()).item() < 1e-12
    assert table.select(pl.all_horizontal(pl.col(P).is_between(0, 1))).to_series().all()


@pytest.mark.parametrize("name", BASELINES)
def test_the_same_again_and_whatever_the_test_labels_are(
    name: str, answers: dict[str, pl.DataFrame], materials: Materials
) -> None:
    train, test = modules()
    blind = test.with_columns(label=pl.lit(NOT_DE, LABEL_DTYPE))
    again = answer(name, train, blind, materials=materials)
    assert again.select("answer", *P).equals(answers[name].select("answer", *P))


@pytest.mark.parametrize("name", sorted(set(BASELINES) - {"gat"}))
def test_a_question_has_the_same_answer_in_any_company(
    name: str, answers: dict[str, pl.DataFrame], materials: Materials
) -> None:
    train, test = modules()
    few = answer(name, train, test[5:25], materials=materials).select(P).to_numpy()
    np.testing.assert_allclose(few, answers[name][5:25].select(P).to_numpy(), atol=1e-6)


@pytest.mark.parametrize("name", BLIND)
def test_a_baseline_blind_to_the_perturbation_says_the_same_of_each(
    name: str, answers: dict[str, pl.DataFrame]
) -> None:
    spread = answers[name].group_by("cell_line", "gene").agg(pl.col(P).n_unique())
    assert spread.select(pl.col(P).max()).row(0) == (1, 1, 1)


@pytest.mark.parametrize("name", ["knn", "knn-lr", "knn-gb", "stack", "genept"])
def test_what_knows_the_modules_finds_the_effect(
    name: str, answers: dict[str, pl.DataFrame]
) -> None:
    right = answers[name]["answer"] == answers[name]["label"]
    assert right.mean() > 0.85 > (answers["gene-prior"]["answer"] == answers[name]["label"]).mean()


@pytest.mark.parametrize("name", ["knn-lr", "stack", "logistic"])
def test_a_held_out_line_is_answered_from_the_others(name: str, materials: Materials) -> None:
    every = pl.concat(modules())
    held_out = pl.col("cell_line") == LINES[0]
    table = answer(name, every.filter(~held_out), every.filter(held_out), materials=materials)
    assert (table["answer"] == table["label"]).mean() > 0.85


@pytest.mark.parametrize("name", ["knn-lr", "stack", "logistic", "genept", "physical"])
def test_a_single_class_to_learn_is_answered(name: str, materials: Materials) -> None:
    train, test = modules()
    same = train.filter(pl.col("label") == NOT_DE)
    assert answer(name, same, test, materials=materials)["answer"].unique().to_list() == [NOT_DE]


def test_the_references_stand_in_their_order(materials: Materials) -> None:
    assert tuple(references(*modules(), materials.folder)) == REFERENCES


def test_without_knowledge_of_the_genes_knn_is_no_reference(
    caplog: pytest.LogCaptureFixture,
) -> None:
    assert "knn" not in references(*modules())
    assert "no reference row knn" in caplog.text


def test_a_broken_knowledge_folder_is_refused(tmp_path: Path) -> None:
    with pytest.raises(InputError, match="no such folder"):
        references(*modules(), tmp_path / "none")


def test_no_train_row_is_refused() -> None:
    train, test = modules()
    with pytest.raises(InputError, match="no train row"):
        answer("majority", train.clear(), test)


def test_no_test_row_is_refused() -> None:
    train, test = modules()
    with pytest.raises(InputError, match="no test row"):
        answer("logistic", train, test.clear())


def test_the_bar_leaves_the_items_alone() -> None:
    assert list(shown(iter("abc"), "letters", 3)) == ["a", "b", "c"]
