"""A bootstrap over perturbations: every figure in every round, from sums a perturbation.

The rows of a perturbation share its strength and its direction, so they are no independent
observations: a perturbation is drawn as a whole, under its name, in all cell lines together. The
bootstrap is the Bayesian one (Rubin 1981, doi:10.1214/aos/1176345338): a round gives each
perturbation a weight from the exponential distribution with mean 1. No weight is zero, so no gene
loses one of its classes and the set of genes behind a per-gene AUROC is the same in each round. A
pair of rows weighs the product of its two weights (Owen and Eckles 2012, doi:10.1214/12-AOAS547).
The weights depend on perturbation, round and seed alone: differences between systems are paired.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Final

import numpy as np
import polars as pl

from synthpert.predictions import PROBABILITIES
from synthpert.scoring.answered import (
    answer_numbers,
    direction_score,
    label_numbers,
    likely_right,
)
from synthpert.scoring.calibration import BINS, confidence_bins, squared_differences
from synthpert.scoring.classes import CLASSES, RATES, confusion_cells, three_class_each
from synthpert.scoring.wins import Contest

if TYPE_CHECKING:
    from numpy.typing import NDArray

    Figures = dict[str, NDArray[np.float64]]

SEED: Final = 0
_CELLS: Final = 12
_CLASS_FIGURES: Final = {
    **{name: name for name in ("accuracy", "balanced_accuracy", "macro_f1", "mcc")},
    **{f"{name}.{rate}": f"{name}_{rate}" for name in CLASSES for rate in RATES},
}


def draw_weights(clusters: int, rounds: int, seed: int = SEED) -> NDArray[np.float64]:
    """Draw the weights of a Bayesian bootstrap.

    Args:
        clusters: How many perturbations there are.
        rounds: How many rounds.
        seed: Of the generator.

    Returns:
        Shape (clusters, rounds), from the exponential distribution with mean 1.
    """
    return np.random.default_rng(seed).standard_exponential((rounds, clusters)).T.copy()


@dataclass(frozen=True, slots=True)
class _Line:
    """A cell line: its rows in the table, and what is ranked in it."""

    rows: NDArray[np.int64]
    names: NDArray[np.int64]
    clusters: NDArray[np.int64]
    labels: NDArray[np.int64]
    de: Contest
    direction: Contest


class Clusters:
    """The perturbations behind a set of questions.

    Args:
        questions: Columns cell_line, pert, gene, label; a row per question.
        perts: The names that the rows of the weights stand for; those of `questions` among them.

    Attributes:
        height: How many questions there are.
        counts: How many perturbations, by cell line and for `all`.
        lines: What is ranked in each cell line.
    """

    def __init__(self, questions: pl.DataFrame, perts: pl.Series) -> None:
        numbers = {name: number for number, name in enumerate(perts)}
        codes = questions["pert"].replace_strict(numbers, return_dtype=pl.Int64).to_numpy()
        genes = questions["gene"].rank("dense").to_numpy()
        lines = questions["cell_line"]
        self.height = len(questions)
        self.counts = {"all": len(np.unique(codes))}
        self.lines = {
            name: _line((lines == name).arg_true().to_numpy(), codes, genes, questions)
            for name in lines.unique(maintain_order=True)
        }
        self.counts |= {name: len(line.names) for name, line in self.lines.items()}

    def rounds(self, answered: pl.DataFrame, weights: NDArray[np.float64]) -> dict[str, Figures]:
        """Score a system in every round.

        Args:
            answered: As `answer_questions` returns it, for the same questions in the same order.
            weights: Shape (perturbations, R), as `draw_weights` makes it.

        Returns:
            For each cell line and `all`: the figures of a BLOCK by their dotted names, such as
            `de_auroc.per_gene`, each of shape (R,); not-a-number where a figure does not exist.

        Raises:
            ValueError: If there are not as many answers as questions.
        """
        if len(answered) != self.height:
            raise ValueError(f"got {len(answered)} rows for {self.height} questions")
        answers = answer_numbers(answered)
        probabilities = answered.select(PROBABILITIES).to_numpy()
        found: dict[str, Figures] = {}
        sums: list[Figures] = []
        for name, line in self.lines.items():
            drawn = weights[line.names]
            sums.append(_sums(line, answers[line.rows], probabilities[line.rows], drawn))
            found[name] = _figures(sums[-1]) | _aurocs(line, probabilities[line.rows], drawn)
        found["all"] = _together(sums, list(found.values()))
        return found


def _line(
    rows: NDArray[np.int64],
    codes: NDArray[np.int64],
    genes: NDArray[np.uint32],
    questions: pl.DataFrame,
) -> _Line:
    names, clusters = np.unique(codes[rows], return_inverse=True)
    labels = label_numbers(questions)[rows]
    changed = labels != 0
    count = len(names)
    return _Line(
        rows,
        names,
        clusters,
        labels,
        Contest.of(changed, genes[rows], clusters, count),
        Contest.of(labels[changed] == 1, genes[rows][changed], clusters[changed], count),
    )


def _sums(
    line: _Line,
    answers: NDArray[np.int64],
    probabilities: NDArray[np.float64],
    weights: NDArray[np.float64],
) -> Figures:
    """What is a weighted sum over perturbations: `confusion` (R, 12), `brier` and `gaps`."""
    count = len(line.names)
    confidence = probabilities.max(axis=1)
    gap = confidence - likely_right(probabilities, answers, line.labels)

    def summed(
        places: NDArray[np.int64], width: int, values: NDArray[np.float64] | None = None
    ) -> NDArray[np.float64]:
        each = np.bincount(line.clusters * width + places, values, count * width)
        total: NDArray[np.float64] = weights.T @ each.reshape(count, width)
        return total

    none = np.zeros(len(answers), np.int64)
    return {
        "confusion": summed(confusion_cells(answers, line.labels), _CELLS),
        "brier": summed(none, 1, squared_differences(probabilities, line.labels))[:, 0],
        "gaps": summed(confidence_bins(confidence), BINS, gap),
    }


def _figures(sums: Figures) -> Figures:
    """The figures that follow from weighted sums."""
    confusion = sums["confusion"]
    n = confusion.sum(axis=1)
    each = three_class_each(confusion.reshape(-1, 3, 4))
    figures = {f"three_class.{name}": each[source] for name, source in _CLASS_FIGURES.items()}
    figures["three_class.brier"] = sums["brier"] / n
    figures["three_class.ece"] = np.abs(sums["gaps"]).sum(axis=1) / n
    return figures


def _aurocs(
    line: _Line, probabilities: NDArray[np.float64], weights: NDArray[np.float64]
) -> Figures:
    direction = direction_score(probabilities[line.labels != 0])
    parts = {
        "de_auroc": line.de.rounds(1 - probabilities[:, 0], weights),
        "direction_auroc": line.direction.rounds(direction, weights),
    }
    return {f"{task}.{name}": each for task, part in parts.items() for name, each in part.items()}


def _together(sums: list[Figures], lines: list[Figures]) -> Figures:
    """All cell lines: sums are added; an AUROC is the mean over the lines that have one."""
    if not sums:
        return {}
    figures = _figures({name: np.sum([part[name] for part in sums], axis=0) for name in sums[0]})
    for name in lines[0]:
        if name not in figures:
            each = np.array([line[name] for line in lines if not np.isnan(line[name]).any()])
            none = np.full(len(lines[0][name]), np.nan)
            figures[name] = each.mean(axis=0) if len(each) else none
    return figures
