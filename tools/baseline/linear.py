"""Logistic regression on nothing but names: the least that a learned system must beat."""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

import numpy as np

from tools.baseline.rows import CLASSES, Rows, numbered, predictions

if TYPE_CHECKING:
    import polars as pl
    from numpy.typing import NDArray
    from scipy.sparse import csr_matrix
    from sklearn.linear_model import LogisticRegression

    from tools.baseline.materials import Materials

_PASSES: Final = 300


def logistic(train: pl.DataFrame, test: pl.DataFrame, materials: Materials) -> pl.DataFrame:
    """Three-class logistic regression on one-hot names.

    A weight for each cell line, perturbation, gene and gene in a cell line; a perturbation's is
    learned in the other lines, and an unseen name has none (scikit-learn's default C = 1).
    """
    from sklearn.linear_model import LogisticRegression

    rows, asked = numbered(train, test)
    if len(np.unique(rows.label)) == 1:
        return predictions(test, rows.shares()[asked.line])
    model = LogisticRegression(max_iter=_PASSES).fit(_one_hot(rows), rows.label)
    return predictions(test, probabilities(model, _one_hot(asked)))


def probabilities(
    model: LogisticRegression, inputs: csr_matrix | NDArray[np.float32]
) -> NDArray[np.float64]:
    """What a fitted model says of each label.

    Args:
        model: Fitted to numbers of labels, perhaps not to all three.
        inputs: (rows, features).

    Returns:
        (rows, 3), 0 for a label that it was not fitted to.
    """
    table = np.zeros((inputs.shape[0], CLASSES))
    table[:, model.classes_] = model.predict_proba(inputs)
    return table


def _one_hot(rows: Rows) -> csr_matrix:
    """(rows, names): line, perturbation, gene, gene in the line."""
    from scipy.sparse import csr_matrix

    lines, perts, genes = len(rows.lines), len(rows.perts), len(rows.genes)
    starts = np.cumsum([0, lines, perts, genes])
    names = (rows.line, rows.pert, rows.gene, rows.line * genes + rows.gene)
    columns = np.column_stack(names) + starts
    ends = np.arange(len(rows) + 1) * len(names)
    shape = (len(rows), int(starts[-1]) + lines * genes)
    return csr_matrix((np.ones(columns.size), columns.ravel(), ends), shape)
