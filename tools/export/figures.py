"""The figures that a run has: of its test split, and the last ones of its log."""

from __future__ import annotations

import csv
import json
import logging
from typing import TYPE_CHECKING, Any, Final

from synthpert.errors import InputError

if TYPE_CHECKING:
    from pathlib import Path

    from tools.export.loading import Trained

log = logging.getLogger(__name__)

_LOGGED: Final = (
    *("train_loss", "val_loss", "eval_accuracy", "eval_majority_accuracy", "eval_macro_f1"),
    "eval_parse_rate",
)
_FIGURES: Final = {
    "questions": ("n",),
    "share of them in the file": ("coverage",),
    "answers that could not be read": ("unparsed",),
    "accuracy": ("three_class", "accuracy"),
    "macro-F1": ("three_class", "macro_f1"),
    "MCC": ("three_class", "mcc"),
    "AUROC of differential expression, per gene": ("de_auroc", "per_gene"),
    "AUROC of direction, per gene": ("direction_auroc", "per_gene"),
}


def scores(trained: Trained) -> tuple[str, list[tuple[str, object]]]:
    """Figures of the test split: of the run's score.json, else of its predictions.

    Args:
        trained: The student, its recipe and its run.

    Returns:
        A sentence that says whence, and names with values; both empty where the run has neither
        file, and logged where one of them cannot be read.
    """
    file = trained.run / "score.json"
    try:
        if file.is_file():
            files = json.loads(file.read_text(encoding="utf-8"))["files"]
            name, found = next(iter(files.items()))
            split = found["protocol"]["split"]
            return f"Of `score.json`, {name}, split {split}:", _figures(found["all"])
        found = _scored(trained)
    except (InputError, ValueError, LookupError, TypeError, StopIteration) as error:
        log.warning("no scores of the run: %s", error)
        return "", []
    split = getattr(trained.built.data, "split", "default")
    return f"Of `predictions.parquet`, split {split}:", _figures(found) if found else []


def _scored(trained: Trained) -> dict[str, Any]:
    from synthpert.predictions import read_predictions
    from synthpert.questions import read_questions, split_questions
    from synthpert.scoring import answer_questions, score_cells

    file, data = trained.run / "predictions.parquet", trained.built.data
    if not file.is_file():
        return {}
    _, test = split_questions(read_questions(data.data, data.cell_lines), data.split)
    predictions = read_predictions(file, text=False)
    block: dict[str, Any] = score_cells(answer_questions(test, predictions, file))["all"]
    return block


def _figures(block: dict[str, Any]) -> list[tuple[str, object]]:
    rows: list[tuple[str, object]] = []
    for name, keys in _FIGURES.items():
        value: Any = block
        for key in keys:
            value = value[key]
        # With intervals a figure is an object of its own.
        rows.append((name, value["value"] if isinstance(value, dict) else value))
    return rows


def logged(file: Path) -> list[tuple[str, object, object]]:
    """The last value of the metrics that tell most, with its step.

    Args:
        file: The run's metrics.csv; without one there is no row.
    """
    if not file.is_file():
        return []
    last: dict[str, tuple[str, float]] = {}
    with file.open(newline="", encoding="utf-8") as opened:
        for row in csv.DictReader(opened):
            for name in _LOGGED:
                if row.get(name):
                    last[name] = (row.get("step") or "", float(row[name]))
    return [(name, *last[name]) for name in _LOGGED if name in last]
