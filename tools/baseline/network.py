"""PHYSICAL of PerturbQA: are the two genes joined by an edge?"""

from __future__ import annotations

import logging
from typing import TYPE_CHECKING

import numpy as np

from tools.baseline.rows import Rows, numbered, predictions

if TYPE_CHECKING:
    import polars as pl
    from numpy.typing import NDArray

    from synthpert.knowledge import Knowledge
    from tools.baseline.materials import Materials

logger = logging.getLogger(__name__)


def physical(train: pl.DataFrame, test: pl.DataFrame, materials: Materials) -> pl.DataFrame:
    """The class shares of train rows whose genes are joined by an edge, or are not.

    PerturbQA's PHYSICAL (Wu et al., ICLR 2025) answers 1 where the STRING physical network has
    an edge; this ranks the same way and is calibrated besides. Any edge list will do; without one
    it is the networks of the knowledge folder.
    """
    rows, asked = numbered(train, test)
    joined, wanted = edges(materials.network, rows), edges(materials.network, asked)
    shares = np.stack([_shares(rows, ~joined), _shares(rows, joined)])
    logger.info("physical: %s of %s questions have an edge", f"{wanted.sum():,}", f"{len(asked):,}")
    return predictions(test, shares[wanted.astype(np.int64), asked.line])


def edges(network: Knowledge, rows: Rows) -> NDArray[np.bool_]:
    """Whether an edge joins the perturbed to the measured gene of each row.

    Args:
        network: Any networks, taken together.
        rows: Questions.
    """
    count = len(network.index)
    near = network.neighbours
    known = np.sort(near.owners() * count + near.values)
    # An unknown gene has a number that makes no pair of known ones.
    pert, gene = (
        np.array([-1 if n is None else n for n in map(network.index.number, names)], np.int64)
        for names in (rows.perts, rows.genes)
    )
    pair = np.where((pert[rows.pert] < 0) | (gene[rows.gene] < 0), -1, 0)
    pair = np.where(pair < 0, -1, pert[rows.pert] * count + gene[rows.gene])
    found: NDArray[np.bool_] = np.isin(pair, known)
    return found


def _shares(rows: Rows, chosen: NDArray[np.bool_]) -> NDArray[np.float64]:
    """(lines, 3) of some rows, with one row's weight of the line's own shares."""
    counts = rows.where(chosen).counts("line")
    total = counts.sum(axis=1, keepdims=True) + 1
    shares: NDArray[np.float64] = (counts + rows.shares()) / total
    return shares
