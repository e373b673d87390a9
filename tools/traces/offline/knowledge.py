"""`offline/knowledge`: a teacher and a critic that argue from facts. No language model.

The teacher writes down what is known of the two genes, each clause with its source, and concludes;
its critic (`knowledge_critic`) looks every clause up again. Told the outcome, it argues for that
and says where the facts lean elsewhere. Not told, it predicts the label with the highest lift: the
one whose chance, by the vote of `FactFinder`, is the largest multiple of its share in the train
split; it does not know where no train row tells of the gene. The same question and the same files
always give the same text.
"""

from __future__ import annotations

from dataclasses import asdict
from functools import cached_property, lru_cache
from typing import TYPE_CHECKING, Final

from synthpert.knowledge import FactFinder, Kind, Knowledge, TrainOutcomes, sentences
from synthpert.questions import Label
from tools.traces.offline.knowledge_critic import critique
from tools.traces.offline.reading import read_prompt

if TYPE_CHECKING:
    from collections.abc import Iterable, Sequence
    from pathlib import Path

    from synthpert.knowledge import Fact, Facts
    from synthpert.prompts import Message

WORDING: Final = "2"
"""Raised when the same facts give another text, so that a journal does not mix the two."""

_KEPT_FACTS: Final = 4096  # a critic is asked soon after its teacher
_MOST_WORDS: Final = 150
# Gene sets and train outcomes that are told at most: the first pair that keeps to the length.
_LENGTHS: Final = ((2, 4), (1, 4), (1, 3), (1, 2), (0, 2))
_ABSTAIN: Final = "I do not know"
_READINGS: Final = {
    Label.UP: (
        "So {gene} appears to rise when {pert} is lost, as a gene does whose brake is gone or "
        "whose product makes up for the loss.",
        "So the cells appear to answer the loss of {pert} with more {gene}, by release from "
        "repression or by compensation.",
    ),
    Label.DOWN: (
        "So {gene} appears to fall when {pert} is lost, as a gene does that needs it for its "
        "transcription, its stability or the growth behind both.",
        "So less {pert} appears to take support from {gene}, directly or through the program that "
        "both belong to.",
    ),
    Label.NOT_DE: (
        "So the loss of {pert} does not appear to reach {gene}, whose level other inputs hold.",
        "So {gene} appears to be buffered against the loss of {pert}, and stays where it was.",
    ),
}
_CONCLUSIONS: Final = {
    Label.UP: "Therefore {gene} is upregulated in {cell_line} cells.",
    Label.DOWN: "Therefore {gene} is downregulated in {cell_line} cells.",
    Label.NOT_DE: "Therefore {gene} is not differentially expressed in {cell_line} cells.",
}
_UNRELATED: Final = "So far as these sources go, nothing ties {pert} to {gene}."
_THIN: Final = "So the evidence for any effect of {pert} on {gene} is thin."
_MIXED: Final = "So the evidence is mixed, and much of it leans another way."


