"""The curves behind the figures: ROC, precision and recall, reliability."""

from __future__ import annotations

from typing import TYPE_CHECKING, Final, NamedTuple

import numpy as np

from synthpert.predictions import PROBABILITIES
from synthpert.scoring.answered import direction_score, label_numbers

if TYPE_CHECKING:
    import polars as pl
    from numpy.typing import NDArray

MOST_POINTS: Final = 200
"""Of a drawn curve; more cannot be told apart in a picture of this size."""

_GRID: Final = (np.arange(200) + 0.5) / 200


class Ranking(NamedTuple):
    """Rows of one cell line, ranked for one task.

    Attributes:
        scores: Shape (N,), higher for the positive class.
        positive: Shape (N,).
        genes: Shape (N,), the target gene of each row as an integer.
    """

    scores: NDArray[np.float64]
    positive: NDArray[np.bool_]
    genes: NDArray[np.uint32]


class Curve(NamedTuple):
    """Points of a curve, from left to right."""

    x: NDArray[np.float64]
    y: NDArray[np.float64]


def rank_de(rows: pl.DataFrame) -> Ranking:
    """Differential expression: 1 - p_not_de, over all rows.

    Args:
        rows: Of one cell line: label, gene, p_not_de; as `answer_questions` returns them.
    """
    return Ranking(1 - rows["p_not_de"].to_numpy(), label_numbers(rows) != 0, _codes(rows))


def rank_direction(rows: pl.DataFrame) -> Ranking:
    """Direction: p_up / (p_up + p_down), or 0.5 where both are 0, over the truly changed rows.

    Args:
        rows: Of one cell line: label, gene, p_not_de, p_up, p_down.
    """
    rows = rows.filter(label_numbers(rows) != 0)
    score = direction_score(rows.select(PROBABILITIES).to_numpy())
    return Ranking(score, label_numbers(rows) == 1, _codes(rows))


def _codes(rows: pl.DataFrame) -> NDArray[np.uint32]:
    return rows["gene"].rank("dense").to_numpy()


def pooled_roc(ranking: Ranking) -> Curve | None:
    """All rows of a cell line ranked together; the area is the pooled AUROC.

    Returns:
        False positive rate and true positive rate; None where one class is missing.
    """
    found = _rates(ranking.scores, ranking.positive)
    return thin(Curve(*found)) if found is not None else None


def per_gene_roc(ranking: Ranking) -> Curve | None:
    """The mean, over the genes with both classes, of their ROC curves at each false positive rate.

    Vertical averaging (Fawcett 2006, doi:10.1016/j.patrec.2005.10.010): the area under the mean is
    the mean of the areas, which is PerturbQA's per-gene AUROC.

    Returns:
        False positive rate and mean true positive rate; None where no gene counts.
    """
    order = np.argsort(ranking.genes, kind="stable")
    starts = np.flatnonzero(np.diff(ranking.genes[order])) + 1
    heights = [
        np.interp(_GRID, *found)
        for rows in np.split(order, starts)
        if (found := _rates(ranking.scores[rows], ranking.positive[rows])) is not None
    ]
    if not heights:
        return None
    return Curve(np.r_[0.0, _GRID, 1.0], np.r_[0.0, np.mean(heights, axis=0), 1.0])


def pooled_chance(ranking: Ranking) -> Curve:
    """The ROC curve that a random order has in the mean: the diagonal."""
    return Curve(np.array([0.0, 1.0]), np.array([0.0, 1.0]))


def share_positive(ranking: Ranking) -> Curve:
    """The precision that a random order has in the mean, at every recall."""
    share = float(ranking.positive.mean()) if len(ranking.positive) else 0.0
    return Curve(np.array([0.0, 1.0]), np.array([share, share]))


def per_gene_chance(ranking: Ranking) -> Curve:
    """What `per_gene_roc` is in the mean over all orders, where no scores are equal.

    Of a gene with m negative rows it has m + 1 steps: between the k-th and the next negative row,
    the share (k + 1) / (m + 1) of the positive rows has come. The area is 0.5.
    """
    n = np.bincount(ranking.genes)
    hits = np.bincount(ranking.genes, weights=ranking.positive)
    negative = (n - hits)[(hits > 0) & (hits < n)]
    if not len(negative):
        return pooled_chance(ranking)
    steps = (np.floor(_GRID[:, None] * negative) + 1) / (negative + 1)
    return Curve(np.r_[0.0, _GRID, 1.0], np.r_[0.0, steps.mean(axis=1), 1.0])


def _rates(
    scores: NDArray[np.float64], positive: NDArray[np.bool_]
) -> tuple[NDArray[np.float64], NDArray[np.float64]] | None:
    """False and true positive rate at every distinct score, ties crossed in one oblique step."""
    n_positive = int(positive.sum())
    n_negative = len(positive) - n_positive
    if not n_positive or not n_negative:
        return None
    order = np.argsort(-scores, kind="stable")
    last_of_tie = np.flatnonzero(np.r_[np.diff(scores[order]) != 0, True])
    hits = np.cumsum(positive[order])[last_of_tie]
    misses = last_of_tie + 1 - hits
    return np.r_[0.0, misses / n_negative], np.r_[0.0, hits / n_positive]


def precision_recall(ranking: Ranking) -> Curve | None:
    """Recall and precision at every distinct score, all rows of a cell line ranked together.

    Returns:
        Recall and precision; None where no row is positive.
    """
    n_positive = int(ranking.positive.sum())
    if not n_positive:
        return None
    order = np.argsort(-ranking.scores, kind="stable")
    last_of_tie = np.flatnonzero(np.r_[np.diff(ranking.scores[order]) != 0, True])
    hits = np.cumsum(ranking.positive[order])[last_of_tie]
    precision, recall = hits / (last_of_tie + 1), hits / n_positive
    return thin(Curve(np.r_[0.0, recall], np.r_[precision[0], precision]))


def thin(curve: Curve, most: int = MOST_POINTS) -> Curve:
    """Keep at most so many points, evenly spread along the curve, its ends among them."""
    if len(curve.x) <= most:
        return curve
    steps = np.hypot(np.diff(curve.x), np.diff(curve.y))
    along = np.r_[0.0, np.cumsum(steps)]
    kept = np.unique(np.searchsorted(along, np.linspace(0, along[-1], most)))
    kept = np.unique(np.r_[0, kept.clip(max=len(curve.x) - 1), len(curve.x) - 1])
    return Curve(curve.x[kept], curve.y[kept])
