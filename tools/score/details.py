"""The tables of `score` beyond the headline: `--details`, and the paper's protocol."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Final

from synthpert.display import show
from synthpert.scoring.paper import TITLE
from tools.score.cells import CLASS_NAMES, everybody, show_parts, text
from tools.score.learning import TRAINED_ON, learning_curve

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from tools.score.scoring import Scored

PER_CLASS: Final = {"precision": "prec.", "recall": "recall", "f1": "F1"}
_SEEDS: Final = " Of several seeds: over the subsets of them all."
_PAPER: Final = {
    "de_auroc": "Score: 1 for up or down, 0 for not DE, 0.5 unread. Not comparable with the "
    "per-gene AUROC of PerturbQA.",
    "direction_auroc": "Truly differentially expressed rows. Score: 1 for up, 0 for down, 0.5 for "
    "not DE or unread. Not comparable with the per-gene AUROC of PerturbQA.",
}


def show_details(
    what: str,
    first: list[str],
    rows: Sequence[tuple[list[str], dict[str, Any]]],
    scored: Scored,
) -> None:
    """Show each class, confusion, calibration, abstention, and how well genes are known.

    Args:
        what: The split, for the titles.
        first: The names of the columns that say who.
        rows: Who, and its BLOCK.
        scored: What was scored.
    """
    names = [f"{name} {rate}" for name in CLASS_NAMES.values() for rate in PER_CLASS.values()]
    classes = [
        [
            *who,
            *(text(block["three_class"][name][rate]) for name in CLASS_NAMES for rate in PER_CLASS),
        ]
        for who, block in rows
    ]
    show(
        f"Each class ({what})",
        [*first, *names],
        classes,
        "0 where a class is never answered.",
    )
    sure = [
        [*who, *(text(block["three_class"][name]) for name in ("brier", "ece"))]
        for who, block in rows
    ]
    caption = "Both best at 0. ECE: 15 bins of equal width of the highest probability."
    header = [*first, "Brier score (0 to 2)", "expected calibration error"]
    show(f"Calibration ({what})", header, sure, caption)
    _show_confusion(what, scored)
    _show_retention(what, scored)
    show_parts(
        scored,
        "by_train_rows",
        "How well a gene is known: its train rows in the same cell line",
        "Per gene, a stratum holds whole genes of a cell line.",
    )
    show_parts(
        scored,
        "by_facts",
        "How well a gene is known: gene sets and network neighbours of it",
        "Counted in the knowledge files.",
    )


def _show_confusion(what: str, scored: Scored) -> None:
    rows = [
        [who, label, *counts]
        for who, system in everybody(scored)
        if system.paths
        for label, counts in zip(CLASS_NAMES.values(), system.confusion["all"], strict=True)
    ]
    header = [
        "system",
        "label",
        *(f"answered {name}" for name in CLASS_NAMES.values()),
        "unread",
    ]
    show(f"Confusion, all cell lines ({what})", header, rows)


def _show_retention(what: str, scored: Scored) -> None:
    rows = [
        [who, point["coverage"], point["n"], point["accuracy"], point["least"]]
        for who, system in everybody(scored)
        if system.paths
        for point in system.retention["all"]
    ]
    show(
        f"Accuracy were the least sure left unanswered ({what})",
        ["system", "kept share", "rows", "accuracy", "least probability"],
        rows,
        "Rows are kept by their highest probability; equal ones together. All cell lines.",
    )


def show_paper(scored: Scored) -> None:
    """Show the SynthPert paper's protocol, named so in every title.

    Args:
        scored: Scored with `protocol="synthpert"`.
    """
    lines = [name for name in next(iter(scored.systems.values())).paper if name != "all"]
    for task, key in (
        ("differential expression", "de_auroc"),
        ("direction", "direction_auroc"),
    ):
        rows = [
            [who, *(_spread(system.paper[line][key]["pooled"]) for line in lines)]
            for who, system in everybody(scored)
        ]
        show(f"Pooled AUROC of {task} ({TITLE})", ["system", *lines], rows, _PAPER[key] + _SEEDS)
    rows = []
    for who, system in everybody(scored):
        three = system.paper["all"]["three_class"]
        f1 = [_spread(three[name]["f1"]) for name in CLASS_NAMES]
        rows.append([who, _spread(three["accuracy"]), _spread(three["macro_f1"]), *f1])
    header = [
        "system",
        "accuracy",
        "macro-F1",
        *(f"{name} F1" for name in CLASS_NAMES.values()),
    ]
    show(f"Three classes ({TITLE})", header, rows, f"All cell lines.{_SEEDS}")


def _spread(figure: Mapping[str, float] | None) -> str | None:
    return None if figure is None else f"{figure['mean']:.3f} ± {figure['sd']:.3f}"


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
                row[TRAINED_ON],
                row["system"],
                *(text(row[name]) for name in ("accuracy", "macro_f1")),
                *(text(row[f"{what}_auroc_per_gene"]) for what in ("de", "direction")),
            ]
            for row in rows
        ],
        "The records of the files say how many examples each student was trained on; that they "
        "are alike otherwise is yours to know.",
    )
