"""The parts of the fitted baselines against sums made by hand."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import polars as pl
import pytest
from hypothesis import given
from hypothesis import strategies as st
from worlds import DOWN, GENES, NOT_DE, PERTS, UP, modules, questions, write_knowledge

from synthpert.errors import InputError
from synthpert.knowledge import Knowledge
from synthpert.questions import LABEL_DTYPE
from tools.baseline.features import Relations, features
from tools.baseline.folds import REGIMES, Regime, matching, practice
from tools.baseline.knn import OTHER_LINE, PRIOR_WEIGHT, knn, votes
from tools.baseline.learned import knn_lr
from tools.baseline.linear import logistic
from tools.baseline.materials import Materials
from tools.baseline.network import edges, physical
from tools.baseline.practised import answer_practised, logistic_regression
from tools.baseline.rows import Rows, numbered, predictions, stable
from tools.baseline.similarity import closeness, known_share, nearest, profiles


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return write_knowledge(tmp_path_factory.mktemp("knowledge"))


@pytest.fixture(scope="module")
def knowledge(folder: Path) -> Knowledge:
    return Knowledge.read(folder)


def everything() -> Rows:
    every = pl.concat(modules())
    return numbered(every, every.clear())[0]


# --- rows ------------------------------------------------------------------------------------


def test_both_splits_have_the_same_numbers() -> None:
    train, test = modules()
    rows, asked = numbered(train, test)
    assert [rows.perts[i] for i in rows.pert] == train["pert"].to_list()
    assert [asked.genes[i] for i in asked.gene] == test["gene"].to_list()


def test_counts_are_of_each_cell_and_label() -> None:
    rows = numbered(questions(("k", "A", "X", UP), ("k", "B", "X", UP)), questions())[0]
    assert rows.counts("line", "gene").tolist() == [[[0, 2, 0]]]


def test_probabilities_are_divided_by_their_sum() -> None:
    table = predictions(questions(("k", "A", "X", UP)), np.array([[1.0, 2.0, 1.0]]))
    assert table.row(0)[4:] == (0.25, 0.5, 0.25)


def test_a_stable_number_is_the_same_in_every_process() -> None:
    assert stable("k562", "A") == 7_061_531_222_327_877_449


# --- similarity ------------------------------------------------------------------------------


def test_profiles_agree_with_the_cosines_of_the_knowledge(knowledge: Knowledge) -> None:
    similar = closeness(profiles(knowledge, PERTS))
    every = knowledge.similarities("P4")
    expected = [every[knowledge.index.number(pert) or 0] ** 2 for pert in PERTS]
    expected[4] = 0
    np.testing.assert_allclose(similar[4], expected, atol=1e-6)


def test_a_gene_that_nobody_knows_is_like_none(knowledge: Knowledge) -> None:
    assert not closeness(profiles(knowledge, ["P0", "NOBODY KNOWS", "P2"]))[1].any()
    assert known_share(knowledge, ["P0", "NOBODY KNOWS"]) == 0.5


def test_nearest_keeps_so_many_of_each_row(knowledge: Knowledge) -> None:
    few = nearest(profiles(knowledge, PERTS), count=3, at_once=5).T.toarray()
    every = np.sqrt(closeness(profiles(knowledge, PERTS)))
    for row, cosines in zip(few, every, strict=True):
        bound = np.sort(cosines)[-3]
        np.testing.assert_allclose(row, np.where(cosines >= bound, cosines, 0), atol=1e-6)


# --- votes -----------------------------------------------------------------------------------


def test_votes_are_weighted_sums_over_rows_of_the_gene(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("tools.baseline.knn._PAIRS_AT_ONCE", 50)
    rows, asked = numbered(*modules())
    generator = np.random.default_rng(1)
    similar = generator.random((len(rows.perts),) * 2).astype(np.float32)
    values = generator.random((len(rows), 2))
    own, others = votes(rows, asked, similar, values)
    for number in range(0, len(asked), 7):
        weight = similar[asked.pert[number], rows.pert] * (rows.gene == asked.gene[number])
        here = rows.line == asked.line[number]
        np.testing.assert_allclose(own[number], (weight * here) @ values, rtol=1e-6)
        np.testing.assert_allclose(others[number], (weight * ~here) @ values, rtol=1e-6)


def test_knn_is_the_vote_and_the_gene_prior(folder: Path) -> None:
    train = questions(
        ("a", "P2", "G0", UP),
        ("b", "P4", "G0", DOWN),
        ("b", "P0", "G0", NOT_DE),
        ("a", "X", "G1", UP),
    )
    table = knn(train, questions(("a", "P0", "G0", NOT_DE)), Materials(folder))
    like = Knowledge.read(folder).similarities("P0") ** 2
    number = Knowledge.read(folder).index.number
    near, far = (float(like[number(pert) or 0]) for pert in ("P2", "P4"))
    up, down = near + PRIOR_WEIGHT, OTHER_LINE * far
    expected = [0, up / (up + down), down / (up + down)]
    assert table.row(0)[4:] == pytest.approx(expected, abs=1e-6)


def test_knn_says_when_the_knowledge_is_of_other_genes(
    folder: Path, caplog: pytest.LogCaptureFixture
) -> None:
    knn(questions(("a", "Q", "G0", UP)), questions(("a", "R", "G0", UP)), Materials(folder))
    assert "fewer than half" in caplog.text


# --- physical --------------------------------------------------------------------------------


def test_an_edge_joins_either_way(knowledge: Knowledge) -> None:
    table = questions(*(("a", *pair, UP) for pair in (("P0", "G0"), ("P3", "G1"), ("P1", "G1"))))
    assert edges(knowledge, numbered(table, table)[0]).tolist() == [True, True, False]


def test_an_unknown_gene_has_no_edge(knowledge: Knowledge) -> None:
    table = questions(("a", "UNKNOWN", "G0", UP), ("a", "ALSO UNKNOWN", "UNHEARD OF", UP))
    assert not edges(knowledge, numbered(table, table)[0]).any()


def test_physical_ranks_an_edge_above_none_where_edges_move_genes(tmp_path: Path) -> None:
    path = tmp_path / "edges.csv"
    path.write_text("gene1,gene2\nA,X\nB,X\n")
    train = questions(("k", "A", "X", UP), ("k", "C", "X", NOT_DE), ("k", "D", "X", NOT_DE))
    test = questions(("k", "B", "X", UP), ("k", "E", "X", UP))
    table = physical(train, test, Materials(edges=path))
    assert table["p_up"].to_list() == pytest.approx([(1 + 1 / 3) / 2, (1 / 3) / 3])


def test_a_table_without_edges_is_no_network(tmp_path: Path) -> None:
    path = tmp_path / "sets.gmt"
    path.write_text("set\t\tA\tB\n")
    with pytest.raises(InputError, match="not an edge list"):
        _ = Materials(edges=path).network


def test_knowledge_without_a_network_is_no_network(tmp_path: Path) -> None:
    (tmp_path / "sets.gmt").write_text("set\t\tA\tB\n")
    with pytest.raises(InputError, match="no edge here"):
        _ = Materials(tmp_path).network


@pytest.mark.parametrize("flag", ["edges", "folder"])
@pytest.mark.parametrize(("name", "functional"), [("string_v12", True), ("string_physical", False)])
def test_the_functional_network_of_string_is_called_so(
    flag: str, name: str, functional: bool, tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    path = tmp_path / f"{name}.tsv"
    path.write_text("gene1\tgene2\nA\tB\n")
    _ = Materials(**{flag: path if flag == "edges" else tmp_path}).network
    assert ("functional network, not the physical one" in caplog.text) == functional


# --- folds and features ----------------------------------------------------------------------


def test_every_question_is_of_one_regime() -> None:
    rows, asked = numbered(*modules())
    kinds = np.stack([matching(rows, asked, regime) for regime in REGIMES])
    assert (kinds.sum(axis=0) == 1).all()
    assert kinds[1].any(), "the perturbations that are tested in every line"


@given(st.sampled_from(REGIMES), st.integers(0, 9))
def test_practice_hides_what_a_question_of_the_regime_lacks(regime: Regime, seed: int) -> None:
    rows = numbered(*modules(seed=seed))[0]
    times = np.zeros(len(rows))
    for kept, asked in practice(rows, regime):
        assert not (kept & asked).any()
        assert matching(rows.where(kept), rows.where(asked), Regime(regime.line, False)).all() or (
            regime.pert
        )
        times += asked
    assert times.max() == 1


def test_practice_keeps_the_perturbation_elsewhere() -> None:
    rows = numbered(*modules())[0]
    regime = Regime(line=True, pert=True)
    for kept, asked in practice(rows, regime):
        assert matching(rows.where(kept), rows.where(asked), regime).mean() > 0.5


def test_features_read_no_label_of_the_questions(knowledge: Knowledge) -> None:
    train, test = modules()
    relations = Relations.of(knowledge, everything())
    rows, asked = numbered(train, test)
    blank = numbered(train, test.with_columns(label=pl.lit(NOT_DE, LABEL_DTYPE)))[1]
    one, other = (features(rows, each, relations) for each in (asked, blank))
    assert one.dtype == np.float32
    assert np.isfinite(one).all()
    np.testing.assert_array_equal(one, other)


def test_features_of_a_question_do_not_hang_on_the_others(knowledge: Knowledge) -> None:
    relations = Relations.of(knowledge, everything())
    rows, asked = numbered(*modules())
    some = np.arange(3, 40)
    every = features(rows, asked, relations)[some]
    np.testing.assert_allclose(features(rows, asked.where(some), relations), every, atol=1e-6)


def test_too_little_to_practise_on_leaves_the_fallback() -> None:
    train = questions(("k", "A", "X", UP), ("k", "B", "X", DOWN))
    rows = numbered(train, train.clear())[0]
    fallback = np.array([[0.2, 0.3, 0.5]])
    known = np.array([True, False])
    found = answer_practised(
        rows, known, fallback, lambda a, b: np.ones((1, 1)), logistic_regression
    )
    assert found.tolist() == fallback.tolist()


def test_knn_lr_answers_like_knn_with_too_little_to_learn(folder: Path) -> None:
    train = questions(("a", "P2", "G0", UP), ("a", "P4", "G0", DOWN))
    test = questions(("a", "P0", "G0", NOT_DE))
    assert knn_lr(train, test, Materials(folder)).equals(knn(train, test, Materials(folder)))


def test_logistic_learns_a_perturbation_in_another_line() -> None:
    rows = [(line, pert, gene, UP if pert == "A" else DOWN) for line in "kl" for pert in "ABCD"
            for gene in GENES if (line, pert) != ("k", "A")]  # fmt: skip
    table = logistic(questions(*rows), questions(("k", "A", "G0", UP)), Materials())
    assert table["p_up"][0] > table["p_down"][0]
