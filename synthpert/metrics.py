"""The benchmark's figures as torchmetrics `Metric`s, exact over any number of processes."""

from __future__ import annotations

from typing import Any, Literal

import torch
from torch import Tensor
from torchmetrics import Metric

from synthpert.scoring import three_class
from synthpert.scoring.blocks import line_aurocs


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


class LineAUROC(Metric):
    """The AUROC of differential expression or of direction, by PerturbQA's rule and two others.

    Rows are ranked within each cell line: per gene (the official figure; genes with one class are
    skipped), pooled, and per perturbation; each is the mean over the cell lines. Streams over
    batches and gathers over processes; equal to `synthpert.scoring` to the last digits, in
    whatever order the rows come.

    Args:
        task: `de`, 1 - p_not_de over all rows; `direction`, p_up / (p_up + p_down) over the truly
            differentially expressed rows.

    Attributes:
        scores: Float64 tensors of shape (N,), one a batch.
        facts: Int64 tensors of shape (N, 4): positive or not, cell line, gene, perturbation.
    """

    is_differentiable = False
    higher_is_better = True
    full_state_update = False

    scores: list[Tensor]
    facts: list[Tensor]

    def __init__(self, task: Literal["de", "direction"]) -> None:
        super().__init__()
        if task not in ("de", "direction"):
            raise ValueError(f"got task {task!r}; expected 'de' or 'direction'")
        self.task = task
        self.add_state("scores", [], dist_reduce_fx="cat")
        self.add_state("facts", [], dist_reduce_fx="cat")

    def update(
        self, probabilities: Tensor, labels: Tensor, lines: Tensor, genes: Tensor, perts: Tensor
    ) -> None:
        """Keep a batch.

        Args:
            probabilities: Shape (N, 3), in the order of `questions.LABELS`; 1/3 each where there
                is no answer.
            labels: Shape (N,), integers 0, 1, 2.
            lines: Shape (N,), the cell line of each row, as a number that is the same on all
                processes.
            genes: Shape (N,), its gene, likewise.
            perts: Shape (N,), its perturbation, likewise.

        Raises:
            ValueError: If the shapes differ or a probability is not a number.
        """
        n = len(labels)
        if probabilities.shape != (n, 3) or any(len(each) != n for each in (lines, genes, perts)):
            raise ValueError(f"every argument needs one row for each of the {n} labels")
        if torch.isnan(probabilities).any():
            raise ValueError("probabilities must be numbers: a NaN cannot be ranked")
        rows = labels >= 0 if self.task == "de" else labels > 0
        wide = probabilities[rows].double()
        either = wide[:, 1] + wide[:, 2]
        up = torch.where(either > 0, wide[:, 1] / either.where(either > 0, 1.0), 0.5)
        positive = labels[rows] > 0 if self.task == "de" else labels[rows] == 1
        self.scores.append(1 - wide[:, 0] if self.task == "de" else up)
        parts = [positive, lines[rows], genes[rows], perts[rows]]
        self.facts.append(torch.stack([part.long() for part in parts], dim=1))

    def sync(self, *args: Any, **kwargs: Any) -> None:
        """Gather over processes, also where one of them has not seen a row.

        torchmetrics does not gather an empty list, and the other processes would wait for it.
        """
        if not self.scores:
            self.scores.append(torch.zeros(0, dtype=torch.float64, device=self.device))
            self.facts.append(torch.zeros(0, 4, dtype=torch.int64, device=self.device))
        super().sync(*args, **kwargs)

    def compute(self) -> dict[str, Tensor]:
        """The figures of all rows kept so far.

        Returns:
            Scalars in float64: per_gene, pooled, per_perturbation; not-a-number where there is
            none.
        """
        scores = _joined(self.scores, (0,)).double().cpu().numpy()
        positive, lines, genes, perts = _joined(self.facts, (0, 4)).cpu().numpy().T
        figures = line_aurocs(scores, positive == 1, lines, genes, perts)
        return {
            name: torch.tensor(figures[name], dtype=torch.float64, device=self.device)
            for name in ("per_gene", "pooled", "per_perturbation")
        }


def _joined(state: list[Tensor] | Tensor, empty: tuple[int, ...]) -> Tensor:
    """A state as one tensor; after gathering over processes it is one already."""
    if isinstance(state, Tensor):
        return state
    return torch.cat(state) if state else torch.zeros(empty, dtype=torch.int64)
