"""Writes the paper's tables: CSV for programs, Markdown for readers, a figure where it helps."""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

import polars as pl

from synthpert.display import markdown, show
from synthpert.files import whole_file
from tools.report.paper_rows import CLASSES, OTHER_QUESTIONS, PAPER, RATES
from tools.report.tables import DASH

if TYPE_CHECKING:
    from collections.abc import Sequence
    from pathlib import Path

    from tools.report.paper_rows import AurocRow, ClassRow
    from tools.report.tables import Figure

TITLES: Final = {
    "table1_de_auroc": "Table 1. AUROC of differential expression",
    "table2_direction_auroc": "Table 2. AUROC of direction",
    "table3_three_class": "Table 3. Three classes, default split",
    "table4_rpe1_held_out": "Table 4. Three classes, RPE1 held out",
    "table5_counts": "Table 5. Rows of the benchmark",
}
_AUROC_NOTE: Final = (
    "Compare within a protocol only. Published rows are as printed in the SynthPert paper, not "
    "reproduced here. ± is one standard deviation over the three subsets; brackets are 95 % "
    "intervals. A gene prior is blind to the perturbation: per gene it is 0.5 by construction."
)
_CLASS_NOTE: Final = (
    "Published rows are as printed, not reproduced here, and were scored on subsets: comparable up "
    "to sampling. Reference rows are counted from training labels; brackets are 95 % intervals."
)
_NAMES: Final = {"not_de": "not DE", "up": "up", "down": "down"}
_SHORT: Final = {"precision": "prec.", "recall": "recall", "f1": "F1"}


def write_aurocs(folder: Path, name: str, rows: Sequence[AurocRow]) -> str:
    """Write Table 1 or 2, its figure and the figure's numbers; show the table.

    Args:
        folder: Where to.
        name: A key of `TITLES`.
        rows: In the order of the protocols.

    Returns:
        The table as Markdown.

    Raises:
        InputError: If a file cannot be written.
    """
    from tools.report.paper_figures import draw_aurocs

    lines = list(dict.fromkeys(line for row in rows for line in row.figures))
    tidy = pl.DataFrame(
        [
            (row.protocol, row.name, row.origin, row.comparable, line, *figure)
            for row in rows
            for line, figure in row.figures.items()
        ],
        schema=["protocol", "system", "origin", "comparable", "cell_line", "value", "low", "high"],
        orient="row",
    )
    with whole_file(folder / f"{name}.csv") as place:
        tidy.write_csv(place)
    draw_aurocs(folder / name, TITLES[name], rows, lines)
    table = [
        [row.protocol, row.name, row.origin]
        + [_text(row.figures.get(line), sd=row.protocol == PAPER) for line in lines]
        + [row.comparable]
        for row in rows
    ]
    header = ["protocol", "system", "origin", *lines, "comparable with PerturbQA's official figure"]
    return _shown(TITLES[name], header, table, _AUROC_NOTE)


def write_classes(folder: Path, name: str, rows: Sequence[ClassRow], whole: bool) -> str:
    """Write Table 3 or 4 and show it.

    Args:
        folder: Where to.
        name: A key of `TITLES`.
        rows: The published ones first.
        whole: Whether ours are of the benchmark as published.

    Returns:
        The table as Markdown.

    Raises:
        InputError: If a file cannot be written.
    """
    figures = [f"{c}_{r}" for c in CLASSES for r in RATES] + ["accuracy"]
    columns = {
        "system": [row.name for row in rows],
        "origin": [row.origin for row in rows],
        "rows_scored": [row.protocol for row in rows],
    }
    for key in figures:
        for part in ("value", "low", "high"):
            column = key if part == "value" else f"{key}_{part}"
            columns[column] = [getattr(row.figures[key], part) for row in rows]
    with whole_file(folder / f"{name}.csv") as place:
        pl.DataFrame(columns, strict=False).write_csv(place)
    header = ["system", "origin", "rows scored"]
    header += [f"{_NAMES[c]} {_SHORT[r]}" for c in CLASSES for r in RATES] + ["accuracy"]
    table = [
        [row.name, row.origin, row.protocol, *(_text(row.figures[key]) for key in figures)]
        for row in rows
    ]
    note = _CLASS_NOTE if whole else f"Ours are {OTHER_QUESTIONS}. {_CLASS_NOTE}"
    return _shown(TITLES[name], header, table, note)


def write_counts(
    folder: Path, counts: Sequence[tuple[str, str, int, int | None]], whole: bool
) -> str:
    """Write Table 5 and show it.

    Args:
        folder: Where to.
        counts: Task, cell line, rows at hand, rows as published or None.
        whole: Whether the two agree everywhere.

    Returns:
        The table as Markdown.

    Raises:
        InputError: If a file cannot be written.
    """
    name = "table5_counts"
    header = ["task", "cell_line", "rows", "published"]
    with whole_file(folder / f"{name}.csv") as place:
        pl.DataFrame(counts, schema=header, orient="row").write_csv(place)
    note = (
        "The folder at hand is the benchmark as published."
        if whole
        else "The folder at hand is not the benchmark as published: the other tables are of it."
    )
    return _shown(TITLES[name], ["task", "cell line", "rows at hand", "published"], counts, note)


def write_text(path: Path, text: str) -> None:
    """Write a text whole or not at all.

    Raises:
        InputError: If it cannot be written.
    """
    with whole_file(path) as place:
        place.write_text(text, encoding="utf-8")


def _shown(title: str, header: Sequence[str], rows: Sequence[Sequence[object]], note: str) -> str:
    show(title, header, rows, note)
    return markdown(title, header, rows, note)


def _text(figure: Figure | None, *, sd: bool = False) -> str:
    if figure is None or figure.value is None:
        return DASH
    if figure.low is None or figure.high is None:
        # As printed: two digits, and ours without an interval like the others of ours.
        return f"{figure.value:.3f}".removesuffix("0")
    if sd:
        return f"{figure.value:.3f} ± {figure.high - figure.value:.3f}"
    return f"{figure.value:.3f} [{figure.low:.3f}, {figure.high:.3f}]"
