"""What was found, as tables and sentences: scores made ready to be read."""

from __future__ import annotations

from functools import partial
from typing import TYPE_CHECKING, Any, Final, NamedTuple

from tools.report.tables import (
    Cell,
    Figure,
    Row,
    Table,
    cell,
    figure_cell,
    marks,
    plain_number,
    read_figure,
)

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from tools.score.scoring import Scored
    from tools.score.systems import System


class Metric(NamedTuple):
    """A figure of a BLOCK, by its full name.

    Attributes:
        group: Key of the BLOCK.
        key: Key inside it.
        title: Never without its protocol.
        short: For the head of a narrow column.
    """

    group: str
    key: str
    title: str
    short: str

    def of(self, block: Mapping[str, Any]) -> Figure:
        """The figure in a BLOCK."""
        return read_figure(block.get(self.group, {}).get(self.key))


HEADLINE: Final = (
    Metric(
        "de_auroc",
        "per_gene",
        "AUROC of differential expression, per gene (PerturbQA, official)",
        "DE AUROC, per gene",
    ),
    Metric(
        "direction_auroc",
        "per_gene",
        "AUROC of direction, per gene (PerturbQA, official)",
        "direction AUROC, per gene",
    ),
    Metric("three_class", "accuracy", "Accuracy, three classes", "accuracy"),
    Metric("three_class", "macro_f1", "Macro-F1, three classes", "macro-F1"),
)
MORE: Final = (
    Metric("de_auroc", "pooled", "AUROC of differential expression, pooled (not official)", ""),
    Metric("direction_auroc", "pooled", "AUROC of direction, pooled (not official)", ""),
    Metric(
        "de_auroc", "per_perturbation", "AUROC of differential expression, per perturbation", ""
    ),
    Metric("direction_auroc", "per_perturbation", "AUROC of direction, per perturbation", ""),
    Metric("three_class", "balanced_accuracy", "Balanced accuracy", ""),
    Metric("three_class", "mcc", "Matthews correlation", ""),
    Metric("three_class", "brier", "Brier score (0 is best)", ""),
    Metric("three_class", "ece", "Expected calibration error, 15 bins (0 is best)", ""),
)
CLASSES: Final = {"not_de": "not DE", "up": "up", "down": "down"}
LONGEST_VALUE: Final = 120
_signed: Final = partial(plain_number, signed=True)
_RATES: Final = {"precision": "prec.", "recall": "recall", "f1": "F1"}


class Result(NamedTuple):
    """The score of one system or reference row.

    Attributes:
        name: Of the file, or of the reference row.
        system: What was scored.
        reference: Whether it is a reference row.
        key: The place among the systems, from 1; 0 for a reference row.
    """

    name: str
    system: System
    reference: bool
    key: int

    @property
    def blocks(self) -> Mapping[str, Mapping[str, Any]]:
        """Cell line to its BLOCK, and `all`."""
        return self.system.blocks


def list_results(scored: Scored) -> list[Result]:
    """The systems, then the reference rows.

    Args:
        scored: As `score_files` returns it.
    """
    found = []
    for place, (name, system) in enumerate(scored.systems.items(), start=1):
        seeds = len(system.tables)
        told = f"{name} (mean of {seeds} seeds)" if seeds > 1 else name
        found.append(Result(told, system, reference=False, key=place))
    found += [Result(name, system, True, 0) for name, system in scored.references.items()]
    return found


def _row(result: Result, cells: Sequence[Cell]) -> Row:
    return Row([Cell(result.name), *cells], result.reference, result.key)


def headline(results: Sequence[Result]) -> Table:
    """Every system and reference row by the four figures that come first, intervals drawn."""
    columns = []
    for metric in HEADLINE:
        figures = [metric.of(each.blocks["all"]) for each in results]
        pairs = zip(figures, marks(figures), strict=True)
        columns.append([figure_cell(figure, mark) for figure, mark in pairs])
    rows = [_row(result, [column[i] for column in columns]) for i, result in enumerate(results)]
    return Table("All cell lines", ["", *(metric.short for metric in HEADLINE)], rows)


def by_line(results: Sequence[Result], metric: Metric) -> Table:
    """One figure in each cell line and over all of them."""
    lines = list(results[0].blocks)
    rows = [
        _row(each, [figure_cell(metric.of(each.blocks[line])) for line in lines])
        for each in results
    ]
    return Table(metric.title, ["", *lines], rows)


def counted(result: Result) -> Table:
    """How many questions a system answered, and how many genes and rows an official AUROC is of."""
    header = ["cell line", "questions", "coverage", "unread", "genes, DE", "rows, DE"]
    header += ["genes, direction", "rows, direction"]
    rows = []
    for line, block in result.blocks.items():
        de, direction = block["de_auroc"], block["direction_auroc"]
        coverage = read_figure(block["coverage"])
        told: list[object] = [line, block["n"], coverage, block["unparsed"]]
        told += [each.get(key) for each in (de, direction) for key in ("n_genes", "n_rows")]
        rows.append(Row([cell(each) for each in told]))
    return Table(f"What is counted: {result.name}", header, rows)


