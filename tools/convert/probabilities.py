"""A predicted change as three probabilities that keep its order."""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

import numpy as np
import polars as pl

from synthpert.predictions import PROBABILITIES

if TYPE_CHECKING:
    from numpy.typing import NDArray

_STEEPNESS: Final = 2.0


def fit_threshold(changes: pl.Series, share: float) -> float:
    """The absolute change that is exceeded as often as train rows are differentially expressed.

    Args:
        changes: All that the file predicts for the cell line, null where it does not.
        share: Of train rows that are differentially expressed; no label of a test row is used.

    Returns:
        A number above 0; 1 where nothing changes.
    """
    sizes = changes.drop_nulls().abs()
    if not (sizes > 0).any():
        return 1.0
    found = float(np.quantile(sizes.to_numpy(), 1 - share))
    # Where most genes do not change at all, every change counts.
    return found or float(sizes.filter(sizes > 0).to_numpy().min())


def to_probabilities(changes: NDArray[np.float64], threshold: float) -> list[pl.Series]:
    """Order-keeping probabilities.

    The logits of not DE, up and down are a, a t and - a t, where t = 2 u / (1 + |u|) and u is the
    change in units of the threshold: 1 - p_not_de grows with the absolute change,
    p_up / (p_up + p_down) with the signed one, and the most probable class is a change just where
    the absolute change exceeds the threshold. t is bounded so that large changes do not tie.

    Args:
        changes: Shape (N,).
        threshold: Above 0.

    Returns:
        p_not_de, p_up and p_down, each of shape (N,).
    """
    # Not by the change in units of the threshold, which may be too large a number.
    bent = 2 * (changes / (threshold + np.abs(changes)))
    logits = _STEEPNESS * np.stack([np.ones_like(bent), bent, -bent])
    weights = np.exp(logits)
    shares = weights / weights.sum(axis=0)
    return [pl.Series(name, share) for name, share in zip(PROBABILITIES, shares, strict=True)]
