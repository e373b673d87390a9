"""What tells how a gene responds: votes of similar knockdowns, their strength, the pair elsewhere.

All are rates and none counts rows: how often the benchmark asks about a perturbation or a pair
depends on its outcome, and a model would learn the sampling.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Final

import numpy as np

from tools.baseline.knn import OTHER_LINE, PRIOR_WEIGHT, votes
from tools.baseline.rows import Rows
from tools.baseline.similarity import BOTH, NETWORK, SETS, closeness, nearest, profiles

if TYPE_CHECKING:
    from numpy.typing import NDArray
    from scipy.sparse import csr_matrix

    from synthpert.knowledge import Knowledge

_KINDS: Final = (SETS, NETWORK, BOTH)
_ROWS_OF_A_PERT: Final = 10  # of no excess, beside a perturbation's own
_CHANGED_ROWS: Final = 3  # likewise beside its differentially expressed ones
_SIGN: Final = np.array([0.0, 1.0, -1.0])
_AT_ONCE: Final = 512


@dataclass(frozen=True, eq=False)
class Relations:
    """How genes relate by what is known of them; made once for all folds.

    Attributes:
        perts: For each kind of knowledge (perts, perts), as `closeness`.
        genes: (genes, genes), the nearest 30 genes of each.
        pert_profiles: (perts, features), as `profiles`.
        gene_profiles: (genes, features).
    """

    perts: tuple[NDArray[np.float32], ...]
    genes: csr_matrix
    pert_profiles: csr_matrix
    gene_profiles: csr_matrix

    @classmethod
    def of(cls, knowledge: Knowledge, rows: Rows) -> Relations:
        """Relate the perturbed and the measured genes.

        Args:
            knowledge: Sets and networks.
            rows: For the names.
        """
        genes = profiles(knowledge, rows.genes)
        return cls(
            tuple(closeness(profiles(knowledge, rows.perts, kind)) for kind in _KINDS),
            nearest(genes),
            profiles(knowledge, rows.perts),
            genes,
        )


@dataclass(frozen=True, eq=False)
class _Outcomes:
    """The train rows against what is expected of their genes.

    Attributes:
        rates: (lines, genes, 2), the share that is differentially expressed, and of those the
            share going up less that going down; the gene's own and in other lines as columns
            0, 1 and 2, 3.
        values: (rows, 5): 1, the excess of differential expression, whether it is there, the excess
            of direction where it is, and that of up (1) over down (-1) among all rows.
    """

    rates: NDArray[np.float64]
    values: NDArray[np.float64]


def _outcomes(rows: Rows) -> _Outcomes:
    counts = rows.counts("line", "gene")
    total = counts.sum(axis=2)
    changed, up = total - counts[..., 0], counts[..., 1] - counts[..., 2]
    base = 1 - rows.shares()[:, :1]
    others = [each.sum(axis=0) - each for each in (total, changed, up)]
    rate_elsewhere = (others[1] + 2 * base) / (others[0] + 2)
    sign_elsewhere = others[2] / (others[1] + 1)
    rate = (changed + 2 * rate_elsewhere) / (total + 2)
    sign = (up + sign_elsewhere) / (changed + 1)
    is_changed = (rows.label > 0).astype(np.float64)
    cell = rows.line, rows.gene
    excess = is_changed - rate[cell]
    turn = is_changed * (_SIGN[rows.label] - sign[cell])
    drift = _SIGN[rows.label] - (up / np.maximum(total, 1))[cell]
    values = np.column_stack([np.ones(len(rows)), excess, is_changed, turn, drift])
    return _Outcomes(np.stack([rate, sign, rate_elsewhere, sign_elsewhere], axis=2), values)


def features(rows: Rows, asked: Rows, relations: Relations) -> NDArray[np.float32]:
    """The features of questions.

    Args:
        rows: The train split, without the questions' own rows.
        asked: Questions under the same names; their labels are not read.
        relations: Of the same names.

    Returns:
        (asked, features): the gene's rates in its line and elsewhere; for each kind of similarity
        the excess over these rates among neighbours in the line, elsewhere and in both, and the
        neighbours' strength; the perturbation's own strength elsewhere; the pair elsewhere alone
        and among the neighbours; similar genes under the perturbation elsewhere; and how close
        the two genes are.
    """
    outcomes = _outcomes(rows)
    strength = _strength(rows, outcomes)
    same = np.eye(len(rows.perts), dtype=np.float32)
    pair = votes(rows, asked, same, outcomes.values)[1]
    columns = [*outcomes.rates[asked.line, asked.gene].T]
    for similar in relations.perts:
        own, others = votes(rows, asked, similar, outcomes.values)
        either = own + OTHER_LINE * others
        columns += [each for sums in (own, others, either) for each in _rates(sums)]
        columns += [*_around(asked, similar, strength).T]
    columns += [*_rates(either + pair), *pair[:, 1:].T]
    columns += [*_own_strength(asked, strength).T]
    columns += [*_rates(_similar_genes(rows, asked, outcomes, relations.genes))]
    ends = relations.pert_profiles[asked.pert], relations.gene_profiles[asked.gene]
    columns.append(np.asarray(ends[0].multiply(ends[1]).sum(axis=1)).ravel())
    return np.column_stack(columns).astype(np.float32)


def _rates(sums: NDArray[np.float64]) -> list[NDArray[np.float64]]:
    """The three excesses of `_Outcomes.values`, drawn to 0 where votes are few."""
    parts = ((1, 0), (3, 2), (4, 0))
    return [sums[:, part] / (sums[:, whole] + PRIOR_WEIGHT) for part, whole in parts]


def _strength(rows: Rows, outcomes: _Outcomes) -> NDArray[np.float64]:
    """(lines, perts, 5), the sums of `values` over a perturbation's rows in a line."""
    shape = len(rows.lines), len(rows.perts)
    cell = rows.line * shape[1] + rows.pert
    sums = [np.bincount(cell, value, shape[0] * shape[1]) for value in outcomes.values.T]
    table: NDArray[np.float64] = np.stack(sums, axis=1).astype(np.float64)
    return table.reshape(*shape, 5)


