"""Intervals and differences, strata, the paper's protocol, calibration and abstention."""

from __future__ import annotations

import numpy as np
import polars as pl
import pytest
from sklearn.metrics import roc_auc_score

import synthpert.sample
from synthpert.knowledge import Knowledge
from synthpert.knowledge.sources import EdgeList
from synthpert.questions import LABEL_DTYPE, LABELS, read_questions, split_questions
from synthpert.questions.leakage import leakage
from synthpert.scoring.blocks import null_for_nan
from synthpert.scoring.calibration import BINS, reliability, retention
from synthpert.scoring.classes import three_class, three_class_each
from synthpert.scoring.intervals import difference, interval, value_of, with_intervals
from synthpert.scoring.paper import SUBSETS, score_as_paper
from synthpert.scoring.strata import by_facts, by_perturbation, by_train_rows

SPLIT = split_questions(read_questions(synthpert.sample.__path__[0]))


def test_an_interval_leaves_a_fortieth_on_either_side() -> None:
    assert interval(np.arange(1001) / 1000) == pytest.approx((0.025, 0.975))


def test_a_figure_that_does_not_exist_has_no_interval() -> None:
    assert interval(np.array([0.1, np.nan])) == (None, None)
    block = {"a": {"b": None}}
    assert with_intervals(block, {"a.b": np.ones(3)}) == {
        "a": {"b": {"value": None, "low": None, "high": None}}
    }


def test_counts_have_no_interval() -> None:
    block = {"n": 3, "x": 0.5}
    found = with_intervals(block, {"x": np.full(9, 0.5)})
    assert found == {"n": 3, "x": {"value": 0.5, "low": 0.5, "high": 0.5}}
    assert value_of(found, "x") == value_of(block, "x") == 0.5


def test_a_difference_that_never_changes_sides_is_as_sure_as_the_rounds_allow() -> None:
    one, other = np.linspace(0.6, 0.7, 99), np.linspace(0.5, 0.6, 99)
    found = difference(0.65, 0.55, one, other)
    assert found["difference"] == pytest.approx(0.1)
    assert found["low"] == pytest.approx(0.1)
    assert found["p"] == pytest.approx(2 / 100)


def test_equal_systems_do_not_differ() -> None:
    same = np.random.default_rng(0).random(50)
    assert difference(0.5, 0.5, same, same)["p"] == 1


def test_a_difference_without_rounds_is_not_sure() -> None:
    found = difference(0.6, 0.5, np.full(9, np.nan), np.full(9, 0.5))
    assert (found["low"], found["high"], found["p"]) == (None, None, None)


def test_without_intervals_a_difference_is_a_number() -> None:
    assert difference(0.5, 0.25, None, None)["difference"] == 0.25
    assert difference(None, 0.25, None, None)["difference"] is None


def test_the_strata_of_perturbations_agree_with_the_audit() -> None:
    masks, audit = by_perturbation(*SPLIT), leakage(*SPLIT).row(-1, named=True)
    assert masks["seen in another line"].sum() == audit["other_line"]
    assert masks["unseen anywhere"].sum() == audit["unseen"]
    assert "seen in the same line" not in masks


def test_a_perturbation_trained_on_in_the_row_s_own_line_has_a_stratum() -> None:
    train, _ = SPLIT
    assert by_perturbation(train, train[:5])["seen in the same line"].all()


def test_every_row_is_in_one_stratum_of_train_rows() -> None:
    masks = by_train_rows(*SPLIT)
    assert sum(mask.cast(pl.Int64) for mask in masks.values()).to_list() == [1] * len(SPLIT[1])


def test_an_unknown_gene_has_no_fact() -> None:
    edges = pl.DataFrame({"gene1": ["A"], "gene2": ["B"]})
    knowledge = Knowledge([EdgeList("edges", edges)])
    masks = by_facts(knowledge, pl.DataFrame({"gene": ["A", "NOGENE"]}))
    assert {name: mask.to_list() for name, mask in masks.items()} == {
        "0": [False, True],
        "1 to 10": [True, False],
    }


def answered(numbers: list[int | None], labels: list[int]) -> pl.DataFrame:
    answers = [None if number is None else LABELS[number] for number in numbers]
    return pl.DataFrame(
        {
            "cell_line": ["k562"] * len(labels),
            "label": pl.Series([LABELS[i] for i in labels], dtype=LABEL_DTYPE),
            "answer": pl.Series(answers, dtype=LABEL_DTYPE),
        }
    )


