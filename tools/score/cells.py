"""What the tables of `score` share: who stands in a row, and a figure in its cell."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Final

from synthpert.display import show

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping

    from tools.score.scoring import Scored
    from tools.score.systems import System

CLASS_NAMES: Final = {"not_de": "not DE", "up": "up", "down": "down"}
SHORT: Final = {
    "de_auroc.per_gene": "DE AUROC per gene",
    "direction_auroc.per_gene": "direction AUROC per gene",
    "three_class.accuracy": "accuracy",
    "three_class.macro_f1": "macro-F1",
}
"""The headline figures by their dotted names in a BLOCK."""
_TASKS: Final = ("de_auroc", "direction_auroc")


def everybody(scored: Scored) -> Iterator[tuple[str, System]]:
    """Systems and reference rows, each with the name that is shown.

    Args:
        scored: What was scored.
    """
    for name, system in scored.systems.items():
        seeds = len(system.tables)
        yield f"{name} (mean of {seeds} seeds)" if seeds > 1 else name, system
    for name, system in scored.references.items():
        yield f"{name} (reference)", system


def text(figure: Any) -> object:  # noqa: ANN401 - a figure of score.json
    """A figure and its interval in one cell.

    Args:
        figure: A number, `{"value", "low", "high"}`, or None.

    Returns:
        What `show` puts into a cell.
    """
    if not isinstance(figure, dict):
        return figure
    if figure["low"] is None:
        return figure["value"]
    return f"{figure['value']:.4f} [{figure['low']:.3f}, {figure['high']:.3f}]"


def show_parts(scored: Scored, attribute: str, title: str, caption: str) -> None:
    """Show the headline figures of each stratum.

    Args:
        scored: What was scored.
        attribute: Of `System`, which holds the strata.
        title: Above the table.
        caption: Below it.
    """
    rows = [
        [who, name, block["n"], *(block[task]["n_genes"] for task in _TASKS)]
        + [text(_at(block, each)) for each in SHORT]
        for who, system in everybody(scored)
        for name, block in getattr(system, attribute).items()
    ]
    if rows:
        header = ["system", "stratum", "n", "genes, DE", "genes, direction", *SHORT.values()]
        show(f"{title} ({scored.which})", header, rows, caption)


def _at(block: Mapping[str, Any], name: str) -> Any:  # noqa: ANN401
    found: Any = block
    for part in name.split("."):
        found = found[part]
    return found
