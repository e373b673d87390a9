"""Retrieval: train outcomes near a question, by the proximity of genes in the knowledge graph.

After SUMMER (Wu et al., PerturbQA, ICLR 2025, section 4 and its released `retrieve.py`): outcomes
of the same perturbation or gene first, paired with near ones of the other; then pairs of which both
are near; then random ones, so that there are examples at all. All of them are train rows of the
question's cell line, or of all cell lines where the split has none of that line.
"""

from __future__ import annotations

import hashlib
from collections import defaultdict
from dataclasses import dataclass
from functools import lru_cache
from typing import TYPE_CHECKING, Final

import numpy as np

from synthpert.questions import LABELS, Label

if TYPE_CHECKING:
    from collections.abc import Collection, Iterable, Sequence

    import polars as pl

    from synthpert.knowledge import Knowledge
    from synthpert.questions import Question

NEIGHBOURS: Final = 10
"""How many genes count as near: PerturbQA's release keeps the ten that share most neighbours."""
_KEPT: Final = 20_000

Pair = tuple[str, str]


@dataclass(frozen=True, slots=True)
class Example:
    """A measured outcome.

    Attributes:
        pert: What was knocked down.
        gene: What was measured.
        label: The outcome.
    """

    pert: str
    gene: str
    label: Label


class _Outcomes:
    """The train rows of one cell line, by pair, perturbation and gene."""

    def __init__(self, rows: Iterable[tuple[str, str, str]]) -> None:
        self.labels: dict[Pair, Label] = {}
        self.genes: defaultdict[str, list[str]] = defaultdict(list)
        self.perts: defaultdict[str, list[str]] = defaultdict(list)
        for pert, gene, label in rows:
            if (pert, gene) not in self.labels:
                self.genes[pert].append(gene)
                self.perts[gene].append(pert)
            self.labels[pert, gene] = Label(label)


class Retrieval:
    """Finds examples for a question.

    Args:
        train: Train rows: cell_line, pert, gene, label.
        knowledge: Says which genes are near.
        examples: At most so many with the same perturbation or gene, and as many more of which
            both are near.
    """

    def __init__(self, train: pl.DataFrame, knowledge: Knowledge, examples: int = 5) -> None:
        self.examples = examples
        self._knowledge = knowledge
        # Sorted, so that a draw does not depend on the order of a file.
        self._train = train.select("cell_line", "pert", "gene", "label").sort("pert", "gene")
        self._lines = set(train["cell_line"].unique())
        self._outcomes = lru_cache(maxsize=None)(self._read)
        self._near = lru_cache(maxsize=_KEPT)(self._nearest)

    def find(self, question: Question, *, moved: bool = False) -> list[Example]:
        """Find examples, nearest kind first.

        Args:
            question: What is asked; its own row is never among them.
            moved: Only outcomes that are up or down, for the question of direction.

        Returns:
            At most twice `examples`.
        """
        line = question.cell_line if question.cell_line in self._lines else ""
        known = self._outcomes(line, moved)
        own = (question.pert, question.gene)
        random = np.random.default_rng(_seed(question, moved))
        perts = self._near(line, moved, question.pert, "genes")
        genes = self._near(line, moved, question.gene, "perts")
        tries: Sequence[tuple[Collection[str] | None, Collection[str] | None]]
        if question.pert in known.genes:
            tries = [((question.pert,), genes), ((question.pert,), None), (perts, None)]
        else:
            tries = [(perts, (question.gene,)), (None, (question.gene,)), (None, genes)]
        same: list[Pair] = []
        for near_perts, near_genes in tries:
            pairs = _pairs(known, near_perts, near_genes)
            free = [pair for pair in pairs if pair != own and pair not in same]
            same += _some(free, self.examples - len(same), random)
        both = [pair for pair in _pairs(known, perts, genes) if pair != own and pair not in same]
        chosen = same + _some(both, self.examples, random)
        return [Example(*pair, known.labels[pair]) for pair in chosen]

    def _read(self, line: str, moved: bool) -> _Outcomes:
        rows = self._train
        if line:
            rows = rows.filter(rows["cell_line"] == line)
        if moved:
            rows = rows.filter(rows["label"].cast(str) != LABELS[0].value)
        return _Outcomes(rows.select("pert", "gene", "label").iter_rows())

    def _nearest(self, line: str, moved: bool, name: str, kind: str) -> tuple[str, ...]:
        """The genes of the line's perturbations, or of its targets, that are near one."""
        known = self._outcomes(line, moved)
        names = list(getattr(known, kind))
        index = self._knowledge.index
        numbers = [index.number(each) for each in names]
        places = np.array([-1 if number is None else number for number in numbers], np.int64)
        every = np.append(self._knowledge.similarities(name), 0.0)
        near = every[places] if len(places) else np.zeros(0)
        order = np.argsort(-near, kind="stable")[: NEIGHBOURS + 1]
        found = [names[place] for place in order if near[place] > 0 and names[place] != name]
        return tuple(found[:NEIGHBOURS])


def _pairs(
    known: _Outcomes, perts: Collection[str] | None, genes: Collection[str] | None
) -> list[Pair]:
    """Measured pairs of some perturbations and some genes; None stands for all of them."""
    if perts is None:
        return [(pert, gene) for gene in genes or () for pert in known.perts.get(gene, ())]
    measured = ((pert, gene) for pert in perts for gene in known.genes.get(pert, ()))
    if genes is None:
        return list(measured)
    wanted = set(genes)
    return [pair for pair in measured if pair[1] in wanted]


def _some(pairs: list[Pair], count: int, random: np.random.Generator) -> list[Pair]:
    if count <= 0 or len(pairs) <= count:
        return pairs[: max(count, 0)]
    return [pairs[place] for place in random.choice(len(pairs), count, replace=False).tolist()]


def _seed(question: Question, moved: bool) -> int:
    names = (question.cell_line, question.pert, question.gene, str(moved))
    return int.from_bytes(hashlib.sha256("\t".join(names).encode()).digest()[:8])
