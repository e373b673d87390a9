"""Every figure of the benchmark as plain numbers: BLOCKs of score.json.

Nothing heavy is imported, so that `score` answers within a second or two; `metrics.py` puts the
same three-class figures into a torchmetrics `Metric` for training.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np
import polars as pl

from synthpert.auroc import auroc, grouped_auroc
from synthpert.errors import InputError
from synthpert.predictions import KEY, PROBABILITIES, uniform_where_missing
from synthpert.tables import FIRST_ROW

if TYPE_CHECKING:
    from pathlib import Path

    from numpy.typing import NDArray

CLASSES = ("not_de", "up", "down")
"""The three classes in the order of `questions.LABELS`, as written in score.json."""

ECE_BINS = 15


def confusion_matrix(answers: NDArray[np.int64], labels: NDArray[np.int64]) -> NDArray[np.int64]:
    """Count answers against labels.

    Args:
        answers: Shape (N,), values 0, 1, 2, or -1 where no answer could be read.
        labels: Shape (N,), values 0, 1, 2.

    Returns:
        Shape (3, 4): a row per label, a column per answer; the last column is "no answer".
    """
    cells = labels * 4 + np.where(answers < 0, 3, answers)
    return np.bincount(cells, minlength=12).reshape(3, 4).astype(np.int64)


def three_class(confusion: NDArray[np.int64]) -> dict[str, float]:
    """The three-class figures, equal to scikit-learn's with `zero_division=0`.

    "No answer" is a fourth predicted class that is never true: such a row is wrong, never dropped.
    Macro-F1 is over the three classes; balanced accuracy over those which occur among the labels.

    Args:
        confusion: Shape (3, 4), as `confusion_matrix` makes it.

    Returns:
        accuracy, balanced_accuracy, macro_f1, mcc, parse_rate, and precision, recall and f1 of
        each class as `not_de_precision` and so on. Without any row the rates are not-a-number.
    """
    n = int(confusion.sum())
    true, predicted = confusion.sum(axis=1), confusion.sum(axis=0)
    hits = confusion.diagonal()
    precision = _ratio(hits, predicted[:3])
    recall = _ratio(hits, true)
    f1 = _ratio(2 * hits, true + predicted[:3])
    figures = {
        "accuracy": float(hits.sum() / n) if n else np.nan,
        "balanced_accuracy": float(recall[true > 0].mean()) if n else np.nan,
        "macro_f1": float(f1.mean()) if n else np.nan,
        "mcc": _mcc(confusion) if n else np.nan,
        "parse_rate": float(1 - predicted[3] / n) if n else np.nan,
    }
    for i, name in enumerate(CLASSES):
        figures[f"{name}_precision"] = float(precision[i])
        figures[f"{name}_recall"] = float(recall[i])
        figures[f"{name}_f1"] = float(f1[i])
    return figures


def _ratio(above: NDArray[np.int64], below: NDArray[np.int64]) -> NDArray[np.float64]:
    """Divide; zero where the denominator is zero."""
    return np.divide(above, below, out=np.zeros(len(above)), where=below > 0)


def _mcc(confusion: NDArray[np.int64]) -> float:
    """Matthews correlation for several classes, Gorodkin 2004; 0 where it is undefined."""
    # Python integers: the products of a million rows would not be exact in float64
    n, hits = int(confusion.sum()), int(confusion.diagonal().sum())
    true = [*map(int, confusion.sum(axis=1)), 0]
    predicted = [*map(int, confusion.sum(axis=0))]
    spread_true = n * n - sum(count * count for count in true)
    spread_predicted = n * n - sum(count * count for count in predicted)
    if not spread_true or not spread_predicted:
        return 0.0
    together = n * hits - sum(t * p for t, p in zip(true, predicted, strict=True))
    return float(together / (np.sqrt(spread_true) * np.sqrt(spread_predicted)))


def brier(probabilities: NDArray[np.float64], labels: NDArray[np.int64]) -> float:
    """The multi-class Brier score: the mean over rows of the summed squared differences.

    Args:
        probabilities: Shape (N, 3).
        labels: Shape (N,), values 0, 1, 2.

    Returns:
        A number in [0, 2], 0 the best; not-a-number without any row.
    """
    if not len(labels):
        return float("nan")
    return float(((probabilities - np.eye(3)[labels]) ** 2).sum(axis=1).mean())


def expected_calibration_error(
    probabilities: NDArray[np.float64], correct: NDArray[np.bool_]
) -> float:
    """How far the highest probability is from the share of rows that are right, on average.

    Fifteen bins of equal width, each open below and closed above, weighted by their rows
    (Guo et al. 2017, arXiv:1706.04599).

    Args:
        probabilities: Shape (N, 3); the highest of a row is its confidence.
        correct: Shape (N,), whether the most probable class is the true one.

    Returns:
        A number in [0, 1], 0 the best; not-a-number without any row.
    """
    if not len(correct):
        return float("nan")
    confidence = probabilities.max(axis=1)
    inner = np.arange(1, ECE_BINS) / ECE_BINS
    place = np.searchsorted(inner, confidence, side="left")
    gap = np.bincount(place, weights=confidence) - np.bincount(place, weights=correct)
    return float(np.abs(gap).sum() / len(correct))


def answer_questions(
    questions: pl.DataFrame, predictions: pl.DataFrame, file: Path | str | None = None
) -> pl.DataFrame:
    """Lay predictions beside the questions they are to answer.

    Args:
        questions: One row per question: cell_line, pert, gene, label.
        predictions: As `predictions.read_predictions` returns them.
        file: Where they were read from, for the error.

    Returns:
        One row per question: its columns, `answer`, the three probabilities by which it is
        scored (see `uniform_where_missing`) and `found`, whether there is a prediction.

    Raises:
        InputError: If a prediction is for none of the questions, or has another label than the
            benchmark gives to its question.
    """
    answers = predictions.select(*KEY, "answer", *PROBABILITIES, found=pl.lit(True))
    asked = questions.select(*KEY, "label")
    table = asked.join(answers, on=KEY, how="left", maintain_order="left")
    table = table.with_columns(pl.col("found").fill_null(False))
    if table["found"].sum() < len(predictions) or predictions["label"].count():
        _check_questions(asked, predictions, file)
    return uniform_where_missing(table)


def _check_questions(
    asked: pl.DataFrame, predictions: pl.DataFrame, file: Path | str | None
) -> None:
    told = predictions.select(*KEY, told="label")
    both = told.join(asked, on=KEY, how="left", maintain_order="left")
    unknown = both["label"].is_null().arg_true()
    if len(unknown):
        raise InputError(
            "not a question of this split's test set",
            file=file,
            row=unknown[0] + FIRST_ROW,
            got=", ".join(both.row(unknown[0])[: len(KEY)]),
            expected=f"one of its {len(asked):,} questions",
        )
    other = (both["told"] != both["label"]).arg_true()
    if len(other):
        raise InputError(
            "label contradicts the benchmark",
            file=file,
            row=other[0] + FIRST_ROW,
            column="label",
            got=both["told"][other[0]],
            expected=both["label"][other[0]],
        )


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
    labels = table["label"].to_physical().cast(pl.Int64).to_numpy()
    answers = table["answer"].to_physical().cast(pl.Int64).fill_null(-1).to_numpy()
    probabilities = table.select(PROBABILITIES).to_numpy()
    figures = three_class(confusion_matrix(answers, labels))
    likely = (probabilities.argmax(axis=1) == labels) & (answers >= 0)
    found = int(table["found"].sum())
    block = {
        "n": len(table),
        "coverage": found / len(table) if len(table) else None,
        "unparsed": found - int((answers >= 0).sum()),
        "de_auroc": _aurocs(table, 1 - probabilities[:, 0], labels != 0),
        "direction_auroc": _direction_aurocs(table, probabilities, labels),
        "three_class": {
            **{key: figures[key] for key in ("accuracy", "balanced_accuracy", "macro_f1", "mcc")},
            "brier": brier(probabilities, labels),
            "ece": expected_calibration_error(probabilities, likely),
            **{
                name: {key: figures[f"{name}_{key}"] for key in ("precision", "recall", "f1")}
                for name in CLASSES
            },
        },
    }
    clean: dict[str, Any] = _null_for_nan(block)
    return clean


def _direction_aurocs(
    table: pl.DataFrame, probabilities: NDArray[np.float64], labels: NDArray[np.int64]
) -> dict[str, Any]:
    changed = labels != 0
    up, down = probabilities[changed, 1], probabilities[changed, 2]
    either = up + down
    score = np.divide(up, either, out=np.full(len(up), 0.5), where=either > 0)
    return _aurocs(table.filter(changed), score, labels[changed] == 1)


def _aurocs(
    table: pl.DataFrame, scores: NDArray[np.float64], positive: NDArray[np.bool_]
) -> dict[str, Any]:
    """Per gene, pooled and per perturbation, each the mean over the cell lines."""
    lines = _codes(table, "cell_line")
    genes, perts = _codes(table, "gene"), _codes(table, "pert")
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


def _null_for_nan(value: Any) -> Any:  # noqa: ANN401 - any JSON value
    """The same with None for not-a-number, which JSON has not."""
    if isinstance(value, dict):
        return {key: _null_for_nan(inner) for key, inner in value.items()}
    return None if isinstance(value, float) and np.isnan(value) else value
