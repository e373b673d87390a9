"""Logistic regression and gradient boosting on features of neighbours."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np
import polars as pl

from synthpert.predictions import KEY, PROBABILITIES
from tools.baseline.features import Relations, features
from tools.baseline.knn import knn
from tools.baseline.practised import answer_practised, gradient_boosting, logistic_regression
from tools.baseline.rows import numbered, predictions

if TYPE_CHECKING:
    from numpy.typing import NDArray

    from tools.baseline.materials import Materials
    from tools.baseline.practised import Classifier


def knn_lr(train: pl.DataFrame, test: pl.DataFrame, materials: Materials) -> pl.DataFrame:
    """Logistic regression on rates of the gene, votes of neighbours and strength of the knockdown.

    One model tells differential expression and another, of the rows that show it, the direction.
    """
    return _answer(train, test, materials, logistic_regression)


def knn_gb(train: pl.DataFrame, test: pl.DataFrame, materials: Materials) -> pl.DataFrame:
    """Gradient boosting on the same features as `knn-lr`."""
    return _answer(train, test, materials, gradient_boosting)


def _answer(
    train: pl.DataFrame, test: pl.DataFrame, materials: Materials, classifier: Classifier
) -> pl.DataFrame:
    columns = [*KEY, "label"]
    every = pl.concat([train.select(columns), test.select(columns)])
    rows = numbered(every, every.clear())[0]
    relations = Relations.of(materials.knowledge, rows)

    def inputs(known: NDArray[np.bool_], asked: NDArray[np.bool_]) -> NDArray[np.float32]:
        return features(rows.where(known), rows.where(asked), relations)

    known = np.arange(len(rows)) < len(train)
    fallback = knn(train, test, materials).select(PROBABILITIES).to_numpy()
    return predictions(test, answer_practised(rows, known, fallback, inputs, classifier))
