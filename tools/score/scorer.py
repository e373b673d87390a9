"""Puts figures and intervals into systems, all of them with the same bootstrap weights."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Final

import numpy as np
import polars as pl

from synthpert.predictions import PROBABILITIES
from synthpert.scoring import confusion_matrix, score_block, score_cells
from synthpert.scoring.answered import answer_numbers, label_numbers, likely_right
from synthpert.scoring.bootstrap import Clusters, draw_weights
from synthpert.scoring.calibration import reliability, retention
from synthpert.scoring.intervals import value_of, with_intervals

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from synthpert.scoring.bootstrap import Figures
    from tools.score.systems import System


_FEWEST_CLUSTERS: Final = 2


class Scorer:
    """The test questions, and the weights of their perturbations in every round.

    Args:
        test: The test questions.
        rounds: Of the bootstrap; 0 for no intervals.
        seed: Of the bootstrap.
    """

    def __init__(self, test: pl.DataFrame, rounds: int, seed: int) -> None:
        self._test = test
        self._perts = test["pert"].unique().sort()
        self._weights = draw_weights(len(self._perts), rounds, seed) if rounds else None
        self._whole = self._clusters(test)
        self._parts: dict[tuple[str, str], Clusters | None] = {}

    def score(self, system: System) -> None:
        """Score each cell line and all together: `blocks`, `spread` and `rounds`.

        Args:
            system: Its tables are read.
        """
        each = [score_cells(table) for table in system.tables]
        blocks = [{**scores["cells"], "all": scores["all"]} for scores in each]
        system.rounds = self._mean_rounds(self._whole, system.tables)
        for cell in blocks[0]:
            seeds = [block[cell] for block in blocks]
            mean = _mean_block(seeds)
            system.blocks[cell] = with_intervals(mean, system.rounds.get(cell))
            if len(seeds) > 1:
                system.spread[cell] = {name: _sd(seeds, name) for name in _names(mean)}
        self._look_closer(system)

    def _look_closer(self, system: System) -> None:
        """What is no single figure: confusion, calibration, and abstention."""
        table = pl.concat(system.tables)
        labels, answers = label_numbers(table), answer_numbers(table)
        probabilities = table.select(PROBABILITIES).to_numpy()
        likely = likely_right(probabilities, answers, labels)
        for cell in system.blocks:
            rows = np.ones(len(table), bool)
            if cell != "all":
                rows = (table["cell_line"] == cell).to_numpy()
            system.confusion[cell] = confusion_matrix(answers[rows], labels[rows]).tolist()
            system.calibration[cell] = reliability(probabilities[rows], likely[rows])
            right = answers[rows] == labels[rows]
            system.retention[cell] = retention(probabilities[rows], right, answers[rows] >= 0)

    def score_parts(
        self, system: System, part: str, masks: Mapping[str, pl.Series]
    ) -> dict[str, dict[str, Any]]:
        """Score some of the questions apart, all cell lines together.

        Args:
            system: Its tables are read.
            part: What the masks are called.
            masks: Name to a mask over the test questions.

        Returns:
            Name to the BLOCK of these questions; those without any are left out.
        """
        found = {}
        for name, mask in masks.items():
            if mask.any():
                tables = [table.filter(mask) for table in system.tables]
                if (part, name) not in self._parts:
                    self._parts[part, name] = self._clusters(self._test.filter(mask))
                rounds = self._mean_rounds(self._parts[part, name], tables)
                block = _mean_block([score_block(table) for table in tables])
                found[name] = with_intervals(block, rounds.get("all"))
        return found

    def _clusters(self, questions: pl.DataFrame) -> Clusters | None:
        return None if self._weights is None else Clusters(questions, self._perts)

    def _mean_rounds(
        self, clusters: Clusters | None, tables: Sequence[pl.DataFrame]
    ) -> dict[str, Figures]:
        """The figures of each round, meant over the seeds; none of a single perturbation."""
        if clusters is None or self._weights is None:
            return {}
        each = [clusters.rounds(table, self._weights) for table in tables]
        return {
            cell: {
                name: np.mean([rounds[cell][name] for rounds in each], axis=0)
                # One cluster does not spread, which would look like certainty.
                + (np.nan if clusters.counts[cell] < _FEWEST_CLUSTERS else 0.0)
                for name in figures
            }
            for cell, figures in each[0].items()
        }


def _names(block: Mapping[str, Any], above: str = "") -> list[str]:
    """The dotted names of the figures of a BLOCK."""
    found = []
    for name, value in block.items():
        nested = isinstance(value, dict)
        found += _names(value, f"{above}{name}.") if nested else [above + name]
    return found


def _mean_block(blocks: Sequence[Mapping[str, Any]]) -> dict[str, Any]:
    """The mean of each figure; whole numbers that all agree on stay whole."""
    found: dict[str, Any] = {}
    for name, first in blocks[0].items():
        values = [block[name] for block in blocks]
        if isinstance(first, dict):
            found[name] = _mean_block(values)
        elif all(value == first for value in values):
            found[name] = first
        else:
            found[name] = None if None in values else float(np.mean(values))
    return found


def _sd(blocks: Sequence[Mapping[str, Any]], name: str) -> float | None:
    values = [value_of(block, name) for block in blocks]
    real = [value for value in values if value is not None]
    return float(np.std(real, ddof=1)) if len(real) == len(values) else None
