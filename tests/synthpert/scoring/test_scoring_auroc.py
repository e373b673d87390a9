"""The AUROC, held against scikit-learn's."""

from __future__ import annotations

import math

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from sklearn.metrics import roc_auc_score

from synthpert.scoring import auroc, grouped_auroc

# Few distinct scores, so that most rows are tied with another one.
ROWS = st.lists(
    st.tuples(st.sampled_from([0.0, 0.25, 1 / 3, 0.5, 1.0]), st.booleans(), st.integers(0, 4)),
    min_size=1,
    max_size=60,
)


def columns(rows: list[tuple[float, bool, int]]) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    scores, labels, groups = zip(*rows, strict=True)
    return np.array(scores), np.array(labels), np.array(groups)


def loop_over_groups(
    scores: np.ndarray, labels: np.ndarray, groups: np.ndarray
) -> tuple[list[float], int]:
    areas, n_rows = [], 0
    for group in set(groups.tolist()):
        rows = groups == group
        if 0 < labels[rows].sum() < rows.sum():
            areas.append(float(roc_auc_score(labels[rows], scores[rows])))
            n_rows += int(rows.sum())
    return areas, n_rows


@given(ROWS)
@settings(deadline=None)
def test_grouped_auroc_equals_a_loop_over_scikit_learn(rows: list[tuple[float, bool, int]]) -> None:
    scores, labels, groups = columns(rows)
    areas, n_rows = loop_over_groups(scores, labels, groups)
    value, n_groups, counted = grouped_auroc(scores, labels, groups)
    assert (n_groups, counted) == (len(areas), n_rows)
    if areas:
        assert value == pytest.approx(np.mean(areas), abs=1e-12)
    else:
        assert math.isnan(value)


@given(ROWS)
@settings(deadline=None)
def test_turning_the_scores_around_turns_the_auroc_around(
    rows: list[tuple[float, bool, int]],
) -> None:
    scores, labels, _ = columns(rows)
    if 0 < labels.sum() < len(labels):
        assert auroc(scores, labels) + auroc(-scores, labels) == pytest.approx(1, abs=1e-12)


def test_auroc_equals_scikit_learn_on_many_rows() -> None:
    rng = np.random.default_rng(0)
    labels = rng.random(50_000) < 0.1
    scores = np.round(rng.random(50_000) + 0.2 * labels, 3)
    assert auroc(scores, labels) == pytest.approx(roc_auc_score(labels, scores), abs=1e-12)


def test_ties_count_half() -> None:
    assert auroc(np.full(7, 0.3), np.arange(7) < 2) == 0.5


def test_one_class_has_no_auroc() -> None:
    assert math.isnan(auroc(np.array([0.1, 0.9]), np.array([True, True])))


def test_no_row_has_no_auroc() -> None:
    value, n_groups, n_rows = grouped_auroc(np.empty(0), np.empty(0, bool), np.empty(0, int))
    assert math.isnan(value)
    assert (n_groups, n_rows) == (0, 0)


def test_a_score_that_is_not_a_number_is_refused() -> None:
    with pytest.raises(ValueError, match="cannot be ranked"):
        auroc(np.array([0.1, np.nan]), np.array([True, False]))
