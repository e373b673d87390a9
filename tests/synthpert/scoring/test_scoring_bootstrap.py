"""The bootstrap over perturbations, held against a loop over rounds."""

from __future__ import annotations

from typing import Any

import numpy as np
import polars as pl
import pytest
from hypothesis import given
from hypothesis import strategies as st
from sklearn.metrics import roc_auc_score

from synthpert.questions import LABEL_DTYPE, LABELS
from synthpert.scoring import answer_questions, score_cells
from synthpert.scoring.auroc import group_areas
from synthpert.scoring.bootstrap import Clusters, draw_weights
from synthpert.scoring.wins import Contest, Pairs, pooled_wins


def random_answers(n: int, seed: int) -> pl.DataFrame:
    """Answered questions over two cell lines; some unread, many probabilities tied."""
    rng = np.random.default_rng(seed)
    cells = rng.choice(2 * 20 * 12, n, replace=False)
    labels = rng.choice(LABELS, n, p=[0.6, 0.2, 0.2])
    questions = pl.DataFrame(
        {
            "cell_line": [f"line{cell // 240}" for cell in cells],
            "pert": [f"P{cell // 12 % 20}" for cell in cells],
            "gene": [f"G{cell % 12}" for cell in cells],
            "label": pl.Series(labels, dtype=LABEL_DTYPE),
        }
    )
    p = rng.integers(1, 4, (n, 3)).astype(float)
    p /= p.sum(axis=1, keepdims=True)
    told = [None if rng.random() < 0.1 else LABELS[int(i)] for i in p.argmax(axis=1)]
    names = ("p_not_de", "p_up", "p_down")
    predictions = questions.with_columns(
        pl.Series("answer", told, dtype=LABEL_DTYPE),
        *(pl.Series(name, p[:, i]) for i, name in enumerate(names)),
    )
    return answer_questions(questions, predictions)


def flat(block: dict[str, Any], above: str = "") -> dict[str, float | None]:
    found: dict[str, float | None] = {}
    for name, value in block.items():
        nested = isinstance(value, dict)
        found |= flat(value, f"{above}{name}.") if nested else {above + name: value}
    return found


@given(st.integers(1, 300), st.integers(0, 50))
def test_equal_weights_give_every_figure_of_the_block(n: int, seed: int) -> None:
    table = random_answers(n, seed)
    perts = table["pert"].unique().sort()
    rounds = Clusters(table, perts).rounds(table, np.ones((len(perts), 1)))
    scores = score_cells(table)
    for cell, figures in rounds.items():
        block = flat(scores["all"] if cell == "all" else scores["cells"][cell])
        for name, each in figures.items():
            value = block[name] if block[name] is not None else float("nan")
            assert each[0] == pytest.approx(value, abs=1e-12, nan_ok=True)


def test_whole_weights_are_rows_that_stand_there_as_often() -> None:
    table = random_answers(300, 1)
    perts = table["pert"].unique().sort()
    weights = np.random.default_rng(2).integers(1, 4, (len(perts), 1)).astype(float)
    rounds = Clusters(table, perts).rounds(table, weights)["all"]
    times = dict(zip(perts, weights[:, 0].astype(int), strict=True))
    repeated = table.select(
        pl.all().repeat_by(pl.col("pert").replace_strict(times, return_dtype=pl.Int64)).explode()
    )
    block = flat(score_cells(repeated)["all"])
    for name in ("accuracy", "balanced_accuracy", "macro_f1", "mcc", "brier", "ece"):
        name = f"three_class.{name}"
        assert rounds[name][0] == pytest.approx(block[name], abs=1e-12)
    for name in ("de_auroc.pooled", "direction_auroc.pooled"):
        assert rounds[name][0] == pytest.approx(block[name], abs=1e-12)


def test_a_gene_s_pairs_weigh_the_products_of_their_weights() -> None:
    rng = np.random.default_rng(3)
    n, count = 60, 8
    genes, clusters = rng.integers(0, 5, n), rng.integers(0, count, n)
    positive, scores = rng.random(n) < 0.4, rng.integers(0, 4, n).astype(float)
    weights = rng.exponential(size=(count, 1))
    found = Contest.of(positive, genes, clusters, count).rounds(scores, weights)["per_gene"][0]
    above, below = 0.0, 0.0
    for gene in range(5):
        ups = np.flatnonzero((genes == gene) & positive)
        downs = np.flatnonzero((genes == gene) & ~positive)
        for i in ups:
            for j in downs:
                weight = float(weights[clusters[i], 0] * weights[clusters[j], 0])
                weight /= len(ups) * len(downs)
                above += weight * ((scores[i] > scores[j]) + 0.5 * (scores[i] == scores[j]))
                below += weight
    assert found == pytest.approx(above / below, abs=1e-12)


