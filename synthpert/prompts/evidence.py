"""Evidence: what is known of a question beforehand, as lines of a prompt.

Gene sets and networks, and how the train part of the split moved the same gene: never a test row,
never the question's own nor, but for the same knockdown in other cell lines, the rows of a tenth of
the perturbations, its own among them. Retrieved as SUMMER does (Wu et al., PerturbQA, ICLR 2025);
whether it helps is to be measured: the SynthPert paper lost 0.07 AUROC by EnrichR's terms.
"""

from __future__ import annotations

import hashlib
from dataclasses import dataclass
from functools import lru_cache
from pathlib import Path
from typing import TYPE_CHECKING, Final

from synthpert.questions import find_data

if TYPE_CHECKING:
    from synthpert.knowledge import FactFinder
    from synthpert.questions import Question

MOST_LINES: Final = 12
MOST_CHARACTERS: Final = 1200
NOTHING: Final = "No evidence found."

_LONGEST_LINE: Final = 300
# A tenth hides little of what is known, and enough that counts do not tell the question's own row.
_FOLDS: Final = 10
# Part of the fingerprint: raised when the same facts make another block.
_FORM: Final = "1"


@dataclass(frozen=True)
class Evidence:
    """Where evidence comes from.

    The files are read at the first question, once a process; an object of this class holds three
    names and travels to worker processes as such.

    Args:
        knowledge: Folder of gene sets and networks; null as `synthpert.knowledge` finds it.
        data: Folder of PerturbQA; null as the data module finds it.
        split: The split whose train part may be looked at: `default`, `strict` or
            `held_out:CELL`.
    """

    knowledge: Path | None = None
    data: Path | None = None
    split: str = "default"

    @property
    def fingerprint(self) -> str:
        """12 hex digits of the SHA-256 of knowledge, train rows and wording."""
        return self._library.fingerprint

    def block(self, question: Question) -> str:
        """Write down what is known of a question.

        Args:
            question: What is asked.

        Returns:
            At most `MOST_LINES` lines and `MOST_CHARACTERS` characters, what tells most first;
            `NOTHING` where nothing is known.
        """
        return _fitting(self._library.finder.facts(question).lines())

    @property
    def _library(self) -> _Library:
        from synthpert.knowledge import find_knowledge

        # The folders too: what is found for a null may differ from one call to the next.
        return _read(self, find_knowledge(self.knowledge).resolve(), find_data(self.data).resolve())


@dataclass(frozen=True)
class _Library:
    finder: FactFinder
    fingerprint: str


@lru_cache(maxsize=2)
def _read(evidence: Evidence, *folders: Path) -> _Library:
    from synthpert.knowledge import FactFinder, Knowledge, TrainOutcomes, sentences

    knowledge = Knowledge.read(evidence.knowledge)
    finder = FactFinder(knowledge, TrainOutcomes.read(evidence.data, evidence.split), _FOLDS)
    parts = (_FORM, str(_FOLDS), sentences.WORDING, finder.fingerprint)
    return _Library(finder, hashlib.sha256("\x1f".join(parts).encode()).hexdigest()[:12])


def _fitting(lines: list[str]) -> str:
    """The lines that fit, whole ones alone, each on one line and without a chat's tags."""
    kept: list[str] = []
    room = MOST_CHARACTERS
    for line in lines:
        # No `<`, so that no name in a file can end a thought or begin another turn.
        text = "- " + " ".join(line.replace("<", " ").split())
        if len(text) > min(_LONGEST_LINE, room):
            continue
        kept.append(text)
        room -= len(text) + 1
        if len(kept) == MOST_LINES:
            break
    return "\n".join(kept) or NOTHING
