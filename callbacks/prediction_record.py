"""What is said of a prediction file: in its record, and in the line that tells where it lies."""

from __future__ import annotations

from dataclasses import asdict
from typing import TYPE_CHECKING, Any

from synthpert.scoring import three_class

if TYPE_CHECKING:
    from pathlib import Path

    import lightning as L
    import numpy as np
    from numpy.typing import NDArray


def how_decoded(student: L.LightningModule) -> dict[str, Any]:
    """How a student answers beside its weights: its decoding, as plain values.

    Args:
        student: The student; one that does not tell has none.
    """
    decoding = getattr(student, "decoding", None)
    told = asdict(decoding) if decoding is not None else {}
    # How many prompts stand side by side decides no answer.
    told.pop("batch_size", None)
    return told


def how_answered(trainer: L.Trainer, probe: str | None) -> dict[str, Any]:
    """What decides a student's answers beside its weights, for the file's record.

    Args:
        trainer: With the student and, if it has one, its data module.
        probe: What was exchanged in the questions.

    Returns:
        Names and plain values; what the student does not tell is left out.
    """
    student: Any = trainer.lightning_module
    decoding = getattr(student, "decoding", None)
    meaning = getattr(decoding, "meaning", "of the three labels")
    split = getattr(getattr(trainer, "datamodule", None), "split", None)
    return {
        "system": "student",
        "engine": getattr(student, "engine_name", None),
        "decoding": how_decoded(student),
        "probe": probe,
        "split": split,
        "probabilities": meaning,
    }


def figures_of(confusion: NDArray[np.int64]) -> dict[str, float]:
    """The three-class figures, with the accuracy of always giving the commonest label.

    Args:
        confusion: (3, 4) counts, labels by answers, as `confusion_matrix` gives them.
    """
    majority = float(confusion.sum(axis=1).max() / confusion.sum())
    return {**three_class(confusion), "majority_accuracy": majority}


def where_it_lies(count: int, path: Path, figures: dict[str, float]) -> str:
    """The line that ends `test` and `predict`.

    Args:
        count: Predictions in the file.
        path: The file.
        figures: As `figures_of` gives them; empty where no label is known.
    """
    line = f"{count:,} predictions lie in {path}"
    if not figures:
        return line
    return (
        f"{line}: accuracy {figures['accuracy']:.4f} (majority class "
        f"{figures['majority_accuracy']:.4f}), macro-F1 {figures['macro_f1']:.4f}"
    )
