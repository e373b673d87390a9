"""Models fitted on train questions that were answered out of fold."""

from __future__ import annotations

from collections.abc import Callable
from typing import TYPE_CHECKING, Any, Final

import numpy as np

from tools.baseline.folds import FOLDS, REGIMES, Regime, matching, practice
from tools.baseline.materials import shown

if TYPE_CHECKING:
    from numpy.typing import NDArray

    from tools.baseline.rows import Rows

    Inputs = Callable[[NDArray[np.bool_], NDArray[np.bool_]], NDArray[np.float32]]
    Classifier = Callable[[], Any]

_FEWEST: Final = 100
"""Practice rows below which no model is fitted."""


def answer_practised(
    rows: Rows,
    known: NDArray[np.bool_],
    fallback: NDArray[np.float64],
    inputs: Inputs,
    classifier: Classifier,
) -> NDArray[np.float64]:
    """Fit a model for each kind of question on train rows as poor as it, and answer.

    Args:
        rows: Train and test questions under the same names.
        known: (rows,) which are of the train split; no label of another is read.
        fallback: (test rows, 3), kept for a kind of question with too little to practise on.
        inputs: Features of the rows of the second mask from the rows of the first.
        classifier: Makes a scikit-learn classifier with `predict_proba`.

    Returns:
        (test rows, 3).
    """
    train = rows.where(known)
    places = np.flatnonzero(~known)
    answers = fallback.copy()
    for regime in REGIMES:
        mine = matching(train, rows.where(places), regime)
        if not mine.any():
            continue
        learned, labels = _practised(train, known, regime, inputs)
        if len(labels) >= _FEWEST and len(np.unique(labels)) == 3:
            asked = np.zeros(len(rows), bool)
            asked[places[mine]] = True
            answers[mine] = _fitted(classifier, learned, labels, inputs(known, asked))
    return answers


def _practised(
    train: Rows, known: NDArray[np.bool_], regime: Regime, inputs: Inputs
) -> tuple[NDArray[np.float32], NDArray[np.int64]]:
    """Features of train rows out of fold, and their labels."""
    learned, labels = [], []
    total = FOLDS if regime.line else len(np.unique(train.line)) * (1 if regime.pert else FOLDS)
    for kept, held_out in shown(practice(train, regime), "practice", total):
        masks = np.zeros((2, len(known)), bool)
        masks[:, known] = kept, held_out
        learned.append(inputs(masks[0], masks[1]))
        labels.append(train.label[held_out])
    if not labels:
        return np.empty((0, 0), np.float32), np.empty(0, np.int64)
    return np.concatenate(learned), np.concatenate(labels)


def _fitted(
    classifier: Classifier,
    learned: NDArray[np.float32],
    labels: NDArray[np.int64],
    wanted: NDArray[np.float32],
) -> NDArray[np.float64]:
    """(wanted, 3): differential expression by one model, direction by another."""
    changed = labels > 0
    tasks = [(learned, changed), (learned[changed], labels[changed] == 1)]
    fitted = [classifier().fit(*task) for task in shown(tasks, "models", len(tasks))]
    moves, up = (model.predict_proba(wanted)[:, 1] for model in fitted)
    return np.column_stack([1 - moves, moves * up, moves * (1 - up)])


def logistic_regression() -> Any:  # noqa: ANN401 - a pipeline's type says nothing of its steps
    """Logistic regression as scikit-learn has it, on standardised features."""
    from sklearn.linear_model import LogisticRegression
    from sklearn.pipeline import make_pipeline
    from sklearn.preprocessing import StandardScaler

    return make_pipeline(StandardScaler(), LogisticRegression(max_iter=1000))


def gradient_boosting() -> Any:  # noqa: ANN401 - the same type as above
    """100 trees of 31 leaves over histograms (Ke et al. 2017, LightGBM; scikit-learn's form)."""
    from sklearn.ensemble import HistGradientBoostingClassifier

    return HistGradientBoostingClassifier(
        min_samples_leaf=100, l2_regularization=1.0, early_stopping=False, random_state=0
    )
