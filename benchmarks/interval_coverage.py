"""Which bootstrap's interval of the per-gene macro AUROC covers the truth, by simulation.

    python benchmarks/interval_coverage.py [DRAWINGS]

Perturbations are drawn anew in each drawing, the genes stay. A perturbation has a strength (how
many genes it moves) and a taste (whom the system's scores favour), a gene its own rate of change
and its own ease of prediction; 9 rows a gene, as in the benchmark's test split.
"""

from __future__ import annotations

import sys
from dataclasses import dataclass

import numpy as np

PERTURBATIONS = 200
GENES = 300
ROWS = 9
ROUNDS = 300


@dataclass
class Gene:
    """The perturbations of its positive and of its negative rows, and who beats whom."""

    ups: np.ndarray
    downs: np.ndarray
    wins: np.ndarray


def draw(rng: np.random.Generator, rate: np.ndarray, ease: np.ndarray, taste: float) -> list[Gene]:
    """One drawing of perturbations; only genes with both classes."""
    strength, liking = rng.normal(size=(2, PERTURBATIONS))
    found = []
    for gene in range(GENES):
        perts = rng.choice(PERTURBATIONS, ROWS, replace=False)
        noise, error = rng.normal(size=(2, ROWS))
        changed = rate[gene] + 0.8 * strength[perts] + noise > 0
        scores = ease[gene] * changed + taste * liking[perts] + error
        if changed.any() and not changed.all():
            wins = (scores[changed][:, None] > scores[~changed]).astype(float)
            found.append(Gene(perts[changed], perts[~changed], wins))
    return found


def rounds(rng: np.random.Generator, genes: list[Gene]) -> dict[str, np.ndarray]:
    """The figure in every round of each bootstrap."""
    weights = rng.exponential(size=(ROUNDS, PERTURBATIONS))
    times = rng.multinomial(PERTURBATIONS, np.full(PERTURBATIONS, 1 / PERTURBATIONS), ROUNDS)
    above, below, ratios, drawn, kept = np.zeros((5, ROUNDS))
    for gene in genes:
        won, all_pairs = weighted(gene, weights)
        above += won / gene.wins.size
        below += all_pairs / gene.wins.size
        ratios += won / all_pairs
        won, all_pairs = weighted(gene, times.astype(float))
        drawn += np.divide(won, all_pairs, out=np.zeros(ROUNDS), where=all_pairs > 0)
        kept += all_pairs > 0
    return {
        "Bayesian, pairs weighted (ours)": above / below,
        "Bayesian, a ratio in each gene": ratios / len(genes),
        "drawn with replacement, genes lose classes": drawn / kept,
    }


def weighted(gene: Gene, weights: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Weighted wins and pairs of a gene."""
    ups, downs = weights[:, gene.ups], weights[:, gene.downs]
    return np.einsum("ri,ij,rj->r", ups, gene.wins, downs), ups.sum(axis=1) * downs.sum(axis=1)


def simulate(drawings: int, taste: float, spread: float) -> None:
    """Print the rows of one kind of world."""
    rng = np.random.default_rng(0)
    ease = 0.6 + spread * rng.normal(size=GENES)
    rate = -1.6 + 0.8 * rng.normal(size=GENES) + (ease - 0.6)
    values, found = [], []
    for _ in range(drawings):
        genes = draw(rng, rate, ease, taste)
        values.append(np.mean([gene.wins.mean() for gene in genes]))
        found.append(rounds(rng, genes))
    truth, spread_of_values = np.mean(values), np.std(values)
    for name in found[0]:
        each = np.array([one[name] for one in found])
        low, high = np.quantile(each, [0.025, 0.975], axis=1)
        covered = np.mean((low <= truth) & (truth <= high))
        bias, sd = each.mean() - truth, each.std(axis=1).mean()
        world = f"taste {taste}, ease ± {spread}"
        print(f"| {world} | {name} | {covered:.3f} | {bias:+.4f} | {sd / spread_of_values:.2f} |")


def main() -> None:
    """Print the table."""
    if sys.argv[1:] and not sys.argv[1].isdigit():
        sys.exit("usage: python benchmarks/interval_coverage.py [DRAWINGS]")
    drawings = int(sys.argv[1]) if len(sys.argv) > 1 else 200
    print(f"{drawings} drawings, {GENES} genes, {PERTURBATIONS} perturbations\n")
    print("| world | bootstrap | covered | bias | width against the truth |")
    print("| --- | --- | ---: | ---: | ---: |")
    for taste, spread in ((0.7, 0.4), (0.0, 0.4), (0.7, 0.0)):
        simulate(drawings, taste, spread)


if __name__ == "__main__":
    main()
