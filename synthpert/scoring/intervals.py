"""95 % intervals of figures and of differences, from the rounds of a bootstrap."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Final

import numpy as np

if TYPE_CHECKING:
    from collections.abc import Mapping

    from numpy.typing import NDArray

LEVEL: Final = 0.95
COUNTS: Final = ("n", "coverage", "unparsed", "n_genes", "n_rows")
"""What describes the rows that were scored, and has no interval."""


def interval(rounds: NDArray[np.float64]) -> tuple[float | None, float | None]:
    """The percentile interval.

    Args:
        rounds: Shape (R,), a figure in each round.

    Returns:
        Both ends; None where the figure does not exist.
    """
    if not len(rounds) or np.isnan(rounds).any():
        return None, None
    low, high = np.quantile(rounds, [(1 - LEVEL) / 2, (1 + LEVEL) / 2]).tolist()
    return low, high


def figure(value: float | None, rounds: NDArray[np.float64] | None) -> Any:  # noqa: ANN401
    """A figure as it stands in score.json.

    Args:
        value: The figure, None where it does not exist.
        rounds: Shape (R,), or None where intervals are switched off.

    Returns:
        `value` alone without rounds, else `{"value", "low", "high"}`.
    """
    if rounds is None:
        return value
    low, high = (None, None) if value is None else interval(rounds)
    return {"value": value, "low": low, "high": high}


def with_intervals(
    block: Mapping[str, Any], rounds: Mapping[str, NDArray[np.float64]] | None, above: str = ""
) -> dict[str, Any]:
    """A BLOCK with an interval at each figure.

    Args:
        block: As `score_block` returns it, or a part of it.
        rounds: As `Clusters.rounds` gives them for the same questions; None for no intervals.
        above: Of a part, its dotted name and a dot.

    Returns:
        The same with `figure` in place of each figure; counts stay numbers.
    """
    found: dict[str, Any] = {}
    for name, value in block.items():
        if isinstance(value, dict):
            found[name] = with_intervals(value, rounds, f"{above}{name}.")
        elif name in COUNTS or rounds is None:
            found[name] = value
        else:
            found[name] = figure(value, rounds[above + name])
    return found


def value_of(block: Mapping[str, Any], name: str) -> float | None:
    """A figure's value, with or without its interval.

    Args:
        block: A BLOCK, or a part of it.
        name: The figure's dotted name, such as `de_auroc.per_gene`.
    """
    value: Any = block
    for part in name.split("."):
        value = value[part]
    found: float | None = value["value"] if isinstance(value, dict) else value
    return found


def difference(
    one: float | None,
    other: float | None,
    one_rounds: NDArray[np.float64] | None,
    other_rounds: NDArray[np.float64] | None,
) -> dict[str, float | None]:
    """One system's figure less another's, paired: both in the same rounds.

    Args:
        one: The figure of the one.
        other: That of the other.
        one_rounds: Shape (R,), or None where intervals are switched off.
        other_rounds: The same for the other, drawn with the same weights.

    Returns:
        `difference`, its 95 % interval `low` and `high`, and `p`: twice the share of rounds on the
        rarer side of zero (a round at zero is on both), at least 2 / (R + 1) and at most 1. Like a
        two-sided p-value, and not corrected for how many comparisons are made. All but the first
        are None where a round has no figure.
    """
    if one is None or other is None:
        return {"difference": None, "low": None, "high": None, "p": None}
    if one_rounds is None or other_rounds is None:
        return {"difference": one - other, "low": None, "high": None, "p": None}
    each = one_rounds - other_rounds
    low, high = interval(each)
    if low is None:
        return {"difference": one - other, "low": None, "high": None, "p": None}
    rarer = min(np.count_nonzero(each <= 0), np.count_nonzero(each >= 0))
    p = min(1.0, 2 * (rarer + 1) / (len(each) + 1))
    return {"difference": one - other, "low": low, "high": high, "p": p}
