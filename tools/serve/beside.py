"""What is known of a question without the student: priors, neighbours, facts, the outcome."""

from __future__ import annotations

import logging
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Final

import numpy as np
import polars as pl

from synthpert.errors import InputError
from synthpert.knowledge import FactFinder, Knowledge, TrainOutcomes
from synthpert.knowledge.facts import LEAST_SIMILARITY
from synthpert.predictions import PROBABILITIES
from synthpert.questions import KEY, LABEL_DTYPE, LABELS, Label, Question, read_questions
from synthpert.questions import split_questions as split_rows
from tools.baseline import answer
from tools.baseline.materials import Materials
from tools.baseline.similarity import known_share

log = logging.getLogger(__name__)

NEIGHBOURS: Final = 6
"""Similar perturbations that are shown."""
_TRIED: Final = 40  # questions of each kind that are looked at for an example
_LEAST_KNOWN: Final = 0.5  # as for the reference row `knn` of `score`

Shares = tuple[float, float, float]


@dataclass(frozen=True, slots=True)
class Neighbour:
    """A train outcome of the same gene under a similar perturbation.

    Attributes:
        pert: The perturbation.
        cell_line: Where it was measured.
        similarity: To the question's perturbation, 0 to 1: the cosine over gene sets and network.
        label: What was measured.
    """

    pert: str
    cell_line: str
    similarity: float
    label: Label


@dataclass(frozen=True)
class Beside:
    """What stands beside the student's answer.

    Attributes:
        gene_prior: Shares of the three labels among the gene's train rows.
        neighbours: The same by the baseline `knn`; None where there is no knowledge for it.
        why_none: Why there is none.
        measured: The outcome in the benchmark, if it has the question.
        part: Where that row is: `train`, `test`, or `neither` of a strict split.
        own: Whether that is the split that the student was trained with.
        nearest: The most similar perturbations with a train row of the gene.
        facts: Sentences with their sources.
        new: Names of the question that the train split has not.
    """

    gene_prior: Shares
    neighbours: Shares | None
    why_none: str
    measured: Label | None
    part: str
    own: bool
    nearest: tuple[Neighbour, ...]
    facts: tuple[str, ...]
    new: tuple[str, ...]


