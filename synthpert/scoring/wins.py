"""Who beats whom: the AUROC as sums over pairs of clusters, so that weights can be put on them.

A bootstrap over perturbations gives each perturbation c a weight w[c]. Pooled over the rows of a
cell line, the weighted AUROC is w'Mw / w'Nw, where M[c, d] counts the pairs (a positive row of c,
a negative row of d) that are in the right order, ties half, and N[c, d] all such pairs. Per gene,
each pair counts 1 / (the gene's number of pairs), so that with equal weights every gene counts
the same: the mean over genes, as PerturbQA has it.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np

from synthpert.scoring.auroc import group_areas

if TYPE_CHECKING:
    from numpy.typing import NDArray


@dataclass(frozen=True, slots=True)
class Pairs:
    """All pairs of a positive and a negative row of the same gene, and the cluster of each row.

    Attributes:
        positive: Shape (T,), the place of the pair's positive row.
        negative: Shape (T,), that of its negative row.
        cell: Shape (T,), cluster of the one times the number of clusters plus that of the other.
        weight: Shape (T,), one over the number of pairs of the gene.
        total: Shape (C, C), the weights summed over the pairs of two clusters.
    """

    positive: NDArray[np.int32]
    negative: NDArray[np.int32]
    cell: NDArray[np.int32]
    weight: NDArray[np.float64]
    total: NDArray[np.float64]

    @classmethod
    def of(
        cls,
        positive: NDArray[np.bool_],
        genes: NDArray[np.integer[Any]],
        clusters: NDArray[np.int64],
        count: int,
    ) -> Pairs:
        """List the pairs; genes with one class have none.

        Args:
            positive: Shape (N,), the class of each row.
            genes: Shape (N,), its gene.
            clusters: Shape (N,), its cluster, below `count`.
            count: How many clusters there are.
        """
        order = np.lexsort((~positive, genes))
        gene = genes[order]
        start = np.flatnonzero(np.r_[True, gene[1:] != gene[:-1]][: len(gene)])
        if not len(start):
            start = np.zeros(1, np.int64)
        size = np.diff(np.r_[start, len(gene)])
        ups = np.add.reduceat(np.r_[positive[order], False].astype(np.int64), start)
        downs = size - ups
        pairs = ups * downs
        # Of the first gene's pairs, the number 0, 1, ...; then those of the second.
        number = np.arange(pairs.sum()) - np.repeat(np.cumsum(pairs) - pairs, pairs)
        down = np.repeat(downs, pairs)
        first = order[np.repeat(start, pairs) + number // np.maximum(down, 1)]
        second = order[np.repeat(start + ups, pairs) + number % np.maximum(down, 1)]
        cell = clusters[first] * count + clusters[second]
        weight = np.repeat(1 / np.maximum(pairs, 1), pairs)
        total = summed(cell, weight, count * count).reshape(count, count)
        short = [part.astype(np.int32) for part in (first, second, cell)]
        return cls(short[0], short[1], short[2], weight, total)

    def wins(self, scores: NDArray[np.float64]) -> NDArray[np.float64]:
        """The weights of the pairs in the right order, ties half.

        Args:
            scores: Shape (N,), higher for the positive class.

        Returns:
            Shape (C, C), a row for the cluster of the positive row.
        """
        high, low = scores[self.positive], scores[self.negative]
        right = ((high > low) + 0.5 * (high == low)) * self.weight
        return summed(self.cell, right, self.total.size).reshape(self.total.shape)


def pooled_wins(
    scores: NDArray[np.float64],
    positive: NDArray[np.bool_],
    clusters: NDArray[np.int64],
    count: int,
) -> NDArray[np.float64]:
    """How many pairs of a positive and a negative row are in the right order, ties half.

    Args:
        scores: Shape (N,), higher for the positive class.
        positive: Shape (N,).
        clusters: Shape (N,), below `count`.
        count: How many clusters there are.

    Returns:
        Shape (count, count): a row for the cluster of the positive row, a column for that of the
        negative one.
    """
    from scipy.sparse import csr_array

    highs, lows = scores[positive], scores[~positive]
    steps, place = np.unique(highs, return_inverse=True)
    if not len(steps):
        return np.zeros((count, count))
    low_clusters = clusters[~positive]
    shape = (len(steps) + 1, count)

    def counted(step: NDArray[np.int64], rows: slice | NDArray[np.bool_]) -> NDArray[np.float64]:
        cells = step[rows] * count + low_clusters[rows]
        return np.bincount(cells, minlength=shape[0] * count).reshape(shape).astype(np.float64)

    equal, above = (np.searchsorted(steps, lows, side) for side in ("left", "right"))
    below = np.cumsum(counted(above, slice(None)), axis=0)
    below += 0.5 * counted(equal, equal < above)
    ones = np.ones(len(highs))
    rows = csr_array((ones, (clusters[positive], place)), shape=(count, len(steps)))
    found: NDArray[np.float64] = rows @ below[:-1]
    return found


@dataclass(frozen=True, slots=True)
class Contest:
    """One question of rank in one cell line, such as "is it differentially expressed".

    Attributes:
        positive: Shape (N,), the class of each row.
        clusters: Shape (N,), the cluster of each row: a number below `count`.
        count: How many clusters the cell line has.
        pairs: Within genes.
        ups: Shape (count,), the positive rows of each cluster.
        downs: Shape (count,), its negative rows.
    """

    positive: NDArray[np.bool_]
    clusters: NDArray[np.int64]
    count: int
    pairs: Pairs
    ups: NDArray[np.float64]
    downs: NDArray[np.float64]

    @classmethod
    def of(
        cls,
        positive: NDArray[np.bool_],
        genes: NDArray[np.integer[Any]],
        clusters: NDArray[np.int64],
        count: int,
    ) -> Contest:
        """Prepare what does not depend on the scores.

        Args:
            positive: Shape (N,).
            genes: Shape (N,).
            clusters: Shape (N,), below `count`.
            count: How many clusters there are.
        """
        pairs = Pairs.of(positive, genes, clusters, count)
        ups = summed(clusters, positive.astype(np.float64), count)
        downs = summed(clusters, (~positive).astype(np.float64), count)
        return cls(positive, clusters, count, pairs, ups, downs)

    def rounds(
        self, scores: NDArray[np.float64], weights: NDArray[np.float64]
    ) -> dict[str, NDArray[np.float64]]:
        """The weighted AUROCs.

        Args:
            scores: Shape (N,), higher for the positive class.
            weights: Shape (count, R), of each cluster in each round; none is zero.

        Returns:
            per_gene, pooled and per_perturbation, each of shape (R,), not-a-number where there
            is none.
        """
        wins = pooled_wins(scores, self.positive, self.clusters, self.count)
        each = group_areas(scores, self.positive, self.clusters)
        counted = weights[each.groups]
        return {
            "per_gene": _ratio(
                _form(self.pairs.wins(scores), weights), _form(self.pairs.total, weights)
            ),
            "pooled": _ratio(_form(wins, weights), (self.ups @ weights) * (self.downs @ weights)),
            "per_perturbation": _ratio(each.areas @ counted, counted.sum(axis=0)),
        }


def summed(
    places: NDArray[np.integer[Any]], values: NDArray[np.float64], count: int
) -> NDArray[np.float64]:
    """Add up values by place.

    Args:
        places: Shape (N,), below `count`.
        values: Shape (N,).
        count: How many places there are.

    Returns:
        Shape (count,).
    """
    # Of nothing, NumPy counts in whole numbers, weights or not.
    return np.bincount(places, values, count).astype(np.float64, copy=False)


def _form(matrix: NDArray[np.float64], weights: NDArray[np.float64]) -> NDArray[np.float64]:
    """W'Mw of each round."""
    squares: NDArray[np.float64] = np.einsum("cr,cr->r", matrix @ weights, weights)
    return squares


def _ratio(above: NDArray[np.float64], below: NDArray[np.float64]) -> NDArray[np.float64]:
    found: NDArray[np.float64] = np.divide(
        above, below, out=np.full(np.shape(above), np.nan), where=below > 0
    )
    return found
