"""The baselines by name, and the answers of one or of all reference rows."""

from __future__ import annotations

import difflib
import logging
from collections.abc import Callable
from pathlib import Path
from typing import Final

import polars as pl

from synthpert.errors import InputError
from synthpert.knowledge import find_knowledge
from synthpert.predictions import most_probable
from tools.baseline.gat import gat
from tools.baseline.knn import knn
from tools.baseline.learned import knn_gb, knn_lr
from tools.baseline.linear import logistic
from tools.baseline.materials import Materials
from tools.baseline.network import physical
from tools.baseline.priors import (
    class_frequency,
    gene_prior,
    gene_prior_other_lines,
    majority,
    pair_lookup,
    pert_prior,
)
from tools.baseline.similarity import known_share
from tools.baseline.stacking import stack
from tools.baseline.vectors import genept

logger = logging.getLogger(__name__)

Baseline = Callable[[pl.DataFrame, pl.DataFrame, Materials], pl.DataFrame]

BASELINES: Final[dict[str, Baseline]] = {
    "majority": majority,
    "class-frequency": class_frequency,
    "gene-prior": gene_prior,
    "gene-prior-other-lines": gene_prior_other_lines,
    "pert-prior": pert_prior,
    "pair-lookup": pair_lookup,
    "logistic": logistic,
    "physical": physical,
    "knn": knn,
    "knn-lr": knn_lr,
    "knn-gb": knn_gb,
    "stack": stack,
    "genept": genept,
    "gat": gat,
}
REFERENCES: Final = (
    "majority",
    "class-frequency",
    "gene-prior",
    "gene-prior-other-lines",
    "pert-prior",
    "pair-lookup",
    "knn",
)
"""The rows that stand beside every score."""
_LEAST_KNOWN: Final = 0.5


def check_name(name: str) -> None:
    """Refuse a name that is no baseline's.

    Args:
        name: As typed.

    Raises:
        InputError: With the nearest one.
    """
    if name not in BASELINES:
        near = difflib.get_close_matches(name, BASELINES, n=1)
        expected = ", ".join(BASELINES) + (f"; did you mean {near[0]!r}?" if near else "")
        raise InputError("unknown baseline", file="synthpert baseline", got=name, expected=expected)


def answer(
    name: str,
    train: pl.DataFrame,
    test: pl.DataFrame,
    knowledge: Path | None = None,
    *,
    materials: Materials | None = None,
) -> pl.DataFrame:
    """Answer questions with a baseline.

    Args:
        name: One of `BASELINES`.
        train: Columns cell_line, pert, gene, label; the baseline is fitted on them.
        test: The same columns; the labels are only copied.
        knowledge: Folder of knowledge files, for the baselines that use it; None as in
            `find_knowledge`.
        materials: All of a baseline's materials, instead of `knowledge` alone.

    Returns:
        One prediction per row of `test`: the probabilities, the most probable class as the
        answer (`class-frequency` draws its own), and `baseline/NAME` as the model.

    Raises:
        InputError: If there is no train or test row, no such baseline, or a file that it needs is
            wrong.
    """
    check_name(name)
    for part, table in (("train row to fit a baseline on", train), ("test row to answer", test)):
        if table.is_empty():
            raise InputError(f"no {part}", file=f"baseline {name}")
    table = BASELINES[name](train, test, materials or Materials(knowledge))
    if "answer" not in table.columns:
        table = table.with_columns(most_probable(table).alias("answer"))
    return table.with_columns(pl.lit(f"baseline/{name}").alias("model"))


def references(
    train: pl.DataFrame,
    test: pl.DataFrame,
    knowledge: Path | None = None,
    *,
    materials: Materials | None = None,
) -> dict[str, pl.DataFrame]:
    """Answer questions with every reference row.

    Args:
        train: Columns cell_line, pert, gene, label.
        test: The same.
        knowledge: Folder of knowledge files; None as in `find_knowledge`.
        materials: As in `answer`; whoever goes on with its knowledge reads the files once.

    Returns:
        The predictions by name, in the order of `REFERENCES`. `knn` is left out, and logged,
        where the folder has no knowledge or lacks most of the perturbed genes, as the bundled
        sample does of the whole benchmark.

    Raises:
        InputError: If there is no train row, or `knowledge` is given and broken.
    """
    materials = materials or Materials(knowledge)
    names = [name for name in REFERENCES if name != "knn" or _knows(materials, train, test)]
    return {name: answer(name, train, test, materials=materials) for name in names}


def _knows(materials: Materials, train: pl.DataFrame, test: pl.DataFrame) -> bool:
    """Whether the knowledge is of the perturbed genes."""
    folder = find_knowledge(materials.folder)
    if materials.folder is None and not folder.is_dir():
        logger.warning("no reference row knn: no knowledge folder %s", folder)
        return False
    perts = pl.concat([train["pert"], test["pert"]]).unique().to_list()
    share = known_share(materials.knowledge, perts)
    if share < _LEAST_KNOWN:
        logger.warning("no reference row knn: %s has %.0f %% of the genes", folder, 100 * share)
    return share >= _LEAST_KNOWN
