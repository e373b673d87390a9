"""Practice for a question: train rows hidden as a test question's own rows are.

What a fitted baseline is told of a test question hangs on whether its cell line is trained on, and
on whether its perturbation is in another cell line. Features for train rows must be as poor, or
the model leans on what it will not have: they are made out of fold, and each kind of question has
folds and a model of its own.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Final

import numpy as np

from tools.baseline.rows import Rows, stable

if TYPE_CHECKING:
    from collections.abc import Iterator

    from numpy.typing import NDArray

FOLDS: Final = 5


@dataclass(frozen=True, slots=True)
class Regime:
    """What the train split has of a question.

    Attributes:
        line: Rows of its cell line.
        pert: Rows of its perturbation in another cell line.
    """

    line: bool
    pert: bool


REGIMES: Final = tuple(Regime(line, pert) for line in (True, False) for pert in (True, False))


def matching(rows: Rows, asked: Rows, regime: Regime) -> NDArray[np.bool_]:
    """Which questions are of a regime: by the train split and the question alone.

    Args:
        rows: The train split.
        asked: Questions under the same names.
        regime: Which one.

    Returns:
        (asked,).
    """
    there = np.zeros((len(rows.lines), len(rows.perts)), bool)
    there[rows.line, rows.pert] = True
    lines = there.sum(axis=0)
    elsewhere = lines[asked.pert] > there[asked.line, asked.pert]
    line = np.isin(asked.line, rows.line)
    found: NDArray[np.bool_] = (line == regime.line) & (elsewhere == regime.pert)
    return found


def practice(rows: Rows, regime: Regime) -> Iterator[tuple[NDArray[np.bool_], NDArray[np.bool_]]]:
    """Folds in which train rows lack what questions of a regime lack.

    Args:
        rows: The train split.
        regime: What the held-out rows may still see.

    Yields:
        (rows,) what stays in the train split, and (rows,) what is asked; each row is asked about
        at most once. A fold without either is left out.
    """
    suited = matching(rows, rows, Regime(True, True)) if regime.pert else np.ones(len(rows), bool)
    for hidden, asked in _hidden(rows, regime):
        if (asked & suited).any() and not hidden.all():
            yield ~hidden, asked & suited


def _hidden(rows: Rows, regime: Regime) -> Iterator[tuple[NDArray[np.bool_], NDArray[np.bool_]]]:
    """What is hidden, and what of it is asked."""
    of_pert = rows.folds("pert", FOLDS)[rows.pert]
    if regime.line:
        fold = _in_one_line(rows) if regime.pert else of_pert
        for number in range(FOLDS):
            yield fold == number, fold == number
        return
    for line in np.unique(rows.line):
        own = rows.line == line
        if regime.pert:
            yield own, own
            continue
        for number in range(FOLDS):
            yield own | (of_pert == number), own & (of_pert == number)


def _in_one_line(rows: Rows) -> NDArray[np.int64]:
    """(rows,), a fold for each perturbation in each line, by their names."""
    width = len(rows.perts)
    cells, place = np.unique(rows.line * width + rows.pert, return_inverse=True)
    named = ((rows.lines[cell // width], rows.perts[cell % width]) for cell in cells.tolist())
    return np.array([stable(*names) % FOLDS for names in named], np.int64)[place]