def test_pooled_wins_are_counted_by_cluster() -> None:
    scores = np.array([0.1, 0.5, 0.5, 0.9, 0.2])
    positive = np.array([False, True, False, True, False])
    wins = pooled_wins(scores, positive, np.array([0, 0, 1, 1, 1]), 2)
    assert wins.tolist() == [[1.0, 1.5], [1.0, 2.0]]


@pytest.mark.parametrize("positive", [[], [True, True], [False]])
def test_without_both_classes_there_is_no_pair(positive: list[bool]) -> None:
    n = len(positive)
    true, zeros = np.array(positive, bool), np.zeros(n, np.int64)
    assert not Pairs.of(true, zeros, zeros, 1).weight.size
    rounds = Contest.of(true, zeros, zeros, 1).rounds(np.zeros(n), np.ones((1, 2)))
    assert all(np.isnan(each).all() for each in rounds.values())


def test_the_same_seed_draws_the_same_weights() -> None:
    assert np.array_equal(draw_weights(5, 7), draw_weights(5, 7))
    assert not np.array_equal(draw_weights(5, 7), draw_weights(5, 7, seed=1))
    assert draw_weights(2000, 50).mean() == pytest.approx(1, abs=0.01)
    assert draw_weights(200, 50).min() > 0


def test_a_constant_score_is_one_half_in_every_round() -> None:
    table = random_answers(200, 4).with_columns(p_not_de=1 / 3, p_up=1 / 3, p_down=1 / 3)
    perts = table["pert"].unique()
    rounds = Clusters(table, perts).rounds(table, draw_weights(len(perts), 20))["all"]
    assert (rounds["de_auroc.per_gene"] == 0.5).all()


def test_answers_to_other_questions_are_refused() -> None:
    table = random_answers(50, 5)
    clusters = Clusters(table, table["pert"].unique())
    with pytest.raises(ValueError, match="49 rows for 50 questions"):
        clusters.rounds(table[:49], np.ones((20, 1)))


def test_group_areas_are_in_the_order_of_the_groups() -> None:
    rng = np.random.default_rng(6)
    groups, scores, labels = rng.integers(0, 9, 200), rng.random(200), rng.random(200) < 0.3
    found = group_areas(scores, labels, groups)
    for group, area, size in zip(found.groups, found.areas, found.sizes, strict=True):
        rows = groups == group
        assert rows.sum() == size
        assert area == pytest.approx(roc_auc_score(labels[rows], scores[rows]), abs=1e-12)


def simulated(rng: np.random.Generator, genes: np.ndarray) -> tuple[np.ndarray, ...]:
    """One drawing of perturbations: a benchmark of few rows a gene, with effects of both.

    A perturbation has a strength (how many genes it moves) and a taste (whom the system's scores
    favour), a gene its own rate and its own ease of prediction.
    """
    count, rows = 120, 9
    gene = np.repeat(np.arange(len(genes)), rows)
    pert = np.concatenate([rng.choice(count, rows, replace=False) for _ in genes])
    strength, taste = rng.normal(size=(2, count))
    rate, ease = genes.T
    positive = rate[gene] + 0.8 * strength[pert] + rng.normal(size=len(gene)) > 0
    scores = ease[gene] * positive + 0.7 * taste[pert] + rng.normal(size=len(gene))
    return positive, gene, pert, scores


def test_the_interval_per_gene_is_unbiased_and_covers() -> None:
    rng = np.random.default_rng(0)
    genes = rng.normal([-1.6, 0.6], [0.8, 0.4], (120, 2))
    weights = draw_weights(120, 400)
    values, middles, ends = [], [], []
    for _ in range(150):
        positive, gene, pert, scores = simulated(rng, genes)
        values.append(group_areas(scores, positive, gene).mean)
        rounds = Contest.of(positive, gene, pert, 120).rounds(scores, weights)["per_gene"]
        middles.append(rounds.mean())
        ends.append(np.quantile(rounds, [0.025, 0.975]))
    truth = np.mean(values)
    low, high = np.transpose(ends)
    # The spread over drawings is 0.03; 150 of them tell a share of 0.95 to within 0.035.
    assert abs(np.mean(middles) - truth) < 0.003
    assert 0.915 <= np.mean((low <= truth) & (truth <= high)) <= 0.995
