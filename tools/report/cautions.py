"""What a reader has to know before the figures: on what they rest, and what is missing."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Any, Final

import synthpert
from synthpert.questions import find_data
from tools.report.paper_rows import published
from tools.report.tables import read_figure

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from tools.report.findings import Result
    from tools.score.scoring import Scored

TEST_ROWS: Final = 116_041
"""Test questions of the benchmark as published, over its four cell lines."""

FEWEST_GENES: Final = 30
"""Below this a mean over genes, and its interval, say little."""

WHOLE: Final = "PerturbQA"
_SAMPLE: Final = Path(synthpert.__file__).resolve().with_name("sample")
_TASKS: Final = {"de_auroc": "differential expression", "direction_auroc": "direction"}


def benchmark_name(scored: Scored, data: str | Path | None) -> str:
    """What the questions are of: the benchmark as published, or less.

    Args:
        scored: What was scored.
        data: Folder of the benchmark, None as in `find_data`.
    """
    kind, _, line = scored.split.partition(":")
    rows = published()["table5_counts"]["de"].get(line) if kind == "held_out" else TEST_ROWS
    if scored.of == rows:
        return WHOLE
    if find_data(data).resolve() == _SAMPLE:
        return "a small sample of PerturbQA"
    return "a part of PerturbQA"


def cautions(scored: Scored, results: Sequence[Result], name: str) -> list[str]:
    """The sentences that stand before the figures; none where nothing is amiss.

    Args:
        scored: What was scored.
        results: As `list_results` returns them.
        name: As `benchmark_name` returns it.
    """
    told = list(scored.cautions)
    if name != WHOLE:
        told.insert(
            0, f"The questions are {name}: no figure here is comparable with a published one."
        )
    systems = [each for each in results if not each.reference]
    for each in systems:
        told += _missing(each)
    hard = [each.name for each in systems if not each.system.soft]
    told += [f"{each} gives hard answers: an AUROC of it has one operating point." for each in hard]
    if few := _few_genes(results[0].blocks):
        told.append(
            f"Fewer than {FEWEST_GENES} genes count in the per-gene AUROC of {few}. Such a mean "
            "says little, and its interval is too narrow."
        )
    if "knn" not in scored.references:
        told.append("There is no reference row knn: the knowledge files know too few genes.")
    same = scored.leakage.filter(scored.leakage["cell_line"] == "all")["same_line_share"][0]
    if same > 0:
        told.append(
            f"{same:.1%} of the test rows have a perturbation that is trained on in the same cell "
            "line: this is not the benchmark's way to split."
        )
    return told


def _missing(result: Result) -> list[str]:
    """Which questions a system leaves out, and how many answers could not be read."""
    block = result.blocks["all"]
    coverage, n = read_figure(block["coverage"]).value or 0.0, int(block["n"])
    told = []
    if coverage < 1:
        told.append(
            f"{result.name} has {round(coverage * n):,} of the {n:,} questions ({coverage:.1%}); "
            "the others count as wrong."
        )
    if unread := read_figure(block["unparsed"]).value:
        told.append(f"{unread:,.0f} answers of {result.name} cannot be read and count as wrong.")
    return told


def _few_genes(blocks: Mapping[str, Mapping[str, Any]]) -> str:
    """Task and cell lines in which few genes count, or none; empty where there are enough."""
    told = []
    for key, task in _TASKS.items():
        counts = {line: blocks[line][key].get("n_genes") or 0 for line in blocks if line != "all"}
        lines = [line for line, n in counts.items() if n < FEWEST_GENES]
        if lines:
            told.append(f"{task} in {', '.join(lines)}")
    return "; ".join(told)
