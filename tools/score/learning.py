"""Learning curves: scores by how many examples a student was trained on."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from collections.abc import Iterable

    from tools.score.systems import System

TRAINED_ON = "train_examples"
"""Under this name a record says how many examples (traces or tuples) its student trained on."""


def learning_curve(systems: Iterable[System]) -> list[dict[str, Any]]:
    """Put the systems whose records tell it into the order of their training examples.

    Args:
        systems: Scored.

    Returns:
        A row each: system, train_examples, and the figures of all cell lines as in score.json;
        none where fewer than two different counts are there to compare.
    """
    rows = [
        {
            "system": system.name,
            TRAINED_ON: int(system.record[TRAINED_ON]),
            "accuracy": system.blocks["all"]["three_class"]["accuracy"],
            "macro_f1": system.blocks["all"]["three_class"]["macro_f1"],
            "de_auroc_per_gene": system.blocks["all"]["de_auroc"]["per_gene"],
            "direction_auroc_per_gene": system.blocks["all"]["direction_auroc"]["per_gene"],
        }
        for system in systems
        if isinstance(system.record.get(TRAINED_ON), int)
    ]
    rows.sort(key=lambda row: row[TRAINED_ON])
    return rows if len({row[TRAINED_ON] for row in rows}) > 1 else []
