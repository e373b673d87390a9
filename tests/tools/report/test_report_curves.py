"""Curves: their areas are the figures they are named after."""

from __future__ import annotations

import numpy as np
import polars as pl
import pytest
from hypothesis import given
from hypothesis import strategies as st
from sklearn.metrics import precision_recall_curve, roc_auc_score

from synthpert.questions import LABEL_DTYPE, LABELS
from synthpert.scoring import grouped_auroc
from tools.report.curves import (
    Curve,
    Ranking,
    per_gene_chance,
    per_gene_roc,
    pooled_chance,
    pooled_roc,
    precision_recall,
    rank_de,
    rank_direction,
    share_positive,
    thin,
)


def ranking(n: int = 400, seed: int = 0, ties: int = 20) -> Ranking:
    rng = np.random.default_rng(seed)
    positive = rng.random(n) < 0.3
    scores = np.round((rng.random(n) + 0.3 * positive) * ties) / ties
    return Ranking(scores, positive, rng.integers(1, 30, n).astype(np.uint32))


def area(curve: Curve | None) -> float:
    assert curve is not None
    return float(np.trapezoid(curve.y, curve.x))


@given(st.integers(0, 10_000), st.sampled_from([2, 20, 10_000]))
def test_the_area_under_the_pooled_curve_is_the_pooled_auroc(seed: int, ties: int) -> None:
    told = ranking(120, seed, ties)
    assert area(pooled_roc(told)) == pytest.approx(
        roc_auc_score(told.positive, told.scores), abs=1e-9
    )


@given(st.integers(0, 10_000))
def test_the_area_under_the_mean_curve_is_the_per_gene_auroc(seed: int) -> None:
    told = ranking(seed=seed)
    expected = grouped_auroc(told.scores, told.positive, told.genes)[0]
    assert area(per_gene_roc(told)) == pytest.approx(expected, abs=0.01)


def test_the_per_gene_curve_of_chance_has_half_the_area() -> None:
    assert area(per_gene_chance(ranking())) == pytest.approx(0.5, abs=0.01)


def test_equal_scores_give_the_diagonal() -> None:
    told = ranking()._replace(scores=np.ones(400))
    curve = per_gene_roc(told)
    assert curve is not None
    np.testing.assert_allclose(curve.y, curve.x, atol=1e-9)


def test_precision_and_recall_are_scikit_learns() -> None:
    told = ranking(60)
    curve = precision_recall(told)
    precision, recall, _ = precision_recall_curve(told.positive, told.scores)
    assert curve is not None
    np.testing.assert_allclose(curve.y[1:][::-1], precision[:-1])
    np.testing.assert_allclose(curve.x[1:][::-1], recall[:-1])
    assert share_positive(told).y[0] == told.positive.mean()


def test_a_single_class_has_no_curve() -> None:
    told = ranking()._replace(positive=np.zeros(400, bool))
    assert pooled_roc(told) is None
    assert per_gene_roc(told) is None
    assert precision_recall(told) is None
    assert per_gene_chance(told).y.tolist() == pooled_chance(told).y.tolist()


def test_thinning_keeps_the_ends_and_hardly_moves_the_area() -> None:
    x = np.linspace(0, 1, 50_000)
    curve = thin(Curve(x, np.sqrt(x)), 100)
    assert len(curve.x) <= 100
    assert (curve.x[0], curve.x[-1]) == (0, 1)
    assert area(curve) == pytest.approx(2 / 3, abs=1e-3)


def test_the_direction_is_ranked_among_the_truly_changed_rows() -> None:
    labels = pl.Series("label", [label.value for label in LABELS], dtype=LABEL_DTYPE)
    table = pl.DataFrame({"gene": ["A", "B", "C"], "p_not_de": [0.2, 1.0, 0.6]}).with_columns(
        labels, p_up=pl.Series([0.8, 0.0, 0.1]), p_down=pl.Series([0.0, 0.0, 0.3])
    )
    assert rank_de(table).scores.tolist() == pytest.approx([0.8, 0.0, 0.4])
    told = rank_direction(table)
    assert told.scores.tolist() == pytest.approx([0.5, 0.25])
    assert told.positive.tolist() == [True, False]
