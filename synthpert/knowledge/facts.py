"""Facts for a question, each with its source: what the genes share, and how train outcomes went.

No fact comes from a test row or from the question's own: the block of a train question is the same
whatever its label is.
"""

from __future__ import annotations

import hashlib
import logging
from dataclasses import dataclass
from enum import StrEnum
from functools import cached_property
from typing import TYPE_CHECKING, Any, Final

import numpy as np

from synthpert.knowledge import sentences
from synthpert.questions import LABELS, Label

if TYPE_CHECKING:
    from numpy.typing import NDArray

    from synthpert.knowledge.graph import Knowledge
    from synthpert.knowledge.outcomes import GeneRows, TrainOutcomes
    from synthpert.questions import Question

logger = logging.getLogger(__name__)

NEIGHBOURS: Final = 10
"""How many similar knockdowns count. 5 to 20 predict train rows equally well."""
LEAST_SIMILARITY: Final = 0.05
_OTHER_LINE: Final = 0.5  # of the weight of the same observation in the question's cell line
_PRIOR_ROWS: Final = 10  # the class shares count for so many rows beside a gene's own
_MOST_SETS: Final = 12
_SHOWN_SETS: Final = 3
_TINY: Final = 1e-9
TRAIN: Final = "train split"
"""The source of what train rows tell."""


class Kind(StrEnum):
    """What a fact is about, in the order in which lines are shown: what tells most first."""

    SIMILAR = "similar"
    SAME = "same"
    RATE = "rate"
    NETWORK = "network"
    SET = "set"
    NAME = "name"


@dataclass(frozen=True, slots=True)
class Fact:
    """One thing known.

    Attributes:
        kind: What it is about.
        core: The words that say it; whoever quotes it has to write these.
        sentence: A whole sentence around `core`, without its full stop.
        source: The file's name without its suffixes, or `train split`.
        favours: The labels that it makes likelier; none where it tells of no outcome.
    """

    kind: Kind
    core: str
    sentence: str
    source: str
    favours: tuple[Label, ...] = ()

    def __str__(self) -> str:
        return f"{self.sentence[0].upper()}{self.sentence[1:]} [{self.source}]."


@dataclass(frozen=True)
class Facts:
    """What is known of a question.

    Attributes:
        question: The question.
        facts: Each by itself; sets by size, smallest first.
        chances: Of the three labels in the order of `LABELS`, from train outcomes alone; they sum
            to 1.
        lifts: Each chance over the label's share in the train split.
        observed: Whether a train row bears on the question at all.
    """

    question: Question
    facts: tuple[Fact, ...]
    chances: tuple[float, ...]
    lifts: tuple[float, ...]
    observed: bool

    @property
    def favoured(self) -> Label:
        """The label with the highest lift: the likeliest, had all three the same share."""
        return LABELS[int(np.argmax(self.lifts))]

    def lift(self, label: Label) -> float:
        """How many times likelier than its share in the train split a label is.

        Args:
            label: The label.
        """
        return self.lifts[LABELS.index(label)]

    def of(self, *kinds: Kind) -> list[Fact]:
        """The facts of some kinds, in the order of `facts`.

        Args:
            *kinds: Which ones.
        """
        return [fact for fact in self.facts if fact.kind in kinds]

    def lines(self, sets: int = _SHOWN_SETS) -> list[str]:
        """Sentences with their sources, each of them a fact and none a conclusion.

        Args:
            sets: How many gene sets at most.

        Returns:
            What tells most first: train outcomes, then network, gene sets and names.
        """
        chosen = self.of(*(kind for kind in Kind if kind is not Kind.SET))
        chosen += self.of(Kind.SET)[:sets]
        order = list(Kind)
        return [str(fact) for fact in sorted(chosen, key=lambda fact: order.index(fact.kind))]


