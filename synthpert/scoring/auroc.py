"""The area under the ROC curve: over all rows, or within groups such as genes, and averaged."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np

if TYPE_CHECKING:
    from numpy.typing import NDArray


@dataclass(frozen=True, slots=True)
class GroupAreas:
    """The AUROC within each group, in the order of the groups' numbers.

    Attributes:
        areas: Shape (G,), of the groups that have both classes.
        groups: Shape (G,), their numbers.
        sizes: Shape (G,), how many rows each has.
    """

    areas: NDArray[np.float64]
    groups: NDArray[np.integer[Any]]
    sizes: NDArray[np.int64]

    @property
    def mean(self) -> float:
        """Over the groups, each counting the same; not-a-number where there is none."""
        return float(self.areas.mean()) if len(self.areas) else float("nan")


def auroc(scores: NDArray[np.float64], labels: NDArray[np.bool_]) -> float:
    """The area under the ROC curve over all rows; ties count half.

    Args:
        scores: Shape (N,), higher for the positive class.
        labels: Shape (N,), true for the positive class.

    Returns:
        A number in [0, 1], or not-a-number where only one class (or no row) is there.
    """
    return group_areas(scores, labels, np.zeros(len(scores), dtype=np.int64)).mean


def grouped_auroc(
    scores: NDArray[np.float64], labels: NDArray[np.bool_], groups: NDArray[np.integer[Any]]
) -> tuple[float, int, int]:
    """The mean over groups of the AUROC within each; see `group_areas`.

    Args:
        scores: Shape (N,), higher for the positive class.
        labels: Shape (N,), true for the positive class.
        groups: Shape (N,), the group of each row as a non-negative integer.

    Returns:
        The mean (not-a-number where no group counts), the number of groups which count, and the
        number of rows in them.
    """
    found = group_areas(scores, labels, groups)
    return found.mean, len(found.areas), int(found.sizes.sum())


def group_areas(
    scores: NDArray[np.float64], labels: NDArray[np.bool_], groups: NDArray[np.integer[Any]]
) -> GroupAreas:
    """The AUROC within each group; ties count half.

    Groups with one class only have no AUROC and are skipped, as PerturbQA's own `auc_per_gene`
    does (genentech/PerturbQA, perturbqa/eval.py). It is the Mann-Whitney statistic: the ranks of
    the positive rows within their group, tied rows sharing their mean rank.

    Args:
        scores: Shape (N,), higher for the positive class.
        labels: Shape (N,), true for the positive class.
        groups: Shape (N,), the group of each row as a non-negative integer.

    Raises:
        ValueError: If a score is not a number, since it could not be ranked.
    """
    if np.isnan(scores).any():
        raise ValueError("scores must be numbers: a NaN cannot be ranked")
    if not len(scores):
        return GroupAreas(np.empty(0), np.empty(0, np.int64), np.empty(0, np.int64))
    order = np.lexsort((scores, groups))
    score, group, positive = scores[order], groups[order], np.asarray(labels, bool)[order]
    new_group = np.r_[True, group[1:] != group[:-1]]
    new_tie = new_group | np.r_[True, score[1:] != score[:-1]]
    tie, place = np.cumsum(new_tie) - 1, np.cumsum(new_group) - 1
    start = np.flatnonzero(new_tie)
    size = np.diff(np.r_[start, len(score)])
    rank = (start + (size + 1) / 2)[tie] - np.flatnonzero(new_group)[place]
    n = np.bincount(place)
    n_positive = np.bincount(place, weights=positive)
    rank_sum = np.bincount(place, weights=np.where(positive, rank, 0.0))
    counted = (n_positive > 0) & (n_positive < n)
    n, n_positive, rank_sum = n[counted], n_positive[counted], rank_sum[counted]
    wins = rank_sum - n_positive * (n_positive + 1) / 2
    areas = wins / (n_positive * (n - n_positive))
    return GroupAreas(areas, group[new_group][counted], n)
