"""Reads what a page is made from and hands it over, scored and drawn."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Any

import polars as pl

from synthpert.predictions import read_predictions
from synthpert.predictions.rows import KEY
from synthpert.questions import find_data
from tools.report import findings, methods, provenance, views
from tools.report.cautions import benchmark_name, cautions
from tools.score.scoring import Scored, score_files

if TYPE_CHECKING:
    from collections.abc import Sequence

    from tools.report.findings import Result
    from tools.report.teaching import Teaching
    from tools.report.training import Run


def gather(
    files: Sequence[str],
    data: str | None,
    split: str,
    knowledge: str | None,
    run: str | None,
    traces: str | None,
    questions: str | None,
    rounds: int,
) -> dict[str, Any]:
    """Make everything the page's template names.

    Args:
        files: Prediction files; the first is what the page is about.
        data: Folder of the benchmark.
        split: Which questions were asked.
        knowledge: Folder of gene sets and networks.
        run: A run's folder.
        traces: A trace file, a journal or its status.
        questions: A table of those test questions that are scored; None for all.
        rounds: Of the bootstrap; 0 switches intervals off.

    Raises:
        InputError: If any of them is wrong.
    """
    # What is quickly found wrong is told before the long work.
    trained, taught = _read_run(run), _read_teaching(traces)
    scored = score_files(
        files, data=data, split=split, knowledge=knowledge, questions=questions, rounds=rounds
    )
    results = findings.list_results(scored)
    name = benchmark_name(scored, data)
    lines = scored.test["cell_line"].unique(maintain_order=True).to_list()
    tables = {name: each.table for name, each in scored.systems.items()}
    references = {name: each.table for name, each in scored.references.items()}
    context: dict[str, Any] = {
        "facts": _facts(scored, results, name),
        "cautions": cautions(scored, results, name),
        **_figures(scored, results),
        **views.curve_views(tables, references),
        **views.class_views(results),
        "leakage": views.leakage_view(scored.leakage),
        "strata": views.strata_views(results),
        **(views.training_views(trained) if trained else {"run": None}),
        "teaching": taught,
        "teaching_tables": views.teaching_views(taught) if taught else [],
        **views.browser_views(tables, references, _texts(scored)),
        "methods": methods.paragraphs(scored, lines, name),
        "records": views.record_view(scored),
        "inputs": views.input_view(_inputs(scored, data, knowledge, trained, traces)),
    }
    context["sections"] = _sections(context)
    return context


def _figures(scored: Scored, results: Sequence[Result]) -> dict[str, Any]:
    """Everything that is a number in a table."""
    return {
        "headline": findings.headline(results),
        "seeds": views.seeds_view(results),
        "verdicts": findings.verdicts(results, scored.comparisons),
        "references": views.reference_views(list(scored.references)),
        "by_line": [findings.by_line(results, metric) for metric in findings.HEADLINE],
        "more": [findings.by_line(results, metric) for metric in findings.MORE],
        "counted": [findings.counted(each) for each in results if not each.reference],
        "unlike": findings.unlike(scored),
        "differences": findings.differences(scored),
    }


def _inputs(
    scored: Scored, data: str | None, knowledge: str | None, run: Run | None, traces: str | None
) -> list[provenance.Input]:
    """Every file that was read."""
    lines = pl.concat([scored.test["cell_line"], scored.train["cell_line"]]).unique(
        maintain_order=True
    )
    known = "knn" in scored.references or any(each.by_facts for each in scored.systems.values())
    predictions = [path for each in scored.systems.values() for path in each.paths]
    found = provenance.describe("predictions", predictions)
    found += provenance.describe("benchmark", provenance.benchmark_files(find_data(data), lines))
    found += provenance.describe("knowledge", provenance.files_of_knowledge(knowledge, known))
    found += provenance.describe("run", run.files if run else [])
    return found + provenance.describe("traces", [Path(traces)] if traces else [])


def _facts(scored: Scored, results: Sequence[Result], name: str) -> dict[str, Any]:
    names = list(scored.systems)
    example = scored.test.row(0, named=True)
    others = f" {len(names)} systems are compared." if len(names) > 1 else ""
    split = methods.split_name(scored.split)
    return {
        "title": f"How well does {_subject(scored)} predict what a knockdown does?",
        "lead": f"{len(scored.test):,} questions about single genes, scored beside "
        f"{len(results) - len(names)} reference rows on {split}.{others}",
        "benchmark": name,
        "split_name": split,
        "n": len(scored.test),
        "lines": scored.test["cell_line"].unique().to_list(),
        "example": [*(example[name] for name in KEY), str(example["label"])],
        "intervals": methods.intervals(scored.rounds),
        "counted": findings.counted_genes(results[0]),
        "versions": provenance.versions(),
    }


def _subject(scored: Scored) -> str:
    """What the page is about: a run's folder, where the file has the name that every run gives."""
    name, system = next(iter(scored.systems.items()))
    return system.paths[0].absolute().parent.name if name == "predictions" else name


def _texts(scored: Scored) -> dict[str, pl.DataFrame]:
    """The rows with reasoning or a response of the systems that have any; of the first seed."""
    found = {}
    for name, system in scored.systems.items():
        table = read_predictions(system.paths[0])
        told = table.filter(pl.any_horizontal(pl.col("reasoning", "response").is_not_null()))
        if len(told):
            found[name] = told
    return found


def _read_run(run: str | None) -> Run | None:
    if run is None:
        return None
    from tools.report.training import read_run

    return read_run(Path(run))


def _read_teaching(traces: str | None) -> Teaching | None:
    if traces is None:
        return None
    from tools.report.teaching import read_teaching

    return read_teaching(Path(traces))


def _sections(context: dict[str, Any]) -> list[tuple[str, str]]:
    """The sections that the page has, in its order."""
    every = {
        "headline": ("Results", True),
        "lines": ("By cell line", True),
        "differences": ("Differences", True),
        "curves": ("Curves", True),
        "classes": ("Classes and confusion", True),
        "calibration": ("Calibration", True),
        "leakage": ("Leakage and strata", True),
        "training": ("Training", context["run"]),
        "traces": ("Traces", context["teaching"]),
        "predictions": ("Single predictions", True),
        "methods": ("Methods", True),
        "inputs": ("Inputs and versions", True),
    }
    return [(id_, name) for id_, (name, there) in every.items() if there]