def test_the_papers_protocol_scores_hard_answers_pooled() -> None:
    rng = np.random.default_rng(0)
    labels = rng.integers(0, 3, 500).tolist()
    found = score_as_paper([answered(labels, labels)])
    assert found["k562"]["n"] == 100
    assert found["k562"]["de_auroc"] == {"pooled": {"mean": 1.0, "sd": 0.0}}
    assert found["k562"]["direction_auroc"] == {"pooled": {"mean": 1.0, "sd": 0.0}}
    assert "de_auroc" not in found["all"]


def test_in_the_papers_protocol_an_unread_answer_is_in_the_middle() -> None:
    labels = [0, 1, 2] * 100
    found = score_as_paper([answered([None] * 300, labels)])
    assert found["k562"]["de_auroc"]["pooled"] == {"mean": 0.5, "sd": 0.0}
    assert found["k562"]["three_class"]["accuracy"] == {"mean": 0.0, "sd": 0.0}


def test_the_subsets_are_the_same_for_every_system() -> None:
    labels = np.random.default_rng(1).integers(0, 3, 200).tolist()
    table = answered(labels[::-1], labels)
    assert score_as_paper([table]) == score_as_paper([table])
    assert score_as_paper([table]) != score_as_paper([table], seed=1)
    assert SUBSETS == 3


def test_the_papers_figures_of_several_seeds_are_over_all_of_them() -> None:
    labels = np.random.default_rng(1).integers(0, 3, 200).tolist()
    right, wrong = answered(labels, labels), answered([None] * 200, labels)
    accuracy = score_as_paper([right, wrong])["k562"]["three_class"]["accuracy"]
    assert accuracy == {"mean": 0.5, "sd": pytest.approx(np.std([1, 1, 1, 0, 0, 0], ddof=1))}


def test_the_papers_figures_are_of_the_drawn_rows_alone() -> None:
    rng = np.random.default_rng(4)
    labels, answers = rng.integers(0, 3, 100), rng.integers(0, 3, 100)
    found = score_as_paper([answered(answers.tolist(), labels.tolist())])["k562"]
    draw = np.random.default_rng([0, 100])
    areas = []
    for _ in range(3):
        rows = draw.choice(np.arange(100), 20, replace=False)
        areas.append(roc_auc_score(labels[rows] > 0, answers[rows] > 0))
    assert found["de_auroc"]["pooled"]["mean"] == pytest.approx(np.mean(areas), abs=1e-12)
    assert found["de_auroc"]["pooled"]["sd"] == pytest.approx(np.std(areas, ddof=1), abs=1e-12)


def test_reliability_bins_hold_every_row_once() -> None:
    rng = np.random.default_rng(2)
    p = rng.dirichlet(np.ones(3), 300)
    bins = reliability(p, rng.random(300) < 0.5)
    assert sum(each["n"] for each in bins) == 300
    assert len(bins) <= BINS
    assert all(each["low"] < each["confidence"] <= each["high"] for each in bins)


def test_abstention_keeps_the_surest_rows_and_ties_together() -> None:
    p = np.array([[0.9, 0.1, 0], [0.6, 0.4, 0], [0.6, 0.4, 0], [0.5, 0.5, 0]])
    right, told = np.array([True, True, False, False]), np.array([True, True, True, False])
    points = retention(p, right, told)
    assert [(each["n"], each["accuracy"]) for each in points] == [
        (3, pytest.approx(2 / 3)),
        (1, 1.0),
    ]
    assert points[0]["coverage"] == 0.75


def test_nobody_who_answers_nothing_has_a_point() -> None:
    p = np.full((3, 3), 1 / 3)
    assert retention(p, np.zeros(3, bool), np.zeros(3, bool)) == []


def test_many_confusion_matrices_are_scored_as_each_alone() -> None:
    each = np.random.default_rng(3).integers(0, 9, (20, 3, 4))
    together = three_class_each(each)
    for i, confusion in enumerate(each):
        alone = three_class(confusion)
        assert {name: values[i] for name, values in together.items()} == pytest.approx(alone)


def test_json_has_no_not_a_number() -> None:
    assert null_for_nan({"a": {"b": float("nan")}, "c": 1.0}) == {"a": {"b": None}, "c": 1.0}
