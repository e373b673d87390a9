"""Rows of the paper's tables: the published ones and ours, each under the name of its protocol."""

from __future__ import annotations

import json
from importlib import resources
from typing import TYPE_CHECKING, Any, Final, NamedTuple

from tools.report.tables import Figure, read_figure

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping

CLASSES: Final = ("not_de", "up", "down")
RATES: Final = ("precision", "recall", "f1")

PER_GENE: Final = "per gene (PerturbQA, official)"
PAPER: Final = "SynthPert's code: hard answers, pooled, three random 20 % subsets"
POOLED: Final = "pooled, all rows of a cell line"
PROTOCOLS: Final = (PER_GENE, PAPER, POOLED)
"""No figure under one of these is comparable with a figure under another."""

PUBLISHED: Final = "published, not reproduced"
REFERENCE: Final = "ours, reference row"
SYSTEM: Final = "ours"
_PUBLISHED_UNDER: Final = {
    "PHYSICAL": POOLED,
    "GAT": PER_GENE,
    "GEARS": PER_GENE,
    "SCGPT": PER_GENE,
    "GENEPT-GENE": PER_GENE,
    "GENEPT-PROT": PER_GENE,
    "SUMMER": PER_GENE,
    "LLM + SFT ON DATA": PAPER,
    "SYNTHPERT": PAPER,
}
OTHER_QUESTIONS: Final = "not comparable: not the benchmark as published"
_COMPARABLE: Final = {
    PER_GENE: "yes",
    PAPER: "not comparable: pools the rows of a cell line, hard answers, subsets",
    POOLED: "not comparable: pools the rows of a cell line",
}


class AurocRow(NamedTuple):
    """One row of Table 1 or 2.

    Attributes:
        protocol: One of `PROTOCOLS`.
        name: Of the system.
        origin: `PUBLISHED`, `REFERENCE` or `SYSTEM`.
        figures: Cell line to its figure; the interval of ours is 95 %, or under `PAPER` one
            standard deviation over the subsets to either side.
        comparable: Whether with PerturbQA's official figures, and why not.
    """

    protocol: str
    name: str
    origin: str
    figures: dict[str, Figure]
    comparable: str


class ClassRow(NamedTuple):
    """One row of Table 3 or 4.

    Attributes:
        protocol: Which rows were scored, and how.
        name: Of the system.
        origin: `PUBLISHED`, `REFERENCE` or `SYSTEM`.
        figures: `not_de_precision` and so on, and `accuracy`.
    """

    protocol: str
    name: str
    origin: str
    figures: dict[str, Figure]


def published() -> dict[str, Any]:
    """The numbers of the paper's Tables 1 to 5 as printed, and their source."""
    text = resources.files("tools.report").joinpath("published.json").read_text(encoding="utf-8")
    told: dict[str, Any] = json.loads(text)
    return told


def auroc_rows(
    table: Mapping[str, Mapping[str, float]],
    task: str,
    ours: Iterable[tuple[str, str, Mapping[str, Any], Mapping[str, Any]]],
    *,
    whole: bool,
) -> list[AurocRow]:
    """Rows of Table 1 or 2, block by block of one protocol.

    Args:
        table: Published system to cell line to AUROC.
        task: `de_auroc` or `direction_auroc`.
        ours: Of each system its name, origin, cell line to BLOCK, and what `score_as_paper` gives.
        whole: Whether ours are of the benchmark as published.
    """

    def row(protocol: str, name: str, origin: str, figures: dict[str, Figure]) -> AurocRow:
        same = whole or origin == PUBLISHED
        told = _COMPARABLE[protocol] if same else OTHER_QUESTIONS
        return AurocRow(protocol, name, origin, figures, told)

    rows = [
        row(_PUBLISHED_UNDER[name], name, PUBLISHED, {k: Figure(v) for k, v in told.items()})
        for name, told in table.items()
    ]
    for name, origin, cells, as_paper in ours:
        for protocol, key in ((PER_GENE, "per_gene"), (POOLED, "pooled")):
            figures = {line: read_figure(block[task].get(key)) for line, block in cells.items()}
            rows.append(row(protocol, name, origin, figures))
        figures = {line: _mean(as_paper[line].get(task, {}).get("pooled")) for line in cells}
        rows.append(row(PAPER, name, origin, figures))
    return sorted(rows, key=lambda each: PROTOCOLS.index(each.protocol))


def class_rows(
    table: Mapping[str, Mapping[str, Any]],
    protocol: str,
    ours: Iterable[tuple[str, str, Mapping[str, Any]]],
) -> list[ClassRow]:
    """Rows of Table 3 or 4.

    Args:
        table: Published system to class to its figures, and `accuracy`.
        protocol: How those were scored.
        ours: Of each system its name, origin and BLOCK over all of the questions.
    """
    rows = [ClassRow(protocol, name, PUBLISHED, _flat(told)) for name, told in table.items()]
    return rows + [
        ClassRow("every test row", name, origin, _flat(block["three_class"]))
        for name, origin, block in ours
    ]


def _flat(told: Mapping[str, Any]) -> dict[str, Figure]:
    figures = {f"{c}_{r}": read_figure(told[c].get(r)) for c in CLASSES for r in RATES}
    return figures | {"accuracy": read_figure(told["accuracy"])}


def _mean(spread: Mapping[str, float] | None) -> Figure:
    if not spread:
        return Figure(None)
    mean, sd = spread["mean"], spread["sd"]
    return Figure(mean, mean - sd, mean + sd)
