"""Time of scoring the whole benchmark, and of its per-gene AUROC beside a loop over scikit-learn.

    python benchmarks/scoring_speed.py DATA      # or SYNTHPERT_DATA=DATA

The system is a gene prior with seeded noise, so that hardly any two rows are tied. All ways are
measured in turn, in one process; the smallest times are printed, wall clock and CPU.
"""

from __future__ import annotations

import os
import sys
import time
from collections.abc import Callable

import numpy as np
import polars as pl
from sklearn.metrics import roc_auc_score

from synthpert.predictions import PROBABILITIES
from synthpert.questions import Label, read_questions, split_questions
from synthpert.scoring import answer_questions, score_cells
from synthpert.scoring.auroc import grouped_auroc
from synthpert.scoring.bootstrap import Clusters, draw_weights
from synthpert.scoring.intervals import with_intervals
from tools.baseline import answer

ROUNDS = 1000
REPEATS = 3


def noisy(train: pl.DataFrame, test: pl.DataFrame) -> pl.DataFrame:
    """A gene prior with seeded noise, laid beside the questions."""
    table = answer("gene-prior", train, test)
    noise = np.random.default_rng(0).dirichlet(np.ones(3), len(test))
    p = 0.8 * table.select(PROBABILITIES).to_numpy() + 0.2 * noise
    columns = [pl.Series(name, p[:, i]) for i, name in enumerate(PROBABILITIES)]
    return table.with_columns(columns)


def genes_of(table: pl.DataFrame) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Score, class and gene (within its cell line) of each row."""
    genes = table.select(pl.struct("cell_line", "gene").rank("dense")).to_series().to_numpy()
    positive = (table["label"] != Label.NOT_DE.value).to_numpy()
    return 1 - table["p_not_de"].to_numpy(), positive, genes


def loop(scores: np.ndarray, positive: np.ndarray, genes: np.ndarray) -> float:
    """The per-gene AUROC as PerturbQA's evaluation makes it: gene by gene with scikit-learn."""
    order = np.argsort(genes, kind="stable")
    starts = np.flatnonzero(np.diff(genes[order])) + 1
    areas = []
    for rows in np.split(order, starts):
        if positive[rows].any() and not positive[rows].all():
            areas.append(roc_auc_score(positive[rows], scores[rows]))
    return float(np.mean(areas))


def with_rounds(table: pl.DataFrame, test: pl.DataFrame) -> dict[str, object]:
    """Every figure of every cell line with its interval."""
    scores = score_cells(table)
    perts = test["pert"].unique().sort()
    rounds = Clusters(test, perts).rounds(table, draw_weights(len(perts), ROUNDS))
    blocks = {**scores["cells"], "all": scores["all"]}
    return {cell: with_intervals(block, rounds[cell]) for cell, block in blocks.items()}


def main() -> None:
    """Print the table."""
    data = sys.argv[1] if len(sys.argv) == 2 else os.environ.get("SYNTHPERT_DATA")
    if data is None or data.startswith("-"):
        sys.exit("usage: python benchmarks/scoring_speed.py DATA")
    train, test = split_questions(read_questions(data))
    predictions = noisy(train, test)
    table = answer_questions(test, predictions)
    parts = genes_of(table)
    ways: dict[str, Callable[[], object]] = {
        "per-gene AUROC: a loop over `roc_auc_score`": lambda: loop(*parts),
        "per-gene AUROC: `grouped_auroc`": lambda: grouped_auroc(*parts)[0],
        "every figure, four lines and all": lambda: score_cells(
            answer_questions(test, predictions)
        ),
        f"the same with {ROUNDS:,} bootstrap rounds": lambda: with_rounds(table, test),
    }
    best = dict.fromkeys(ways, (np.inf, np.inf))
    for _ in range(REPEATS):
        for name, way in ways.items():
            wall, cpu = time.perf_counter(), time.process_time()
            way()
            took = time.perf_counter() - wall, time.process_time() - cpu
            best[name] = (min(best[name][0], took[0]), min(best[name][1], took[1]))
    slow, fast = list(ways)[:2]
    apart = abs(loop(*parts) - grouped_auroc(*parts)[0])
    print(f"{len(test):,} rows, {test['pert'].n_unique():,} perturbations\n")
    print("| | seconds | CPU seconds |\n| --- | ---: | ---: |")
    for name, (wall, cpu) in best.items():
        print(f"| {name} | {wall:.3f} | {cpu:.3f} |")
    print(f"\nratio of the first two: {best[slow][1] / best[fast][1]:.0f} (CPU); ", end="")
    print(f"they differ by {apart:.0e}")


if __name__ == "__main__":
    main()
