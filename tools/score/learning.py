"""Learning curves: scores by how many examples a student was trained on."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from synthpert.display import show
from tools.score.cells import text

if TYPE_CHECKING:
    from collections.abc import Iterable

    from tools.score.scoring import Scored
    from tools.score.systems import System

EXAMPLES = "train_examples"
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
            EXAMPLES: int(system.record[EXAMPLES]),
            "accuracy": system.blocks["all"]["three_class"]["accuracy"],
            "macro_f1": system.blocks["all"]["three_class"]["macro_f1"],
            "de_auroc_per_gene": system.blocks["all"]["de_auroc"]["per_gene"],
            "direction_auroc_per_gene": system.blocks["all"]["direction_auroc"]["per_gene"],
        }
        for system in systems
        if isinstance(system.record.get(EXAMPLES), int)
    ]
    rows.sort(key=lambda row: row[EXAMPLES])
    return rows if len({row[EXAMPLES] for row in rows}) > 1 else []


def show_learning(scored: Scored) -> None:
    """Show the learning curve, where there is one."""
    rows = learning_curve(scored.systems.values())
    if not rows:
        return
    header = ["training examples", "system", "accuracy", "macro-F1", "DE AUROC per gene"]
    show(
        "Learning curve: what more training examples bring",
        [*header, "direction AUROC per gene"],
        [
            [
                row[EXAMPLES],
                row["system"],
                *(text(row[name]) for name in ("accuracy", "macro_f1")),
                *(text(row[f"{what}_auroc_per_gene"]) for what in ("de", "direction")),
            ]
            for row in rows
        ],
        "The records of the files say how many examples each student was trained on; that they "
        "are alike otherwise is yours to know.",
    )