class KnowledgeTeacher:
    """Teacher and critic in one, as `offline/template` is.

    Args:
        knowledge: Sets, networks and names.
        outcomes: The train split.
    """

    def __init__(self, knowledge: Knowledge, outcomes: TrainOutcomes) -> None:
        self.finder = FactFinder(knowledge, outcomes)
        self._facts = lru_cache(maxsize=_KEPT_FACTS)(self.finder.facts)

    @classmethod
    def read(
        cls, knowledge: Path | None = None, data: Path | None = None, split: str = "default"
    ) -> KnowledgeTeacher:
        """Read the files that the teacher argues from.

        Args:
            knowledge: Folder of knowledge files, as in `synthpert.knowledge.find_knowledge`.
            data: Folder of the benchmark, as in `synthpert.questions.find_data`.
            split: Whose train part may be looked at.

        Raises:
            InputError: If a folder, a file or the split is wrong.
        """
        return cls(Knowledge.read(knowledge), TrainOutcomes.read(data, split))

    @cached_property
    def fingerprint(self) -> str:
        """Of all that decides a reply beside its messages: files, train split and wording."""
        return f"{self.finder.fingerprint}-{sentences.WORDING}.{WORDING}"

    def reply(self, messages: Sequence[Message]) -> str:
        """Answer as the teacher or, if the messages ask for a critique, as the critic.

        Args:
            messages: A chat in the words of the prompt set `paper`.

        Returns:
            The reply in the form its prompt asks for.

        Raises:
            UnreadablePromptError: If the messages are in other words.
        """
        asked = read_prompt(messages)
        facts = self._facts(asked.question)
        if asked.thinking is not None:
            return critique(facts, asked.thinking)
        if asked.label is None and not facts.observed:
            return f"<think>{_nothing(facts)}</think><answer>{_ABSTAIN}</answer>"
        label = asked.label or facts.favoured
        return f"<think>{argue(facts, label)}</think><answer>{label}</answer>"


def argue(facts: Facts, label: Label) -> str:
    """Argue for an outcome, in one paragraph.

    Args:
        facts: Of the question.
        label: The outcome.

    Returns:
        The genes, what connects them, what train outcomes say (first what is for the outcome), a
        reading of these and the conclusion. Everything but the reading and the conclusion carries
        its source. About 60 to 150 words.
    """
    for sets, outcomes in _LENGTHS:
        text = _paragraph(facts, label, sets, outcomes)
        if len(text.split()) <= _MOST_WORDS:
            break
    return text


def _paragraph(facts: Facts, label: Label, sets: int, outcomes: int) -> str:
    told = facts.of(Kind.SIMILAR, Kind.SAME, Kind.RATE)
    found_for = [fact for fact in told if label in fact.favours][:outcomes]
    against = [fact for fact in told if label not in fact.favours][: outcomes - len(found_for)]
    slots = asdict(facts.question)
    text = [_opening(facts), _relations(facts, sets) or _UNRELATED.format_map(slots)]
    text += [str(fact) for fact in found_for]
    text += [f"Against this, {fact.sentence} [{fact.source}]." for fact in against]
    if not told:
        text.append(_THIN.format_map(slots))
    elif facts.favoured != label:
        text.append(_MIXED)
    # Not drawn by chance, so that the same facts give the same text.
    for sentence in (_READINGS[label][len(found_for) % 2], _CONCLUSIONS[label]):
        text.append(sentence.format_map(slots))
    return " ".join(text)


def _opening(facts: Facts) -> str:
    question = facts.question
    names = {fact.core.split(" (", 1)[0]: fact for fact in facts.of(Kind.NAME)}
    pert = _quoted(names.get(question.pert), question.pert)
    gene = _quoted(names.get(question.gene), question.gene)
    return f"CRISPRi in {question.cell_line} cells depletes {pert}; the gene measured is {gene}."


def _quoted(fact: Fact | None, symbol: str) -> str:
    return f"{fact.core} [{fact.source}]" if fact else symbol


def _relations(facts: Facts, most: int) -> str:
    """What connects the two genes, in one sentence."""
    path = [f"they are {_cited(facts.of(Kind.NETWORK))}"] if facts.of(Kind.NETWORK) else []
    sets = facts.of(Kind.SET)[:most]
    if sets:
        path.insert(0, f"both belong to {_cited(sets)}")
    text = ", and ".join(path)
    return f"{text[0].upper()}{text[1:]}." if text else ""


def _cited(facts: Iterable[Fact]) -> str:
    return " and to ".join(f"{fact.core} [{fact.source}]" for fact in facts)


def _nothing(facts: Facts) -> str:
    question = facts.question
    return (
        f"No train row tells what becomes of {question.gene} when another gene is knocked down, so "
        f"what the loss of {question.pert} does to it in {question.cell_line} cells stays open."
    )
