"""Scores: every figure of the benchmark, from predictions laid beside their questions.

`answer_questions` lays them there, `score_cells` scores them, `Clusters` gives the rounds of a
bootstrap over perturbations, from which intervals and differences come. Nothing heavy is imported,
so that `score` answers within a second or two; `synthpert.metrics` puts the same figures into
torchmetrics for training.
"""

from __future__ import annotations

from synthpert.scoring.answered import answer_questions
from synthpert.scoring.auroc import auroc, grouped_auroc
from synthpert.scoring.blocks import score_block, score_cells
from synthpert.scoring.calibration import brier, expected_calibration_error
from synthpert.scoring.classes import CLASSES, confusion_matrix, three_class

__all__ = [
    "CLASSES",
    "answer_questions",
    "auroc",
    "brier",
    "confusion_matrix",
    "expected_calibration_error",
    "grouped_auroc",
    "score_block",
    "score_cells",
    "three_class",
]
