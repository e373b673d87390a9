"""Whether probabilities mean what they say, and what is gained by leaving the unsure out."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Final

import numpy as np

if TYPE_CHECKING:
    from numpy.typing import NDArray

BINS: Final = 15
"""Of equal width, each open below and closed above (Guo et al. 2017, arXiv:1706.04599)."""
KEPT_SHARES: Final = (1.0, 0.95, 0.9, 0.8, 0.7, 0.6, 0.5, 0.4, 0.3, 0.2, 0.1)


def brier(probabilities: NDArray[np.float64], labels: NDArray[np.int64]) -> float:
    """The multi-class Brier score: the mean over rows of the summed squared differences.

    Args:
        probabilities: Shape (N, 3).
        labels: Shape (N,), values 0, 1, 2.

    Returns:
        A number in [0, 2], 0 the best; not-a-number without any row.
    """
    if not len(labels):
        return float("nan")
    return float(squared_differences(probabilities, labels).mean())


def squared_differences(
    probabilities: NDArray[np.float64], labels: NDArray[np.int64]
) -> NDArray[np.float64]:
    """Each row's part of the Brier score.

    Args:
        probabilities: Shape (N, 3).
        labels: Shape (N,), values 0, 1, 2.

    Returns:
        Shape (N,), from 0 to 2.
    """
    differences = probabilities.copy()
    differences[np.arange(len(labels)), labels] -= 1
    squared: NDArray[np.float64] = np.einsum("ij,ij->i", differences, differences)
    return squared


def confidence_bins(confidence: NDArray[np.float64]) -> NDArray[np.int64]:
    """The bin of each row's highest probability.

    Args:
        confidence: Shape (N,), from 0 to 1.

    Returns:
        Shape (N,), from 0 to `BINS` - 1.
    """
    inner = np.arange(1, BINS) / BINS
    return np.searchsorted(inner, confidence, side="left")


def expected_calibration_error(
    probabilities: NDArray[np.float64], correct: NDArray[np.bool_]
) -> float:
    """How far the highest probability is from the share of rows that are right, on average.

    Over `BINS` bins, weighted by their rows (Guo et al. 2017, arXiv:1706.04599).

    Args:
        probabilities: Shape (N, 3); the highest of a row is its confidence.
        correct: Shape (N,), whether the most probable class is the true one.

    Returns:
        A number in [0, 1], 0 the best; not-a-number without any row.
    """
    if not len(correct):
        return float("nan")
    confidence = probabilities.max(axis=1)
    gap = np.bincount(confidence_bins(confidence), weights=confidence - correct)
    return float(np.abs(gap).sum() / len(correct))


def reliability(
    probabilities: NDArray[np.float64], correct: NDArray[np.bool_]
) -> list[dict[str, Any]]:
    """The bins of a reliability plot.

    Args:
        probabilities: Shape (N, 3).
        correct: Shape (N,), whether the most probable class is the true one.

    Returns:
        One a bin that has rows: `low` (open) and `high` (closed), `n`, the mean `confidence` and
        the `accuracy`.
    """
    confidence = probabilities.max(axis=1)
    place = confidence_bins(confidence)
    n = np.bincount(place, minlength=BINS)
    sure = np.bincount(place, weights=confidence, minlength=BINS)
    right = np.bincount(place, weights=correct, minlength=BINS)
    return [
        {
            "low": i / BINS,
            "high": (i + 1) / BINS,
            "n": int(n[i]),
            "confidence": float(sure[i] / n[i]),
            "accuracy": float(right[i] / n[i]),
        }
        for i in np.flatnonzero(n).tolist()
    ]


def retention(
    probabilities: NDArray[np.float64], correct: NDArray[np.bool_], answered: NDArray[np.bool_]
) -> list[dict[str, Any]]:
    """Coverage against accuracy, were the least confident rows left unanswered.

    The rows are kept in the order of their highest probability (El-Yaniv and Wiener 2010). Rows
    of equal confidence cannot be told apart and are kept or left together, so that the kept
    share may be larger than asked; with hard answers all answered rows are kept.

    Args:
        probabilities: Shape (N, 3).
        correct: Shape (N,), whether the answer is the true one.
        answered: Shape (N,), whether there is an answer; a row without is never kept.

    Returns:
        For each of `KEPT_SHARES` that differs from the last: `coverage`, the share of all rows
        that is kept, `n`, their `accuracy` and the `least` confidence among them.
    """
    confidence = probabilities.max(axis=1)[answered]
    order = np.argsort(-confidence, kind="stable")
    confidence, right = confidence[order], np.cumsum(correct[answered][order])
    # The last row of each group of equal confidence.
    ends = np.flatnonzero(np.r_[confidence[1:] != confidence[:-1], len(confidence) > 0])
    found: dict[int, dict[str, Any]] = {}
    for share in KEPT_SHARES:
        wanted = min(round(share * len(correct)), len(confidence))
        if not wanted:
            continue
        end = int(ends[np.searchsorted(ends, wanted - 1)])
        found[end] = {
            "coverage": (end + 1) / len(correct),
            "n": end + 1,
            "accuracy": float(right[end] / (end + 1)),
            "least": float(confidence[end]),
        }
    return list(found.values())
