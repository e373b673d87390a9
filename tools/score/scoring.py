"""Scores of systems and reference rows: `score_files`, and score.json."""

from __future__ import annotations

import logging
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final, Literal

from synthpert.aliases import read_aliases
from synthpert.errors import InputError
from synthpert.predictions import is_soft
from synthpert.predictions.records import fingerprint
from synthpert.questions import read_questions, split_questions
from synthpert.questions.leakage import leakage
from synthpert.scoring import answer_questions, strata
from synthpert.scoring.bootstrap import SEED
from synthpert.scoring.paper import score_as_paper
from tools.baseline import references
from tools.baseline.materials import Materials
from tools.score.asked import asked_alone, find_cautions
from tools.score.comparing import compare
from tools.score.learning import learning_curve
from tools.score.scorer import Scorer
from tools.score.systems import System, lay_beside, name_systems, read_system

if TYPE_CHECKING:
    from collections.abc import Sequence

    import polars as pl

    from synthpert.knowledge import Knowledge

logger = logging.getLogger(__name__)

ROUNDS: Final = 1000
_MOST_ROUNDS: Final = 20_000
"""Each takes 8 bytes a perturbation, several times over."""
Protocol = Literal["official", "synthpert"]
PROTOCOL: Final = {
    "de_auroc": "1 - p_not_de, over all rows",
    "direction_auroc": "p_up / (p_up + p_down), or 0.5 where both are 0, over the truly "
    "differentially expressed rows",
    "per_gene": "PerturbQA's own: the mean over the target genes with both classes, line by line",
    "per_perturbation": "likewise over the perturbations",
    "pooled": "all rows of a cell line ranked together",
    "all": "an AUROC is the mean over the cell lines; everything else is over all rows",
    "unanswered": "a question unread or not in the file is wrong, with probability 1/3 per class",
    "ece": "15 bins of equal width of the highest probability",
}
_MOST_UNKNOWN: Final = 0.5
_INTERVALS: Final = {
    "level": 0.95,
    "clusters": "perturbations, by name, over all cell lines",
    "weights": "exponential (Bayesian bootstrap), the same for every system",
    "kind": "percentile",
}


@dataclass(slots=True)
class Scored:
    """What `score_files` found.

    Attributes:
        systems: In the order of the files, by name.
        references: The reference rows, by name.
        comparisons: As `compare` returns them.
        leakage: The audit, as `synthpert.questions.leakage.leakage` returns it.
        split: Which split was scored.
        protocol: `official` or `synthpert`.
        rounds: Of the bootstrap; 0 for no intervals.
        seed: Of the bootstrap and of the subsets.
        train: The split's train rows.
        test: Its test rows, or those of them that were asked for.
        of: How many test rows the split has.
        cautions: What has to be known before the figures, a line each.
    """

    systems: dict[str, System]
    references: dict[str, System]
    comparisons: list[dict[str, Any]]
    leakage: pl.DataFrame
    split: str
    protocol: Protocol
    rounds: int
    seed: int
    train: pl.DataFrame = field(repr=False)
    test: pl.DataFrame = field(repr=False)
    of: int = 0
    cautions: list[str] = field(default_factory=list)

    @property
    def which(self) -> str:
        """Which questions were scored, in words."""
        some = f", {len(self.test):,} of its {self.of:,} questions"
        return f"{self.split} split" + some * (len(self.test) < self.of)

    def to_json(self) -> dict[str, Any]:
        """score.json: every figure, None where one does not exist."""
        audit = self.leakage.fill_nan(None)
        leaks = {row.pop("cell_line"): row for row in audit.to_dicts()}
        sha256 = fingerprint(self.test)
        files = {name: self._told(each, sha256) for name, each in self.systems.items()}
        for told in files.values():
            told["leakage"] = leaks
        rows = {name: self._told(each, sha256) for name, each in self.references.items()}
        found = {"files": files, "reference_rows": rows, "comparisons": self.comparisons}
        found |= {"cautions": self.cautions} if self.cautions else {}
        curve = learning_curve(self.systems.values())
        return found | ({"learning_curve": curve} if curve else {})

    def _told(self, system: System, sha256: str) -> dict[str, Any]:
        blocks = dict(system.blocks)
        rounds = {"rounds": self.rounds, "seed": self.seed}
        told = {
            "all": blocks.pop("all"),
            "cells": blocks,
            "protocol": {
                "split": self.split,
                "questions": {"count": len(self.test), "of": self.of, "sha256": sha256},
                "soft": system.soft,
                **PROTOCOL,
                "intervals": {**_INTERVALS, **rounds} if self.rounds else False,
            },
            "strata": system.strata,
            "by_train_rows": system.by_train_rows,
            "by_facts": system.by_facts,
            "confusion": system.confusion,
            "calibration": system.calibration,
            "retention": system.retention,
        }
        if system.paths:
            told["record"] = system.record
        if len(system.tables) > 1:
            seeds = {"files": [str(path) for path in system.paths], "sd": system.spread}
            told["seeds"] = seeds
        if system.paper:
            told["synthpert_protocol"] = system.paper
        return told


