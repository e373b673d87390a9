"""The tables that `score` shows: the headline first."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Final

from rich.console import Console

from synthpert.display import show
from synthpert.scoring.intervals import value_of
from tools.score.cells import SHORT, everybody, show_parts, text
from tools.score.comparing import COMPARED
from tools.score.details import show_details, show_learning

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping, Sequence

    from tools.score.scoring import Scored
    from tools.score.systems import System

AUROC_HEADER: Final = (
    "per gene (official)",
    "pooled",
    "per perturbation",
    "genes counted",
    "rows counted",
)
_RATES: Final = ("accuracy", "balanced_accuracy", "macro_f1", "mcc")
_LONGEST: Final = 60


def show_scores(scored: Scored, *, per_cell: bool, details: bool) -> None:
    """Show the tables of the official protocol.

    Args:
        scored: What was scored.
        per_cell: Also a row for each cell line.
        details: Also each class, confusion, calibration, abstention, and how well genes are known.
    """
    what = scored.which
    show_cautions(scored)
    rows = list(_blocks(scored, per_cell=per_cell))
    first = ["system", "cell line"] if per_cell else ["system"]
    _show_three_class(what, first, rows, scored)
    _show_aurocs(what, first, rows, scored)
    _show_seeds(scored)
    show_parts(
        scored,
        "strata",
        "Strata: what training has seen of the perturbation",
        "All cell lines; each stratum is scored by itself.",
    )
    if details:
        show_details(what, first, rows, scored)
    show_learning(scored)
    _show_comparisons(scored)
    show_leakage(scored)


def _blocks(scored: Scored, *, per_cell: bool) -> Iterator[tuple[list[str], dict[str, Any]]]:
    for who, system in everybody(scored):
        cells = [cell for cell in system.blocks if cell != "all"] if per_cell else []
        for cell in ["all", *cells]:
            yield ([who, cell] if per_cell else [who]), system.blocks[cell]


def _intervals(scored: Scored) -> str:
    if not scored.rounds:
        return "Intervals are switched off."
    return f"[95 % interval: {scored.rounds:,} bootstrap rounds over perturbations]."


def _show_three_class(
    what: str,
    first: list[str],
    rows: Sequence[tuple[list[str], dict[str, Any]]],
    scored: Scored,
) -> None:
    show(
        f"Three classes ({what})",
        [
            *first,
            "n",
            "coverage",
            "unread",
            "accuracy",
            "balanced accuracy",
            "macro-F1",
            "MCC",
        ],
        [
            [*who, block["n"], block["coverage"], block["unparsed"]]
            + [text(block["three_class"][rate]) for rate in _RATES]
            for who, block in rows
        ],
        f"A question unread or not in the file is wrong, never left out. {_intervals(scored)}",
    )


def _show_aurocs(
    what: str,
    first: list[str],
    rows: Sequence[tuple[list[str], dict[str, Any]]],
    scored: Scored,
) -> None:
    from tools.score.scoring import PROTOCOL

    hard = [name for name, system in everybody(scored) if not system.soft]
    single = f" Hard answers, hence one operating point: {', '.join(hard)}." if hard else ""
    for task, key in (
        ("differential expression", "de_auroc"),
        ("direction", "direction_auroc"),
    ):
        show(
            f"AUROC of {task} ({what})",
            [*first, *AUROC_HEADER],
            [[*who, *map(text, block[key].values())] for who, block in rows],
            f"Score: {PROTOCOL[key]}. Ranked within each cell line; over all lines, their mean. "
            "Per gene, only genes with both classes count. No answer: 1/3 per class. Ties count "
            f"half.{single}",
        )


def _show_comparisons(scored: Scored) -> None:
    # Not of the reference rows: a file may be called as one of them is.
    names = {system.name: who for who, system in everybody(scored) if system.paths}
    console = Console()
    for pair in scored.comparisons:
        if pair["records_differ"]:
            line = f"{pair['one']} and {pair['other']} were not made alike: "
            line += "; ".join(
                f"{name} {_short(values[0])} | {_short(values[1])}"
                for name, values in pair["records_differ"].items()
            )
            console.print(line, markup=False, highlight=False, soft_wrap=True)
            console.print()
    rows = []
    for pair in scored.comparisons:
        figures = [_difference(pair["figures"][name]) for name in COMPARED]
        other = f"{pair['other']} (reference)" if pair["reference"] else names[pair["other"]]
        rows.append([names[pair["one"]], other, *figures])
    show(
        f"Differences: system less other ({scored.which})",
        ["system", "other", *(SHORT[name] for name in COMPARED)],
        rows,
        "Paired: both in the same bootstrap rounds over perturbations. p: twice the share of "
        "rounds on the rarer side of zero; not corrected for the number of comparisons.",
    )


def _show_seeds(scored: Scored) -> None:
    rows = [
        [who, *(_mean_and_sd(system, name) for name in SHORT)]
        for who, system in everybody(scored)
        if system.spread
    ]
    if rows:
        show(
            f"Seeds: mean ± standard deviation over seeds ({scored.which})",
            ["system", *SHORT.values()],
            rows,
            "The intervals above and the tests below are of the mean over these seeds, over "
            "perturbations.",
        )


def _mean_and_sd(system: System, name: str) -> str | None:
    mean, sd = value_of(system.blocks["all"], name), system.spread["all"].get(name)
    return None if mean is None or sd is None else f"{mean:.4f} ± {sd:.4f}"


def _short(value: object) -> str:
    told = "untold" if value is None else str(value)
    return told if len(told) <= _LONGEST else f"{told[:_LONGEST]}..."


def _difference(found: Mapping[str, float | None]) -> object:
    value, low, high = (found[name] for name in ("difference", "low", "high"))
    if value is None:
        return None
    if low is None or high is None:
        return f"{value:+.4f}"
    return f"{value:+.4f} [{low:+.3f}, {high:+.3f}] p {found['p']:.3f}"


def show_cautions(scored: Scored) -> None:
    """Show what has to be known before the figures, a line each.

    Args:
        scored: What was scored.
    """
    console = Console()
    for line in scored.cautions:
        console.print(line, markup=False, highlight=False, soft_wrap=True)
        console.print()


def show_leakage(scored: Scored) -> None:
    """Show the leakage audit.

    Args:
        scored: What was scored.
    """
    columns = {
        "cell_line": "cell line",
        "rows": "test rows",
        "perts": "perturbations",
        "same_line_share": "in the same line",
        "other_line_share": "in another line",
        "unseen_share": "unseen anywhere",
        "pairs_share": "exact pairs, of rows",
        "de_pairs_share": "exact pairs, of DE rows",
    }
    show(
        "Leakage: share of test rows whose perturbation is trained on",
        list(columns.values()),
        scored.leakage.fill_nan(None).select(*columns).rows(),
        "Exact pairs: the same perturbation and gene is trained on in another cell line.",
    )
