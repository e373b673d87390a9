"""The three-class figures as a torchmetrics `Metric`, exact over any number of processes."""

from __future__ import annotations

import torch
from torch import Tensor
from torchmetrics import Metric

from synthpert.scores import three_class


class ThreeClass(Metric):
    """Accuracy, balanced accuracy, macro-F1, MCC, and precision, recall and F1 of each class.

    All figures come from one integer confusion matrix, which is summed over processes, and are
    equal to scikit-learn's with `zero_division=0`. An answer that could not be read counts as
    wrong: it is a fourth predicted class that is never true.

    Attributes:
        confusion: Shape (3, 4), int64: a row per label, a column per answer; the last column is
            "no answer".
    """

    is_differentiable = False
    higher_is_better = True
    full_state_update = False

    confusion: Tensor

    def __init__(self) -> None:
        super().__init__()
        self.add_state("confusion", torch.zeros(3, 4, dtype=torch.int64), dist_reduce_fx="sum")

    def update(self, answers: Tensor, labels: Tensor) -> None:
        """Count a batch.

        Args:
            answers: Shape (N,), integers: 0, 1, 2 in the order of `questions.LABELS`, or -1
                where no answer could be read.
            labels: Shape (N,), integers: 0, 1, 2.

        Raises:
            ValueError: If the shapes differ or a value is none of these.
        """
        if answers.shape != labels.shape:
            raise ValueError(f"got {len(answers)} answers for {len(labels)} labels")
        if ((answers < -1) | (answers > 2)).any() or ((labels < 0) | (labels > 2)).any():
            raise ValueError("answers must be -1, 0, 1 or 2 and labels 0, 1 or 2")
        cells = labels.long() * 4 + answers.long() % 4  # -1 % 4 is 3, the column of no answer
        self.confusion += torch.bincount(cells, minlength=12).reshape(3, 4)

    def compute(self) -> dict[str, Tensor]:
        """The figures of all rows counted so far.

        Returns:
            Scalars in float64: accuracy, balanced_accuracy, macro_f1, mcc, parse_rate, and
            `{not_de,up,down}_{precision,recall,f1}`.
        """
        figures = three_class(self.confusion.cpu().numpy())
        return {
            name: torch.tensor(value, dtype=torch.float64, device=self.confusion.device)
            for name, value in figures.items()
        }