def score_files(
    files: Sequence[str],
    *,
    data: str | None = None,
    split: str = "default",
    knowledge: str | None = None,
    rounds: int = ROUNDS,
    protocol: Protocol = "official",
    aliases: str | None = None,
    questions: str | None = None,
    seed: int = SEED,
) -> Scored:
    """Score prediction files and the reference rows.

    Args:
        files: Paths, and `NAME=PATTERN` for several seeds of one system.
        data: Folder with the benchmark, None as in `read_questions`.
        split: default, strict or held_out:CELL.
        knowledge: Folder of knowledge files, None as in `find_knowledge`.
        rounds: Of the bootstrap; 0 for no intervals.
        protocol: `synthpert` for the paper's way too; the official figures are there always.
        aliases: A table of gene names and synonyms, for files with other symbols.
        questions: A table of the test questions that are scored alone, by everybody.
        seed: Of the bootstrap and of the paper's subsets.

    Raises:
        InputError: If a file, the benchmark, the split or the knowledge is wrong.
    """
    _check_numbers(rounds, seed)
    # Before the benchmark: where a file is wrong, its error is the only line.
    systems = {name: read_system(name, paths) for name, paths in name_systems(files).items()}
    symbols = read_aliases(aliases) if aliases else None
    train, test = split_questions(read_questions(data), split)
    if test.is_empty():
        raise InputError("no test question to score", file="split", got=split)
    for system in systems.values():
        lay_beside(system, test, symbols)
    of = len(test)
    if questions is not None:
        mask = asked_alone(test, Path(questions))
        test = test.filter(mask)
        for system in systems.values():
            system.tables = [table.filter(mask) for table in system.tables]
    materials = Materials(Path(knowledge) if knowledge else None)
    rows = references(train, test, materials=materials)
    below = {
        name: System(name, [answer_questions(test, table)], soft=is_soft(table))
        for name, table in rows.items()
    }
    scorer = Scorer(test, rounds, seed)
    parts = _strata(train, test, materials.knowledge)
    for system in (*systems.values(), *below.values()):
        scorer.score(system)
        for part, masks in parts.items():
            if system.paths or part == "strata":
                setattr(system, part, scorer.score_parts(system, part, masks))
        if protocol == "synthpert":
            system.paper = score_as_paper(system.tables, seed)
    compared = compare(list(systems.values()), list(below.values()))
    told = find_cautions(systems.values(), split, len(test), of)
    asked = (split, protocol, rounds, seed, train, test, of, told)
    return Scored(systems, below, compared, leakage(train, test), *asked)


def _check_numbers(rounds: int, seed: int) -> None:
    for name, value, most in (("rounds", rounds, _MOST_ROUNDS), ("seed", seed, 2**63)):
        if not 0 <= value <= most:
            what = "negative" if value < 0 else "too large"
            raise InputError(what, file=name, got=value, expected=f"0 to {most:,}")


def _strata(
    train: pl.DataFrame, test: pl.DataFrame, knowledge: Knowledge
) -> dict[str, dict[str, pl.Series]]:
    """Masks over the test rows, by the attribute of `System` that holds their BLOCKs."""
    found = {
        "strata": strata.by_perturbation(train, test),
        "by_train_rows": strata.by_train_rows(train, test),
    }
    facts = strata.by_facts(knowledge, test)
    unknown = int(facts["0"].sum()) if "0" in facts else 0
    if unknown > _MOST_UNKNOWN * len(test):
        logger.info(
            "scores by how well a gene is known are left out: the knowledge files know few of "
            "these genes (--knowledge)"
        )
    else:
        found["by_facts"] = facts
    return found