class FactFinder:
    """Finds the facts of a question.

    The chances are a vote: the ten most similar knockdowns with a train row of the same gene, each
    by its similarity, the same knockdown in other cell lines by 1, the gene's own rate by 1; rows
    of other cell lines count half. k nearest neighbours, weighted by distance (Dudani 1976).

    Args:
        knowledge: Sets, networks and names.
        outcomes: The train split.
        folds: With more than one, a question is told nothing of the other perturbations in the
            fold of its own. Else counts that leave out its own row alone would tell that row to
            whoever has learned their total (Prokhorenkova et al. 2018, section 3.2), and facts
            for train questions would be worth more than facts for test questions.
    """

    def __init__(self, knowledge: Knowledge, outcomes: TrainOutcomes, folds: int = 1) -> None:
        self.knowledge = knowledge
        self.outcomes = outcomes
        self.folds = folds
        self._folds = np.array([self._fold(pert) for pert in outcomes.perts], np.int64)
        numbers = [knowledge.index.number(pert) for pert in outcomes.perts]
        known = len(numbers) - numbers.count(None)
        if len(knowledge.index) and 2 * known < len(numbers):
            told = f"{known:,} of {len(numbers):,} perturbed genes"
            logger.warning("the knowledge has %s: is it of human gene symbols?", told)
        # An unknown perturbation is looked up in one more column, which is always 0.
        self._columns = np.array([-1 if number is None else number for number in numbers], np.int64)
        self._similar: dict[str, NDArray[np.float32]] = {}

    @cached_property
    def fingerprint(self) -> str:
        """Of the knowledge and the train split: another one gives other facts."""
        return f"{self.knowledge.fingerprint}-{self.outcomes.fingerprint}"

    def similarities(self, pert: str) -> NDArray[np.float32]:
        """The similarity of every perturbation of the train split to one.

        Args:
            pert: A symbol.

        Returns:
            (perturbations,) in the order of `TrainOutcomes.perts`, from 0 to 1; 0 for itself.
        """
        known = self._similar.get(pert)
        if known is None:
            every = np.append(self.knowledge.similarities(pert), 0.0)
            known = every[self._columns].astype(np.float32)
            own = self.outcomes.pert(pert)
            if own >= 0:
                known[own] = 0
            self._similar[pert] = known
        return known

    def facts(self, question: Question) -> Facts:
        """Find what is known of a question.

        Args:
            question: Its own row in the train split, if it has one, is not looked at.
        """
        rows = self.outcomes.of_gene(question.gene)
        pert = self.outcomes.pert(question.pert)
        line = self.outcomes.cell_line(question.cell_line)
        here, same = rows.cell_lines == line, rows.perts == pert
        hidden = here & same
        if self.folds > 1:
            hidden |= (self._folds[rows.perts] == self._fold(question.pert)) & ~same
        counts = self.outcomes.counts
        if hidden.any():
            counts = counts - rows.where(hidden).counts()
            rows, here, same = rows.where(~hidden), here[~hidden], same[~hidden]
        shares = counts / max(counts.sum(), 1)
        similarities = self.similarities(question.pert)[rows.perts]
        weights = similarities * np.where(here, 1.0, _OTHER_LINE)
        nearest = np.argsort(-weights, kind="stable")[:NEIGHBOURS]
        nearest = nearest[similarities[nearest] >= LEAST_SIMILARITY]
        chances = _vote(rows, here, same, nearest, weights[nearest], shares)
        lifts = chances / np.maximum(shares, _TINY)
        facts = [
            *self._names(question),
            *self._relations(question),
            *self._outcomes(question, rows, here, same, nearest, shares),
        ]
        return Facts(
            question, tuple(facts), tuple(chances.tolist()), tuple(lifts.tolist()), len(here) > 0
        )

    def _fold(self, pert: str) -> int:
        return int.from_bytes(hashlib.sha256(pert.encode()).digest()[:8]) % self.folds

    def _names(self, question: Question) -> list[Fact]:
        found = []
        roles = ((question.pert, "knocked down"), (question.gene, "measured"))
        for gene, role in roles:
            name = self.knowledge.full_name(gene)
            if name is not None:
                core = sentences.full_name(gene, name.text)
                found.append(
                    Fact(Kind.NAME, core, f"{core} is the gene that is {role}", name.source)
                )
        return found

    def _relations(self, question: Question) -> list[Fact]:
        pair = f"{question.pert} and {question.gene}"
        moved = (Label.UP, Label.DOWN)
        found = []
        path = self.knowledge.connection(question.pert, question.gene)
        if path is not None:
            core = sentences.connection(path)
            favours = moved if path.distance in (1, 2) else (Label.NOT_DE,)
            found.append(Fact(Kind.NETWORK, core, f"{pair} are {core}", path.source, favours))
        for each in self.knowledge.shared_sets(question.pert, question.gene)[:_MOST_SETS]:
            core = sentences.gene_set(each)
            verb = "are both parts of" if sentences.is_complex(each.name) else "are both in"
            found.append(Fact(Kind.SET, core, f"{pair} {verb} {core}", each.source, moved))
        return found

    def _outcomes(
        self,
        question: Question,
        rows: GeneRows,
        here: NDArray[np.bool_],
        same: NDArray[np.bool_],
        nearest: NDArray[np.int64],
        shares: NDArray[np.float64],
    ) -> list[Fact]:
        gene, line = question.gene, question.cell_line
        found = []
        for label, number in zip(rows.labels[same], rows.cell_lines[same], strict=True):
            text = sentences.same(gene, LABELS[label], self.outcomes.cell_lines[number])
            found.append(Fact(Kind.SAME, text, text, TRAIN, (LABELS[label],)))
        for where, part in ((line, nearest[here[nearest]]), ("", nearest[~here[nearest]])):
            if len(part):
                chosen = rows.where(part)
                names = [self.outcomes.perts[number] for number in chosen.perts[:3]]
                text = sentences.similar(gene, where, names, chosen.counts())
                favours = _favours(chosen.counts(), shares)
                found.append(Fact(Kind.SIMILAR, text, text, TRAIN, favours))
        chosen, where = (rows.where(here), line) if here.any() else (rows, "")
        if len(chosen.labels):
            text = sentences.rate(gene, where, chosen.counts())
            favours = _favours(chosen.counts(), shares)
            found.append(Fact(Kind.RATE, text, text, TRAIN, favours))
        return found


def _vote(
    rows: GeneRows,
    here: NDArray[np.bool_],
    same: NDArray[np.bool_],
    nearest: NDArray[np.int64],
    weights: NDArray[np.floating[Any]],
    shares: NDArray[np.float64],
) -> NDArray[np.float64]:
    """The chances of the three labels; `weights` are those of the `nearest` rows."""
    count = len(LABELS)
    rate = _PRIOR_ROWS * shares
    rate = rate + np.bincount(rows.labels, np.where(here, 1.0, _OTHER_LINE), count)
    votes = np.bincount(rows.labels[nearest], weights, count) + rate / max(rate.sum(), _TINY)
    votes = votes + np.bincount(rows.labels[same], minlength=count)
    chances: NDArray[np.float64] = votes / max(votes.sum(), _TINY)
    return chances


def _favours(counts: NDArray[np.int64], shares: NDArray[np.float64]) -> tuple[Label, ...]:
    """The labels that stand above their share in the train split."""
    above = counts / counts.sum() > shares
    return tuple(label for label, is_above in zip(LABELS, above, strict=True) if is_above)
