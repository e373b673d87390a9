"""Two systems side by side: paired differences, and how differently they were asked."""

from __future__ import annotations

import itertools
from typing import TYPE_CHECKING, Any, Final

from synthpert.scoring.intervals import difference, value_of

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping, Sequence

    from tools.score.systems import System

COMPARED: Final = (
    "de_auroc.per_gene",
    "direction_auroc.per_gene",
    "three_class.accuracy",
    "three_class.macro_f1",
)
_UNTOLD: Final = ("run", "version")
"""Differ between any two systems and say nothing of how they were asked."""


def compare(systems: Sequence[System], references: Sequence[System]) -> list[dict[str, Any]]:
    """Compare every pair of systems, and each system with every reference row.

    Args:
        systems: Scored.
        references: Scored.

    Returns:
        `one`, `other`, `reference` (whether the other is a reference row), `records_differ` (as
        `differing` has it; empty for a reference row) and `figures`: dotted name to `difference`.
    """
    pairs: Iterator[tuple[System, System]] = itertools.chain(
        itertools.combinations(systems, 2), itertools.product(systems, references)
    )
    return [
        {
            "one": one.name,
            "other": other.name,
            "reference": not other.paths,
            "records_differ": differing(one.record, other.record) if other.paths else {},
            "figures": {name: _difference(one, other, name) for name in COMPARED},
        }
        for one, other in pairs
    ]


def _difference(one: System, other: System, name: str) -> dict[str, float | None]:
    rounds = [system.rounds["all"][name] if system.rounds else None for system in (one, other)]
    values = [value_of(system.blocks["all"], name) for system in (one, other)]
    return difference(values[0], values[1], rounds[0], rounds[1])


def differing(one: Mapping[str, Any], other: Mapping[str, Any]) -> dict[str, list[Any]]:
    """What two records say differently.

    Args:
        one: The one's record, nested as it likes.
        other: The other's.

    Returns:
        Dotted name to both values; None for a value that one of them does not tell.
    """
    flat = [_flat(record) for record in (one, other)]
    names = dict.fromkeys([*flat[0], *flat[1]])
    return {
        name: [flat[0].get(name), flat[1].get(name)]
        for name in names
        if flat[0].get(name) != flat[1].get(name) and name not in _UNTOLD
    }


def _flat(record: Mapping[str, Any], above: str = "") -> dict[str, Any]:
    found: dict[str, Any] = {}
    for name, value in record.items():
        if isinstance(value, dict):
            found |= _flat(value, f"{above}{name}.")
        else:
            found[above + name] = value
    return found