class Benchmark:
    """The benchmark and the knowledge, to be asked beside a student.

    Args:
        data: Folder of the benchmark; None as in `synthpert.questions.find_data`.
        split: `default`, `strict` or `held_out:CELL`.
        knowledge: Folder of knowledge files; None as in `synthpert.knowledge.find_knowledge`.
        own: Whether the student was trained on this very split of these very data.

    Raises:
        InputError: If there is no such data, split or knowledge.
    """

    def __init__(
        self,
        data: Path | None = None,
        split: str = "default",
        knowledge: Path | None = None,
        *,
        own: bool = True,
    ) -> None:
        self.table = read_questions(data)
        self.train, self.test = split_rows(self.table, split)
        self.split, self.own = split, own
        self.materials = Materials(knowledge)
        self.finder = FactFinder(self._knowledge(knowledge), TrainOutcomes(self.train))
        self.known = known_share(self.finder.knowledge, self.table["pert"].unique().to_list())
        self._trained = {name: set(self.train[name].unique()) for name in KEY}

    def _knowledge(self, folder: Path | None) -> Knowledge:
        try:
            return self.materials.knowledge
        except InputError as error:
            if folder is not None:
                raise
            log.warning("no knowledge beside the student: %s", error)
            return Knowledge([])

    @property
    def cell_lines(self) -> list[str]:
        """The cell lines, in the benchmark's order."""
        return self.table["cell_line"].unique(maintain_order=True).to_list()

    @property
    def perts(self) -> list[str]:
        """The perturbed genes, by name."""
        return self.table["pert"].unique().sort().to_list()

    @property
    def genes(self) -> list[str]:
        """The measured genes, by name."""
        return self.table["gene"].unique().sort().to_list()

    def symbols(self) -> dict[str, str]:
        """All genes by their letters in lower case, for whoever types them otherwise."""
        return {name.lower(): name for name in [*self.perts, *self.genes]}

    def outcomes(self, questions: Sequence[Question]) -> list[Label | None]:
        """What was measured of each question; None where the benchmark has it not."""
        asked = pl.DataFrame(
            [(q.cell_line, q.pert, q.gene) for q in questions], schema=KEY, orient="row"
        )
        found = asked.join(self.table, on=KEY, how="left", maintain_order="left")["label"]
        return [None if label is None else Label(label) for label in found]

    def beside(self, question: Question) -> Beside:
        """All that is known of a question. Its own row, where it is a train row, is left out."""
        own = pl.all_horizontal(
            pl.col(name) == value
            for name, value in zip(
                KEY, (question.cell_line, question.pert, question.gene), strict=True
            )
        )
        row = self.table.filter(own)
        train = self.train.filter(~own)
        part = "train" if len(train) < len(self.train) else "neither"
        if len(self.test.filter(own)):
            part = "test"
        asked = row.head(1) if len(row) else _unlabelled(question)
        why_none = self._why_none(question)
        names = zip(KEY, (question.cell_line, question.pert, question.gene), strict=True)
        return Beside(
            gene_prior=_shares("gene-prior", train, asked, self.materials),
            neighbours=None if why_none else _shares("knn", train, asked, self.materials),
            why_none=why_none,
            measured=Label(row["label"][0]) if len(row) else None,
            part=part if len(row) else "",
            own=self.own,
            nearest=self._nearest(question),
            facts=tuple(self.finder.facts(question).lines()),
            new=tuple(value for name, value in names if value not in self._trained[name]),
        )

    def likeness(self, symbol: str, others: Sequence[str]) -> list[float]:
        """How similar a gene is to each of others by the knowledge files, 0 to 1.

        Args:
            symbol: The gene; one that they do not have is like none.
            others: N more.

        Returns:
            N cosines over gene sets and network neighbours.
        """
        near = self.finder.knowledge.similarities(symbol)
        numbers = [self.finder.knowledge.index.number(other) for other in others]
        return [0.0 if number is None else float(near[number]) for number in numbers]

    def examples(self) -> list[Question]:
        """Questions of the test split to begin with: of genes that rose, fell and did neither."""
        lines, found = self.cell_lines, []
        for number, label in enumerate((LABELS[2], LABELS[1], LABELS[0], LABELS[2])):
            rows = self.test.filter(
                pl.col("label") == label.value, pl.col("cell_line") == lines[number % len(lines)]
            )
            spread = rows.gather_every(max(1, len(rows) // _TRIED)).select(KEY).iter_rows()
            # With the most that can be shown beside it; of equals the first.
            asked = sorted((Question(*row) for row in spread), key=self._shown, reverse=True)
            found += [each for each in asked if each not in found][:1]
        return found or [Question(*row) for row in self.test.select(KEY).head(1).iter_rows()]

    def _shown(self, question: Question) -> int:
        trained = question.pert in self._trained["pert"], question.gene in self._trained["gene"]
        return sum(trained) + len(self._nearest(question))

    def _why_none(self, question: Question) -> str:
        if self.known < _LEAST_KNOWN:
            return f"the knowledge files have {self.known:.0%} of the perturbed genes"
        if self.finder.knowledge.index.number(question.pert) is None:
            return f"the knowledge files have no gene {question.pert}"
        return ""

    def _nearest(self, question: Question) -> tuple[Neighbour, ...]:
        outcomes = self.finder.outcomes
        rows = outcomes.of_gene(question.gene)
        near = self.finder.similarities(question.pert)[rows.perts]
        here = rows.cell_lines == outcomes.cell_line(question.cell_line)
        # The nearest first; of two cell lines the question's own.
        order = np.lexsort((~here, -near))[:NEIGHBOURS]
        return tuple(
            Neighbour(
                outcomes.perts[rows.perts[i]],
                outcomes.cell_lines[rows.cell_lines[i]],
                float(near[i]),
                LABELS[rows.labels[i]],
            )
            for i in order
            if near[i] >= LEAST_SIMILARITY
        )


def _unlabelled(question: Question) -> pl.DataFrame:
    """A question that is nobody's row; the baselines look at no label of it."""
    row = [(question.cell_line, question.pert, question.gene, LABELS[0].value)]
    table = pl.DataFrame(row, schema=[*KEY, "label"], orient="row")
    return table.with_columns(pl.col("label").cast(LABEL_DTYPE))


def _shares(name: str, train: pl.DataFrame, asked: pl.DataFrame, materials: Materials) -> Shares:
    not_de, up, down = answer(name, train, asked, materials=materials).select(PROBABILITIES).row(0)
    return not_de, up, down
