"""BLOCKs of score.json: every figure of the benchmark for a set of questions, as plain numbers."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np
import polars as pl

from synthpert.predictions import PROBABILITIES
from synthpert.scoring.answered import (
    answer_numbers,
    direction_score,
    label_numbers,
    likely_right,
)
from synthpert.scoring.auroc import auroc, grouped_auroc
from synthpert.scoring.calibration import brier, expected_calibration_error
from synthpert.scoring.classes import CLASSES, RATES, confusion_matrix, three_class

if TYPE_CHECKING:
    from numpy.typing import NDArray


def score_cells(table: pl.DataFrame) -> dict[str, Any]:
    """Score each cell line and all of them together.

    Args:
        table: As `answer_questions` returns it.

    Returns:
        `cells`, a BLOCK of score.json for each cell line in the order of the table, and `all`.
    """
    lines = table["cell_line"].unique(maintain_order=True)
    cells = {line: score_block(table.filter(pl.col("cell_line") == line)) for line in lines}
    return {"cells": cells, "all": score_block(table)}


def score_block(table: pl.DataFrame) -> dict[str, Any]:
    """Every figure for the questions in `table`: one BLOCK of score.json.

    An AUROC is computed within each cell line and then averaged over the lines with equal
    weight (a line without one is skipped), so that no number compares the rows of two lines;
    `per_gene` is PerturbQA's own figure, which is likewise made line by line. Counts are summed
    over the lines, and the three-class figures are over all rows.

    Args:
        table: As `answer_questions` returns it.

    Returns:
        n, coverage, unparsed, de_auroc, direction_auroc, three_class. Differential expression
        is scored by 1 - p_not_de over all rows; direction by p_up / (p_up + p_down), or 0.5
        where both are 0, over the truly differentially expressed rows. A figure that does not
        exist is None.
    """
    labels, answers = label_numbers(table), answer_numbers(table)
    probabilities = table.select(PROBABILITIES).to_numpy()
    lines, genes, perts = (_codes(table, name) for name in ("cell_line", "gene", "pert"))
    changed = labels != 0
    figures = three_class(confusion_matrix(answers, labels))
    likely = likely_right(probabilities, answers, labels)
    found = int(table["found"].sum())
    block = {
        "n": len(table),
        "coverage": found / len(table) if len(table) else None,
        "unparsed": found - int((answers >= 0).sum()),
        "de_auroc": line_aurocs(1 - probabilities[:, 0], changed, lines, genes, perts),
        "direction_auroc": line_aurocs(
            direction_score(probabilities[changed]),
            labels[changed] == 1,
            *(codes[changed] for codes in (lines, genes, perts)),
        ),
        "three_class": {
            **{key: figures[key] for key in ("accuracy", "balanced_accuracy", "macro_f1", "mcc")},
            "brier": brier(probabilities, labels),
            "ece": expected_calibration_error(probabilities, likely),
            **{name: {key: figures[f"{name}_{key}"] for key in RATES} for name in CLASSES},
        },
    }
    clean: dict[str, Any] = null_for_nan(block)
    return clean


def line_aurocs(
    scores: NDArray[np.float64],
    positive: NDArray[np.bool_],
    lines: NDArray[np.integer[Any]],
    genes: NDArray[np.integer[Any]],
    perts: NDArray[np.integer[Any]],
) -> dict[str, Any]:
    """Per gene, pooled and per perturbation, each the mean over the cell lines.

    Args:
        scores: Shape (N,), higher for the positive class.
        positive: Shape (N,).
        lines: Shape (N,), the cell line of each row as a non-negative integer.
        genes: Shape (N,), its gene.
        perts: Shape (N,), its perturbation.

    Returns:
        per_gene, pooled, per_perturbation (not-a-number where no line has one); n_genes and
        n_rows, how many genes have both classes in a line and how many rows these have.
    """
    per_gene, pooled, per_pert, n_genes, n_rows = [], [], [], 0, 0
    for line in np.unique(lines):
        rows = lines == line
        score, true = scores[rows], positive[rows]
        value, genes_counted, rows_counted = grouped_auroc(score, true, genes[rows])
        n_genes, n_rows = n_genes + genes_counted, n_rows + rows_counted
        per_gene.append(value)
        pooled.append(auroc(score, true))
        per_pert.append(grouped_auroc(score, true, perts[rows])[0])
    return {
        "per_gene": _mean(per_gene),
        "pooled": _mean(pooled),
        "per_perturbation": _mean(per_pert),
        "n_genes": n_genes,
        "n_rows": n_rows,
    }


def _codes(table: pl.DataFrame, column: str) -> NDArray[np.uint32]:
    return table[column].rank("dense").to_numpy()


def _mean(values: list[float]) -> float:
    real = [value for value in values if not np.isnan(value)]
    return float(np.mean(real)) if real else float("nan")


def null_for_nan(value: Any) -> Any:  # noqa: ANN401 - any JSON value
    """The same with None for not-a-number, which JSON has not.

    Args:
        value: Any JSON value.
    """
    if isinstance(value, dict):
        return {key: null_for_nan(inner) for key, inner in value.items()}
    return None if isinstance(value, float) and np.isnan(value) else value
