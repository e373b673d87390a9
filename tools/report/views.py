"""Everything a page shows, put together from what was scored and read."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING, Any, Final

from tools.report import findings, methods, pictures
from tools.report.rows import LONGEST_TEXT, PAGE, pack
from tools.report.tables import DASH, Cell, Row, Table, plain_table

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    import polars as pl

    from tools.report.findings import Result
    from tools.report.provenance import Input
    from tools.report.rows import Packed
    from tools.report.teaching import Teaching
    from tools.report.training import Run
    from tools.score.scoring import Scored

DRAWN: Final = ("gene-prior", "pert-prior", "knn")
"""Reference rows whose curves are drawn beside the systems'; all of them would hide these."""

_SVG_DASHES: Final = ("", "4 2", "6 1.6 1.2 1.6", "9 3")
_SHORT: Final = ("not DE", "up", "down", "no answer")
LEAKAGE: Final = {
    "rows": "test rows",
    "perts": "perturbations",
    "same_line_share": "trained on in the same line",
    "other_line_share": "trained on in another line",
    "unseen_share": "unseen anywhere",
    "pairs_share": "exact pair, of rows",
    "de_pairs_share": "exact pair, of DE rows",
}


def drawn_references(references: Mapping[str, pl.DataFrame]) -> dict[str, pl.DataFrame]:
    """Those of the reference rows whose curves are drawn."""
    return {name: references[name] for name in DRAWN if name in references}


def curve_views(
    tables: Mapping[str, pl.DataFrame], references: Mapping[str, pl.DataFrame]
) -> dict[str, Any]:
    """All curves, and the key to their colours.

    Args:
        tables: System to its answers, as `answer_questions` returns them.
        references: The same of the reference rows.
    """
    beside = drawn_references(references)
    lines = next(iter(tables.values()))["cell_line"].unique(maintain_order=True).to_list()
    groups = [
        {"title": kind.title, "what": kind.what, "panels": panels, "without": _left(lines, panels)}
        for kind in pictures.KINDS
        if (panels := pictures.draw_curves(kind, tables, beside))
    ]
    key = [pictures.Key(name, i % 6 + 1) for i, name in enumerate(tables)]
    for i, name in enumerate(beside):
        dashes = _SVG_DASHES[i % len(_SVG_DASHES)]
        key.append(pictures.Key(f"{name} (reference)", 0, dashes))
    return {"curves": groups, "curve_key": key}


def _left(lines: Sequence[str], panels: Sequence[pictures.Panel]) -> str:
    """The cell lines that have no panel."""
    drawn = {panel.title for panel in panels}
    return ", ".join(line for line in lines if line not in drawn)


def class_views(results: Sequence[Result]) -> dict[str, Any]:
    """Confusion matrices, reliability, and coverage against accuracy."""
    systems = [each for each in results if not each.reference]
    beside = [each for each in results if each.reference and each.name == "gene-prior"]
    reliable, retained = [], []
    for place, each in enumerate(systems):
        bins = [
            pictures.Bin(told["confidence"], told["accuracy"], told["n"])
            for told in each.system.calibration["all"]
        ]
        reliable.append(pictures.draw_reliability(each.name, place, bins))
        kept = [(told["coverage"], told["accuracy"]) for told in each.system.retention["all"]]
        if kept:
            retained.append(pictures.draw_retention(each.name, place, kept))
    return {
        "classes": findings.per_class(results),
        "confusions": [_confusion(each) for each in [*systems, *beside]],
        "reliability": reliable,
        "retention": retained,
    }


def _confusion(result: Result) -> Table:
    rows = []
    for name, counts in zip(_SHORT, result.system.confusion["all"], strict=False):
        whole = sum(counts) or 1
        cells = [
            Cell(f"{n:,}", f"{n / whole:.1%}", True, max(1, round(10 * n / whole)) if n else 0)
            for n in counts
        ]
        rows.append(Row([Cell(name), *cells]))
    return Table(f"Confusion: {result.name}", ["measured", *_SHORT], rows)


def strata_views(results: Sequence[Result]) -> list[Table]:
    """Scores by what training has seen, and by how well a gene is known."""
    systems = [each for each in results if not each.reference]
    tables = [
        findings.strata_table(results, "strata", "By what training has seen of the perturbation"),
        findings.strata_table(
            systems, "by_train_rows", "By the gene's train rows in the same cell line"
        ),
        findings.strata_table(
            systems,
            "by_facts",
            "By how well the gene is known",
            "Gene sets and network neighbours of the gene in the knowledge files.",
        ),
    ]
    return [table for table in tables if table is not None]


def record_view(scored: Scored) -> Table | None:
    """How each system was asked, as its file tells; None where none of them tells anything."""
    told = {name: each.record for name, each in scored.systems.items()}
    names = list(dict.fromkeys(name for record in told.values() for name in record))
    if not names:
        return None
    rows = [[name, *(_plain(record.get(name)) for record in told.values())] for name in names]
    return plain_table("How the predictions were made", ["", *told], rows, "As the files tell.")


