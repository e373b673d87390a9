"""How similar genes are by what is known of them: pathways, processes and network neighbours."""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

import numpy as np

if TYPE_CHECKING:
    from collections.abc import Sequence

    from numpy.typing import NDArray
    from scipy.sparse import csr_matrix

    from synthpert.knowledge import Knowledge

_TINY: Final = 1e-9
_LEAST_COSINE: Final = 0.05
SETS: Final = "sets"
NETWORK: Final = "network"
BOTH: Final = "both"


def profiles(knowledge: Knowledge, genes: Sequence[str], kind: str = BOTH) -> csr_matrix:
    """What is known of each gene as a row of length 1: its sets, its network neighbours or both.

    Each feature is weighted by its rarity, log(genes / genes that have it), as in
    `Knowledge.similarities` (inverse document frequency, Spärck Jones 1972).

    Args:
        knowledge: Sets and networks.
        genes: Symbols; one that the knowledge lacks has a row of zeros.
        kind: `sets`, `network` or `both`.

    Returns:
        (genes, features).
    """
    from scipy.sparse import csr_matrix, diags, hstack

    count = len(knowledge.index)
    parts = []
    if kind != NETWORK:
        parts.append((knowledge.sets, knowledge.members.lengths))
    if kind != SETS:
        closed = knowledge.neighbours.closed()
        parts.append((closed, closed.lengths))
    every = []
    for rows, owners in parts:
        rarity = np.log(max(count, 1) / np.maximum(owners, 1))
        shape = (len(rows.lengths), len(owners))
        every.append(csr_matrix((rarity[rows.values], rows.values, rows.starts), shape))
    numbers = [knowledge.index.number(gene) for gene in genes]
    known = np.array([number is not None for number in numbers], np.float64)
    features = hstack(every).tocsr()[[number or 0 for number in numbers]]
    norms = np.sqrt(np.asarray(features.multiply(features).sum(axis=1)).ravel())
    return (diags(known / np.maximum(norms, _TINY)) @ features).tocsr()


def closeness(features: csr_matrix) -> NDArray[np.float32]:
    """The squared cosine of every two rows; squared, the nearest few outweigh the many.

    Args:
        features: (genes, features), as `profiles` returns them.

    Returns:
        (genes, genes), from 0 to 1; 0 for a gene and itself.
    """
    cosines = np.asarray((features @ features.T).todense(), np.float32)
    np.fill_diagonal(cosines, 0)
    squared: NDArray[np.float32] = np.square(cosines, out=cosines)
    return squared


def known_share(knowledge: Knowledge, genes: Sequence[str]) -> float:
    """The share of genes that the knowledge has.

    Args:
        knowledge: Sets and networks.
        genes: Symbols.
    """
    return sum(knowledge.index.number(gene) is not None for gene in genes) / max(len(genes), 1)


def nearest(features: csr_matrix, count: int = 30, at_once: int = 512) -> csr_matrix:
    """The cosines of each row with its nearest others, and 0 for all else.

    Args:
        features: (genes, features), as `profiles` returns them.
        count: How many others count; ties with the last one count too.
        at_once: Rows whose cosines are in memory together.

    Returns:
        (genes, genes); row g has the weights of g's nearest as columns' rows: it is transposed,
        so that a row vector of values over genes times it sums over each gene's nearest.
    """
    from scipy.sparse import csr_matrix, vstack

    parts = []
    total = features.shape[0]
    for start in range(0, total, at_once):
        block = np.asarray((features[start : start + at_once] @ features.T).todense(), np.float32)
        block[np.arange(len(block)), np.arange(start, start + len(block))] = 0
        last = max(total - count, 0)
        bound = np.partition(block, last, axis=1)[:, [last]] if total > count else 0
        block[block < np.maximum(bound, _LEAST_COSINE)] = 0
        parts.append(csr_matrix(block))
    return vstack(parts).T.tocsr() if parts else csr_matrix((total, total))
