"""Nearest neighbours over knowledge: what did similar knockdowns do to the same gene?

The retrieval half of SUMMER (Wu et al., ICLR 2025) without a language model: train rows of the
same gene, each weighted by how similar its perturbation is to the question's.
"""

from __future__ import annotations

import logging
from itertools import pairwise
from typing import TYPE_CHECKING, Final

import numpy as np

from tools.baseline.priors import gene_shares
from tools.baseline.rows import Rows, numbered, predictions
from tools.baseline.similarity import closeness, known_share, profiles

if TYPE_CHECKING:
    from collections.abc import Iterator

    import polars as pl
    from numpy.typing import NDArray

    from tools.baseline.materials import Materials

logger = logging.getLogger(__name__)

OTHER_LINE: Final = 0.5
"""The weight of a row of another cell line, of that of the same row in the question's own."""
# 0.1 to 1 rank train perturbations that are held out alike; at 0.3 their log-likelihood is highest.
PRIOR_WEIGHT: Final = 0.3
"""The weight of the gene prior beside the votes: a neighbour of cosine 0.55 has as much."""
_PAIRS_AT_ONCE: Final = 2_000_000


def knn(train: pl.DataFrame, test: pl.DataFrame, materials: Materials) -> pl.DataFrame:
    """The labels of the gene under all other train perturbations, weighted by their similarity.

    The similarity is the squared cosine over gene sets and network neighbours; the same
    perturbation in another cell line does not vote (`pair-lookup` is made of these rows), and the
    gene prior votes with a fixed small weight. Nearest neighbours weighted by distance: Dudani
    1976, with all rows as neighbours.
    """
    rows, asked = numbered(train, test)
    if known_share(materials.knowledge, rows.perts) < 0.5:
        logger.warning("knn: the knowledge has fewer than half of the perturbed genes")
    similar = closeness(profiles(materials.knowledge, rows.perts))
    own, others = votes(rows, asked, similar, rows.one_hot())
    prior = gene_shares(rows)[asked.line, asked.gene]
    return predictions(test, own + OTHER_LINE * others + PRIOR_WEIGHT * prior)


def votes(
    rows: Rows, asked: Rows, similar: NDArray[np.float32], values: NDArray[np.float64]
) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
    """Sum a train row's values over the rows of the gene asked about, weighted by similarity.

    Args:
        rows: The train split.
        asked: Questions under the same names; their own rows are not among `rows`.
        similar: (perts, perts), the weight of one perturbation's rows for another.
        values: (rows, columns), what is summed.

    Returns:
        (asked, columns) over the rows of the question's own cell line, and over the others'.
    """
    order = np.argsort(rows.gene, kind="stable")
    pert, line, values = rows.pert[order], rows.line[order], values[order]
    count = np.bincount(rows.gene, minlength=len(rows.genes))
    start = np.cumsum(count) - count
    sums = np.zeros((2 * len(asked), values.shape[1]))
    for part in _parts(count[asked.gene]):
        gene = asked.gene[part]
        owner = np.repeat(np.arange(len(gene)), count[gene])
        first = np.cumsum(count[gene]) - count[gene]
        at = np.arange(len(owner)) - np.repeat(first - start[gene], count[gene])
        weight = similar[asked.pert[part][owner], pert[at]].astype(np.float64)
        cell = 2 * owner + (line[at] != asked.line[part][owner])
        for column, value in enumerate(values.T):
            added = np.bincount(cell, weight * value[at], 2 * len(gene))
            sums[2 * part.start : 2 * part.stop, column] = added
    return sums[0::2], sums[1::2]


def _parts(sizes: NDArray[np.int64]) -> Iterator[slice]:
    """Slices of questions whose sizes sum to about what fits in memory."""
    ends = np.cumsum(sizes) // _PAIRS_AT_ONCE
    bounds = [0, *(np.flatnonzero(np.diff(ends)) + 1).tolist(), len(sizes)]
    for start, stop in pairwise(bounds):
        yield slice(start, stop)