def counted_genes(result: Result) -> str:
    """How much of the questions an official AUROC is of, in a sentence."""
    block = result.blocks["all"]
    de, direction = (
        f"{block[key]['n_genes']:,.0f} genes in {block[key]['n_rows']:,.0f} rows"
        for key in ("de_auroc", "direction_auroc")
    )
    return (
        f"Of {block['n']:,} questions, the per-gene AUROC counts {de} for differential expression "
        f"and {direction} for direction."
    )


def per_class(results: Sequence[Result]) -> Table:
    """Precision, recall and F1 of each class, over all cell lines."""
    header = [f"{name} {rate}" for name in CLASSES.values() for rate in _RATES.values()]
    rows = []
    for each in results:
        block = each.blocks["all"]["three_class"]
        figures = [read_figure(block[name].get(rate)) for name in CLASSES for rate in _RATES]
        rows.append(_row(each, [figure_cell(figure) for figure in figures]))
    return Table("Each class, all cell lines", ["", *header], rows, "0 where it is never answered.")


def strata_table(results: Sequence[Result], part: str, title: str, note: str = "") -> Table | None:
    """The headline figures, stratum by stratum.

    Args:
        results: Of which those without these strata are left out.
        part: The attribute of `System` that holds them.
        title: Of the table.
        note: Below it.

    Returns:
        None where nobody has such strata.
    """
    rows = []
    for each in results:
        for name, block in getattr(each.system, part).items():
            figures = [figure_cell(metric.of(block)) for metric in HEADLINE]
            rows.append(_row(each, [Cell(name), cell(block["n"]), *figures]))
    header = ["", "stratum", "questions", *(metric.short for metric in HEADLINE)]
    return Table(title, header, rows, note) if rows else None


def verdicts(results: Sequence[Result], comparisons: Sequence[Mapping[str, Any]]) -> list[str]:
    """A sentence for each headline figure of the first system, beside the best reference row.

    Args:
        results: As `list_results` returns them.
        comparisons: As `Scored` has them.
    """
    subject = results[0]
    paired = {
        each["other"]: each["figures"]
        for each in comparisons
        if each["reference"] and each["one"] == subject.system.name
    }
    told = []
    for metric in HEADLINE:
        mine = metric.of(subject.blocks["all"])
        ranked = [(metric.of(each.blocks["all"]), each.name) for each in results if each.reference]
        ranked = [pair for pair in ranked if pair[0].value is not None]
        if mine.value is None or not ranked:
            continue
        best, name = max(ranked, key=lambda pair: pair[0].value or 0.0)
        difference = paired.get(name, {}).get(f"{metric.group}.{metric.key}", {})
        told.append(
            f"{metric.title}: {_with_interval(mine)}. The best reference row, {name}, has "
            f"{_with_interval(best)}{_stands(difference)}."
        )
    return told


def _with_interval(figure: Figure) -> str:
    return f"{figure} ({figure.interval})" if figure.interval else str(figure)


def _stands(difference: Mapping[str, float | None]) -> str:
    """What the paired difference says."""
    value, low, high = (difference.get(name) for name in ("difference", "low", "high"))
    if value is None:
        return ""
    if low is None or high is None:
        return f": a difference of {_signed(value)}"
    told = f": a paired difference of {_signed(value)} ({_signed(low)} to {_signed(high)})"
    return told if low > 0 or high < 0 else f"{told}, which may be none"


def differences(scored: Scored) -> Table:
    """Every system less every other and every reference row, paired."""
    rows = []
    for pair in scored.comparisons:
        figures = [pair["figures"][f"{m.group}.{m.key}"] for m in HEADLINE]
        other = f"{pair['other']} (reference)" if pair["reference"] else pair["other"]
        cells = [Cell(pair["one"]), Cell(other), *map(_difference_cell, figures)]
        rows.append(Row(cells, reference=bool(pair["reference"])))
    note = (
        "Paired: both in the same bootstrap rounds over perturbations. p is twice the share of "
        "rounds on the rarer side of zero, not corrected for the number of comparisons."
    )
    header = ["system", "less", *(metric.short for metric in HEADLINE)]
    return Table("Differences over all cell lines", header, rows, note)


def _difference_cell(told: Mapping[str, float | None]) -> Cell:
    value, low, high = (told[name] for name in ("difference", "low", "high"))
    if value is None:
        return cell(None)
    if low is None or high is None:
        return Cell(_signed(value), number=True)
    below = f"{_signed(low)} to {_signed(high)}, p {told['p']:.3f}"
    return Cell(_signed(value), below, number=True)


def unlike(scored: Scored) -> list[str]:
    """A line for each two systems that were not asked alike."""
    return [
        f"{pair['one']} and {pair['other']} were not made alike: "
        + "; ".join(
            f"{name} {_told(one)} | {_told(other)}"
            for name, (one, other) in pair["records_differ"].items()
        )
        for pair in scored.comparisons
        if pair["records_differ"]
    ]


def _told(value: object) -> str:
    return "untold" if value is None else str(value)[:LONGEST_VALUE]
