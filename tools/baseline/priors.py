"""Baselines of class shares: of the cell line, the gene, the perturbation or the very pair.

They are the reference rows without which a figure means little: a gene prior is blind to the
perturbation, and its per-gene AUROC is 0.5 by construction.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

import numpy as np
import polars as pl

from synthpert.predictions import KEY, PROBABILITIES
from synthpert.questions import LABEL_DTYPE, LABELS
from tools.baseline.rows import Rows, numbered, predictions, stable

if TYPE_CHECKING:
    from numpy.typing import NDArray

    from tools.baseline.materials import Materials

# Of 0.01 to 20 the best in calibration, Brier score and likelihood on train perturbations that are
# held out by fold; 0.01 to 2 give the same accuracy.
SMOOTHING: Final = 1.0
"""How many rows the class shares of the cell line count for, beside a gene's own rows."""


def majority(train: pl.DataFrame, test: pl.DataFrame, materials: Materials) -> pl.DataFrame:
    """The class shares of the cell line, hence its most frequent class."""
    rows, asked = numbered(train, test)
    return predictions(test, rows.shares()[asked.line])


def class_frequency(train: pl.DataFrame, test: pl.DataFrame, materials: Materials) -> pl.DataFrame:
    """An answer drawn by the class shares of the cell line, which are its probabilities.

    The draw hangs on the question alone, so that it is the same in any selection of questions.
    """
    table = majority(train, test, materials)
    key = table.select(KEY).iter_rows()
    draws = np.array([stable(*question) for question in key], np.float64) / 2**64
    bounds = table.select(PROBABILITIES).to_numpy().cumsum(axis=1)
    # The last bound is 1 but for rounding, and a draw above it is still of the last class.
    chosen = (draws[:, None] >= bounds[:, :-1]).sum(axis=1)
    names = [LABELS[number].value for number in chosen]
    return table.with_columns(answer=pl.Series(names, dtype=LABEL_DTYPE))


def gene_prior(train: pl.DataFrame, test: pl.DataFrame, materials: Materials) -> pl.DataFrame:
    """The gene's class shares in its cell line, smoothed towards those of the line.

    A gene without a train row in the line has the shares of its rows in the other lines, and
    one without any row those of the line.
    """
    rows, asked = numbered(train, test)
    return predictions(test, gene_shares(rows)[asked.line, asked.gene])


def gene_shares(rows: Rows) -> NDArray[np.float64]:
    """(lines, genes, 3), what `gene_prior` answers.

    Args:
        rows: The train split.
    """
    counts = rows.counts("line", "gene")
    own = counts.sum(axis=2, keepdims=True) > 0
    return _smoothed(np.where(own, counts, counts.sum(axis=0)), rows.shares()[:, None])


def gene_prior_other_lines(
    train: pl.DataFrame, test: pl.DataFrame, materials: Materials
) -> pl.DataFrame:
    """The gene's class shares in the other cell lines, smoothed towards those of its line."""
    rows, asked = numbered(train, test)
    elsewhere = _elsewhere(rows.counts("line", "gene"))
    shares = _smoothed(elsewhere, rows.shares()[:, None])
    return predictions(test, shares[asked.line, asked.gene])


def pert_prior(train: pl.DataFrame, test: pl.DataFrame, materials: Materials) -> pl.DataFrame:
    """The perturbation's class shares in the other cell lines, smoothed towards those of its line.

    How strong a knockdown is, and where it mostly goes, whatever the gene.
    """
    rows, asked = numbered(train, test)
    elsewhere = _elsewhere(rows.counts("line", "pert"))
    shares = _smoothed(elsewhere, rows.shares()[:, None])
    return predictions(test, shares[asked.line, asked.pert])


def pair_lookup(train: pl.DataFrame, test: pl.DataFrame, materials: Materials) -> pl.DataFrame:
    """The labels of the same perturbation and gene in other cell lines, beside the gene prior.

    A pair that no other line trains on, as most are, has the gene prior alone.
    """
    rows, asked = numbered(train, test)
    pairs = _pairs(rows, asked)
    prior = gene_shares(rows)[asked.line, asked.gene]
    return predictions(test, _smoothed(pairs, prior))


def _pairs(rows: Rows, asked: Rows) -> NDArray[np.float64]:
    """(asked, 3), how often each label is that of the question's pair in another line."""
    width = len(rows.genes)
    known, place = np.unique(rows.pert * width + rows.gene, return_inverse=True)
    found = np.zeros((len(known) + 1, len(rows.lines), 3))
    found[place, rows.line, rows.label] = 1
    wanted = asked.pert * width + asked.gene
    at = np.searchsorted(known, wanted)
    at = np.where(np.append(known, -1)[at] == wanted, at, len(known))
    counts: NDArray[np.float64] = found[at].sum(axis=1) - found[at, asked.line]
    return counts


def _elsewhere(counts: NDArray[np.float64]) -> NDArray[np.float64]:
    """Counts in all other lines than the first axis says."""
    every: NDArray[np.float64] = counts.sum(axis=0) - counts
    return every


def _smoothed(counts: NDArray[np.float64], towards: NDArray[np.float64]) -> NDArray[np.float64]:
    total = counts.sum(axis=-1, keepdims=True) + SMOOTHING
    shares: NDArray[np.float64] = (counts + SMOOTHING * towards) / total
    return shares
