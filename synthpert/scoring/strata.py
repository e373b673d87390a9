"""Strata of the test questions: by what training has seen, and by how well the gene is known."""

from __future__ import annotations

import itertools
from typing import TYPE_CHECKING, Final

import numpy as np
import polars as pl

from synthpert.questions.leakage import trained_elsewhere

if TYPE_CHECKING:
    from collections.abc import Mapping

    from synthpert.knowledge import Knowledge

SEEN: Final = "perturbation"
TRAIN_ROWS: Final = "gene_train_rows"
FACTS: Final = "gene_facts"
_ROW_EDGES: Final = (0, 25, 50, 100, 200)
_FACT_EDGES: Final = (0, 10, 30, 100)


def by_perturbation(train: pl.DataFrame, test: pl.DataFrame) -> dict[str, pl.Series]:
    """Whether training has seen the perturbation.

    Args:
        train: Columns cell_line, pert, gene.
        test: The same.

    Returns:
        Name of the stratum to a mask over the rows of `test`. A stratum that no split of the
        benchmark has, the perturbation trained on in the row's own cell line, is left out where
        it is empty.
    """
    seen = trained_elsewhere(train, test, ["pert"])
    here, elsewhere = seen["here"], seen["elsewhere"]
    strata = {
        "seen in another line": elsewhere & ~here,
        "unseen anywhere": ~elsewhere & ~here,
    }
    return strata | ({"seen in the same line": here} if here.any() else {})


def by_train_rows(train: pl.DataFrame, test: pl.DataFrame) -> dict[str, pl.Series]:
    """How many train rows the gene has in the row's own cell line.

    Args:
        train: Columns cell_line, gene.
        test: The same.

    Returns:
        Name of the stratum to a mask over the rows of `test`.
    """
    key = ["cell_line", "gene"]
    counts = train.group_by(key).agg(rows=pl.len())
    joined = test.select(key).join(counts, on=key, how="left", maintain_order="left")
    return _binned(joined["rows"].fill_null(0), _ROW_EDGES)


def by_facts(knowledge: Knowledge, test: pl.DataFrame) -> dict[str, pl.Series]:
    """How many facts of the knowledge files are about the gene: its sets and its neighbours.

    Args:
        knowledge: Sets and networks.
        test: Column gene.

    Returns:
        Name of the stratum to a mask over the rows of `test`.
    """
    facts = knowledge.sets.lengths + knowledge.neighbours.lengths
    known: Mapping[str, int] = {
        gene: int(facts[number]) if (number := knowledge.index.number(gene)) is not None else 0
        for gene in test["gene"].unique()
    }
    return _binned(test["gene"].replace_strict(known, return_dtype=pl.Int64), _FACT_EDGES)


def _binned(counts: pl.Series, edges: tuple[int, ...]) -> dict[str, pl.Series]:
    """Masks for 0, for each span up to an edge, and for what is above the last one."""
    place = np.searchsorted(edges, counts.to_numpy(), side="left")
    names = ["0", *(f"{low + 1} to {high}" for low, high in itertools.pairwise(edges))]
    names.append(f"above {edges[-1]}")
    return {name: pl.Series(place == i) for i, name in enumerate(names) if (place == i).any()}
