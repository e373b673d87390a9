"""The three-class figures: everything that follows from a confusion matrix."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Final

import numpy as np

if TYPE_CHECKING:
    from numpy.typing import NDArray

    Numbers = NDArray[np.integer[Any]] | NDArray[np.floating[Any]]

CLASSES: Final = ("not_de", "up", "down")
"""The three classes in the order of `questions.LABELS`, as written in score.json."""
RATES: Final = ("precision", "recall", "f1")


def confusion_matrix(answers: NDArray[np.int64], labels: NDArray[np.int64]) -> NDArray[np.int64]:
    """Count answers against labels.

    Args:
        answers: Shape (N,), values 0, 1, 2, or -1 where no answer could be read.
        labels: Shape (N,), values 0, 1, 2.

    Returns:
        Shape (3, 4): a row per label, a column per answer; the last column is "no answer".
    """
    return np.bincount(confusion_cells(answers, labels), minlength=12).reshape(3, 4)


def confusion_cells(answers: NDArray[np.int64], labels: NDArray[np.int64]) -> NDArray[np.int64]:
    """The place of each row in a confusion matrix that is read row by row.

    Args:
        answers: Shape (N,), values -1 to 2.
        labels: Shape (N,), values 0 to 2.

    Returns:
        Shape (N,), values 0 to 11.
    """
    return labels * 4 + np.where(answers < 0, 3, answers)


def three_class(confusion: Numbers) -> dict[str, float]:
    """The three-class figures, equal to scikit-learn's with `zero_division=0`.

    "No answer" is a fourth predicted class that is never true: such a row is wrong, never dropped.
    Macro-F1 is over the three classes; balanced accuracy over those which occur among the labels.

    Args:
        confusion: Shape (3, 4), as `confusion_matrix` makes it.

    Returns:
        accuracy, balanced_accuracy, macro_f1, mcc, parse_rate, and precision, recall and f1 of
        each class as `not_de_precision` and so on. Without any row the rates are not-a-number.
    """
    return {name: float(values) for name, values in three_class_each(confusion).items()}


def three_class_each(confusion: Numbers) -> dict[str, NDArray[np.float64]]:
    """`three_class` of many (weighted) confusion matrices at once.

    Args:
        confusion: Shape (..., 3, 4).

    Returns:
        The figures of `three_class`, each of shape (...).
    """
    counts = np.asarray(confusion, np.float64)
    true, predicted = counts.sum(axis=-1), counts.sum(axis=-2)
    n = true.sum(axis=-1)
    hits = np.diagonal(counts[..., :3], axis1=-2, axis2=-1)
    parts = {
        "precision": _ratio(hits, predicted[..., :3]),
        "recall": _ratio(hits, true),
        "f1": _ratio(2 * hits, true + predicted[..., :3]),
    }
    occurring = np.maximum((true > 0).sum(axis=-1), 1)
    figures = {
        "accuracy": hits.sum(axis=-1) / np.maximum(n, np.finfo(float).tiny),
        "balanced_accuracy": parts["recall"].sum(axis=-1) / occurring,
        "macro_f1": parts["f1"].mean(axis=-1),
        "mcc": _mcc(n, hits.sum(axis=-1), true, predicted),
        "parse_rate": 1 - _ratio(predicted[..., 3], n),
    }
    figures = {name: np.where(n > 0, values, np.nan) for name, values in figures.items()}
    for i, name in enumerate(CLASSES):
        figures |= {f"{name}_{rate}": parts[rate][..., i] for rate in RATES}
    return figures


def _ratio(above: NDArray[np.float64], below: NDArray[np.float64]) -> NDArray[np.float64]:
    """Divide; zero where the denominator is zero."""
    return np.divide(above, below, out=np.zeros(np.shape(above)), where=below > 0)


def _mcc(
    n: NDArray[np.float64],
    hits: NDArray[np.float64],
    true: NDArray[np.float64],
    predicted: NDArray[np.float64],
) -> NDArray[np.float64]:
    """Matthews correlation for several classes, Gorodkin 2004; 0 where it is undefined."""
    # Products of counts are exact in float64 up to ninety million rows.
    spread_true = n * n - (true * true).sum(axis=-1)
    spread_predicted = n * n - (predicted * predicted).sum(axis=-1)
    together = n * hits - (true * predicted[..., :3]).sum(axis=-1)
    # Weights leave a rounding error where a single class should give zero.
    defined = np.minimum(spread_true, spread_predicted) > 1e-12 * n * n
    below = np.sqrt(np.maximum(spread_true, 0)) * np.sqrt(np.maximum(spread_predicted, 0))
    found: NDArray[np.float64] = np.divide(
        together, below, out=np.zeros(np.shape(together)), where=defined
    )
    return found