def _plain(value: object) -> str:
    if value is None:
        return DASH
    text = value if isinstance(value, str) else json.dumps(value, ensure_ascii=False)
    return text[: findings.LONGEST_VALUE]


def leakage_view(audit: pl.DataFrame) -> Table:
    """What the test rows share with training, by cell line.

    Args:
        audit: As `synthpert.questions.leakage.leakage` returns it.
    """
    rows = []
    for told in audit.fill_nan(None).iter_rows(named=True):
        cells = [_flush(_share(told[name], name)) for name in LEAKAGE]
        rows.append(Row([Cell(told["cell_line"]), *cells]))
    return Table(
        "Share of test rows whose perturbation, or exact pair, is trained on",
        ["cell line", *LEAKAGE.values()],
        rows,
        "Exact pair: the same perturbation and gene is trained on in another cell line.",
    )


def _share(value: Any, name: str) -> str:  # noqa: ANN401 - a count, a share or nothing
    if value is None:
        return DASH
    return f"{value:.1%}" if name.endswith("_share") else f"{value:,}"


def _flush(text: str) -> Cell:
    return Cell(text, number=True)


def teaching_views(teaching: Teaching) -> list[Table]:
    """The tables of what the traces cost, as far as each is known."""
    found = []
    if teaching.attempts:
        header = ["role", "model", "state", "attempts", "tokens in", "tokens out"]
        header += ["cost, US$", "without a price"]
        found.append(plain_table("Attempts to ask a model", header, teaching.attempts))
    if teaching.funnel:
        title = f"From sent to kept ({teaching.rule})" if teaching.rule else "From sent to kept"
        found.append(
            plain_table(title, ["", *teaching.funnel], [["replies", *teaching.funnel.values()]])
        )
    if teaching.kept:
        found.append(plain_table("Kept traces", ["cell line", "label", "traces"], teaching.kept))
    if teaching.made_by:
        found.append(plain_table("Made by", ["what", "which"], teaching.made_by.items()))
    return found


def training_views(run: Run) -> dict[str, Any]:
    """The run and its training curves."""
    return {"run": run, "training": pictures.draw_training(run.panels)}


def browser_views(
    tables: Mapping[str, pl.DataFrame],
    references: Mapping[str, pl.DataFrame],
    texts: Mapping[str, pl.DataFrame],
) -> dict[str, Any]:
    """The single predictions, and what is said of how they were drawn."""
    packed = pack(tables, references, texts)
    return {
        "packed": packed,
        "page_size": PAGE,
        "text_systems": list(texts),
        "embedded": _embedded(packed),
    }


def _embedded(packed: Packed) -> str:
    drawn = (
        f"drawn with seed 0 so that each of the {packed.strata} strata (cell line × label × "
        "outcome of the first system) gives the same number, small ones all they have"
    )
    if packed.rows == packed.n:
        told = f"All {packed.n:,} questions are here with every system's answer."
    else:
        told = (
            f"{packed.rows:,} of the {packed.n:,} questions are here, {drawn}: frequencies in this "
            "sample are not those of the benchmark."
        )
    if not packed.texts:
        return f"{told} The files hold no reasoning."
    cut = f"each text is cut after {LONGEST_TEXT:,} characters."
    if packed.texts == packed.told:
        return (
            f"{told} Reasoning and responses are here for all {packed.told:,} that have any; {cut}"
        )
    return (
        f"{told} Reasoning and responses are here for {packed.texts:,} of the {packed.told:,} that "
        f"have any, {drawn}; {cut}"
    )


def seeds_view(results: Sequence[Result]) -> Table | None:
    """The headline figures' spread over seeds; None where no system has several."""
    several = [each for each in results if each.system.spread]
    rows = [
        Row([Cell(each.name), *(_mean_and_sd(each, metric) for metric in findings.HEADLINE)])
        for each in several
    ]
    note = (
        "The intervals and tests on this page are over perturbations, for these seeds. Curves, the "
        "first outcome and single predictions are of the first seed; confusion and calibration are "
        "of the rows of all."
    )
    header = ["", *(metric.short for metric in findings.HEADLINE)]
    title = "Mean ± standard deviation over seeds"
    return Table(title, header, rows, note) if rows else None


def _mean_and_sd(result: Result, metric: findings.Metric) -> Cell:
    mean = metric.of(result.blocks["all"])
    sd = findings.read_figure(result.system.spread["all"].get(f"{metric.group}.{metric.key}"))
    return Cell(f"{mean} ± {sd}" if mean.value is not None else DASH, number=True)


def input_view(inputs: Sequence[Input]) -> Table:
    """The files that were read and their checksums."""
    rows = [[each.what, each.name, each.size, each.changed, each.sha256] for each in inputs]
    header = ["what", "file", "bytes", "changed, UTC", "SHA-256"]
    return plain_table("Files this page was made from", header, rows)


def reference_views(names: Sequence[str]) -> list[tuple[str, str]]:
    """What each reference row is, as far as it is known."""
    return [(name, methods.REFERENCES[name]) for name in names if name in methods.REFERENCES]