def _shrunk(sums: NDArray[np.float64]) -> NDArray[np.float64]:
    """(..., 3), the mean excesses of perturbations, drawn to 0 where rows are few."""
    parts = ((1, 0, _ROWS_OF_A_PERT), (3, 2, _CHANGED_ROWS), (4, 0, _ROWS_OF_A_PERT))
    each = [sums[..., part] / (sums[..., whole] + few) for part, whole, few in parts]
    return np.stack(each, axis=-1)


def _around(
    asked: Rows, similar: NDArray[np.float32], strength: NDArray[np.float64]
) -> NDArray[np.float64]:
    """(asked, 6), the strength of similar perturbations, in the line and elsewhere."""
    there = (strength[..., 0] > 0).astype(np.float64)
    each = _shrunk(strength) * there[..., None]
    weight = similar.astype(np.float64)
    sums = weight @ np.concatenate([each, there[..., None]], axis=2)
    both = np.concatenate([sums, sums.sum(axis=0) - sums], axis=2)[asked.line, asked.pert]
    means = [part[:, :3] / (part[:, 3:] + PRIOR_WEIGHT) for part in np.split(both, 2, axis=1)]
    return np.hstack(means)


def _own_strength(asked: Rows, strength: NDArray[np.float64]) -> NDArray[np.float64]:
    """(asked, 3), the perturbation's excesses in the other lines."""
    elsewhere = _shrunk(strength.sum(axis=0) - strength)
    found: NDArray[np.float64] = elsewhere[asked.line, asked.pert]
    return found


def _similar_genes(
    rows: Rows, asked: Rows, outcomes: _Outcomes, genes: csr_matrix
) -> NDArray[np.float64]:
    """(asked, 5), `values` of similar genes under the same perturbation in other lines."""
    from scipy.sparse import csr_matrix

    shape = len(rows.perts), len(rows.genes)
    found = np.zeros((len(asked), 5))
    for line in np.unique(asked.line):
        other = rows.line != line
        cells = rows.pert[other], rows.gene[other]
        tables = [csr_matrix((value[other], cells), shape) for value in outcomes.values.T]
        mine = np.flatnonzero(asked.line == line)
        mine = mine[np.argsort(asked.pert[mine], kind="stable")]
        perts = np.unique(asked.pert[mine])
        for part in np.split(perts, range(_AT_ONCE, len(perts), _AT_ONCE)):
            first, last = np.searchsorted(asked.pert[mine], [part[0], part[-1] + 1])
            at = mine[first:last]
            where = np.searchsorted(part, asked.pert[at])
            for column, table in enumerate(tables):
                dense = (table[part] @ genes).toarray()
                found[at, column] = dense[where, asked.gene[at]]
    return found
