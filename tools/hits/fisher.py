"""Fisher's exact test, one-sided, of many tables at once, and the correction for their number."""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

import numpy as np

if TYPE_CHECKING:
    from numpy.typing import NDArray

_NEGLIGIBLE: Final = 1e-17


def upper_tail(
    hits: NDArray[np.int64],
    size: NDArray[np.int64],
    called: NDArray[np.int64],
    background: NDArray[np.int64],
) -> NDArray[np.float64]:
    """The probability of this many genes of a set or more, drawn without replacement.

    The hypergeometric upper tail, which is Fisher's exact test against the one alternative of
    over-representation (Fisher 1935). `scipy.stats.hypergeom.sf` gives the same at 20 to 40 µs
    a table, and a screen has millions; here all are summed at once, each term from the one before.

    Args:
        hits: (tables,) genes of the set that are called, at least 1.
        size: (tables,) genes of the set in the background.
        called: (tables,) genes called.
        background: (tables,) genes asked about.

    Returns:
        (tables,) p, to about nine digits.
    """
    above = hits * background > size * called
    # Below the mean the rest is the shorter sum, and that of the genes outside the set.
    rest = np.where(above, hits, called - hits + 1)
    tail = _sum_up(rest, np.where(above, size, background - size), called, background)
    return np.clip(np.where(above, tail, 1 - tail), 0.0, 1.0)


def _sum_up(
    k: NDArray[np.int64], good: NDArray[np.int64], drawn: NDArray[np.int64], all_: NDArray[np.int64]
) -> NDArray[np.float64]:
    """The sum of the hypergeometric probabilities of k and more, where k is above the mean."""
    term = _probability(k, good, drawn, all_)
    total = term.copy()
    at = np.flatnonzero(k < np.minimum(good, drawn))
    term, k = term[at], k[at]
    while len(at):
        ratio = (good[at] - k) * (drawn[at] - k) / (k + 1)
        term = term * ratio / (all_[at] - good[at] - drawn[at] + k + 1)
        total[at] += term
        k = k + 1
        more = (k < np.minimum(good, drawn)[at]) & (term > _NEGLIGIBLE * total[at])
        at, term, k = at[more], term[more], k[more]
    return total


def _probability(
    k: NDArray[np.int64], good: NDArray[np.int64], drawn: NDArray[np.int64], all_: NDArray[np.int64]
) -> NDArray[np.float64]:
    """The hypergeometric probability of k; 0 where k cannot be."""
    from scipy.special import betaln

    bad = all_ - good
    possible = (k >= 0) & (k <= good) & (k <= drawn) & (drawn - k <= bad)
    inside = np.where(possible, k, np.maximum(0, drawn - bad))
    # Binomials by Euler's beta function: n over k is 1 / ((n + 1) B(k + 1, n - k + 1)).
    logarithm = (
        np.log1p(all_)
        - np.log1p(good)
        - np.log1p(bad)
        + betaln(drawn + 1, all_ - drawn + 1)
        - betaln(inside + 1, good - inside + 1)
        - betaln(drawn - inside + 1, bad - drawn + inside + 1)
    )
    probability: NDArray[np.float64] = np.where(possible, np.exp(logarithm), 0.0)
    return probability


def odds_ratio(
    hits: NDArray[np.int64],
    size: NDArray[np.int64],
    called: NDArray[np.int64],
    background: NDArray[np.int64],
) -> NDArray[np.float64]:
    """The odds ratio of each table as it stands.

    Args:
        hits: (tables,) genes of the set that are called.
        size: (tables,) genes of the set in the background.
        called: (tables,) genes called.
        background: (tables,) genes asked about.

    Returns:
        (tables,) infinite where all of the set is called, or nothing else is; not-a-number where
        no gene is outside both.
    """
    with np.errstate(divide="ignore", invalid="ignore"):
        corners = (background - size - called + hits) / ((size - hits) * (called - hits))
        ratio: NDArray[np.float64] = hits * corners
    return ratio


def false_discovery(p: NDArray[np.float64], tests: int) -> NDArray[np.float64]:
    """Benjamini and Hochberg (1995), with the tests that have p = 1 counted and not listed.

    Args:
        p: (rows,) of the tests listed.
        tests: How many were made, at least as many as rows.

    Returns:
        (rows,) q.
    """
    from scipy.stats import false_discovery_control

    if not len(p):
        return p
    # q is p * tests / rank, made monotone from the largest p down; scipy takes the tests to be
    # as many as the p. Those left out stand behind all others with q = 1.
    adjusted: NDArray[np.float64] = false_discovery_control(p) * (tests / len(p))
    return np.minimum(adjusted, 1.0)
