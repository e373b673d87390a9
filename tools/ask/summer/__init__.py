"""SUMMER: summaries of genes, retrieved outcomes, guided questions (Wu et al., PerturbQA, 2025).

A gene is summarised by the model once, from what the knowledge files have on it; then the model is
asked whether the gene changes, and in which direction, with outcomes of near train knockdowns at
hand. A sample that says "insufficient" casts no vote, as in the authors' release. Not reproduced
word for word: the prompts, the network and the gene sets are this project's.
"""

from __future__ import annotations

import hashlib
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final

import yaml

from synthpert.answers import cut_thought
from synthpert.answers.verdicts import Verdict, VerdictResult, parse_verdict
from synthpert.prompts.files import SLOT
from synthpert.questions import LABELS, Label, Question
from synthpert.traces.gates import REFUSALS
from tools.ask.summer.entries import entries_of, one_line
from tools.ask.ways import UNREAD
from tools.traces.journal.records import Call, Reading, Reply
from tools.traces.walk import NOT_ANSWERED, REFUSED

if TYPE_CHECKING:
    from collections.abc import Generator, Sequence

    from synthpert.knowledge import Knowledge
    from synthpert.prompts import Message
    from tools.ask.summer.retrieval import Example, Retrieval
    from tools.ask.ways import Walk
    from tools.traces.settings import Model

NAME: Final = "summer"
SAMPLES: Final = 3
"""The authors ask three times."""

_TEXTS: Final = Path(__file__).with_name("texts.yaml")
# Shares of votes stay so far from 0 and 1: at p_not_de = 1 the direction would be lost.
_MARGIN: Final = 0.01
_SUMMARY, _QUOTED = 1000, 400  # characters of a summary: of the question's genes, of an example's
_OUTCOMES: Final = {
    Label.NOT_DE: "its expression did not change",
    Label.UP: "its expression increased",
    Label.DOWN: "its expression decreased",
}
_CHANGED: Final = "its expression changed"
_NOTHING: Final = "Nothing is known of it in the sources at hand."


@dataclass(frozen=True, slots=True)
class Said:
    """One sample: is it differentially expressed, and which way.

    Attributes:
        changes: The reply to the first question; None without one.
        direction: The reply to the second.
    """

    changes: Reply | None
    direction: Reply | None


class Summer:
    """SUMMER as a way to ask.

    Args:
        model: Who summarises and answers.
        knowledge: What summaries are written from.
        retrieval: Finds the outcomes.
        outcomes: Fingerprint of the train rows that are retrieved from.
    """

    def __init__(
        self, model: Model, knowledge: Knowledge, retrieval: Retrieval, outcomes: str
    ) -> None:
        self.model = model
        self._knowledge, self._retrieval = knowledge, retrieval
        self._texts: dict[str, str] = yaml.safe_load(_TEXTS.read_text(encoding="utf-8"))
        parts = (
            knowledge.fingerprint,
            outcomes,
            str(retrieval.examples),
            _TEXTS.read_text("utf-8"),
        )
        self._id = hashlib.sha256("\x1f".join(parts).encode()).hexdigest()[:12]

    @property
    def prompt_id(self) -> str:
        """`summer` and 12 hex digits of texts, knowledge, train rows and number of examples."""
        return f"{NAME}-{self._id}"

    def facts(self) -> dict[str, Any]:
        """What the probabilities are, and how many examples were retrieved."""
        return {
            "prompts": NAME,
            "probabilities": "mean of the samples that said yes or no, and increase or decrease, "
            f"kept {_MARGIN} from 0 and 1",
            "examples": self._retrieval.examples,
        }

    def walk(self, question: Question, sample: int) -> Walk[Said]:
        """Summarise what is not summarised yet, then put the two questions.

        Args:
            question: What is asked.
            sample: Counts the samples.

        Yields:
            Calls.

        Returns:
            Both replies; without a summary neither is asked for.
        """
        replies: list[Reply | None] = []
        for text, moved in (("differential_expression", False), ("direction", True)):
            asked = yield from self._asked(question, text, moved=moved)
            reply = None
            if asked is not None:
                reply = yield self._call("reader", question, sample, asked)
            replies.append(reply)
        return Said(*replies)

    def read(self, call: Call, reply: Reply) -> Reading:
        """How a reply reads.

        Args:
            call: A summary's or a question's.
            reply: What came back.
        """
        if call.role == "summariser":
            return Reading("summary" if reply.text else "empty")
        result = parse_verdict(reply.text, reply.finish_reason)
        return Reading(str(result.verdict or result.status))

    def is_answered(self, said: Said) -> bool:
        """Whether both questions got a reply.

        Args:
            said: The end of a walk.
        """
        return said.changes is not None and said.direction is not None

    def row(self, samples: Sequence[Said]) -> dict[str, Any]:
        """The mean of the samples that decide.

        Args:
            samples: One or more.

        Returns:
            As `Way.row`. Null where no sample said yes or no; where none said which way, up and
            down are equally likely.
        """
        changes = [_verdict(each.changes) for each in samples]
        ways = [_verdict(each.direction) for each in samples]
        first = next((each for each in samples if each.changes is not None), samples[0])
        row: dict[str, Any] = dict(UNREAD)
        moved = _share(changes, Verdict.YES, Verdict.NO)
        if moved is not None:
            up = _share(ways, Verdict.INCREASE, Verdict.DECREASE)
            up = 0.5 if up is None else up
            shares = (1 - moved, moved * up, moved * (1 - up))
            vote = LABELS[shares.index(max(shares))]
            row = dict(zip(UNREAD, (vote, *shares), strict=True))
        texts = [reply.text for reply in (first.changes, first.direction) if reply is not None]
        return row | {
            "reasoning": "\n\n".join(texts) or None,
            "response": "\n\n".join(texts) or None,
            "parse_status": _status(first.changes, changes),
            "finish_reason": first.changes.finish_reason if first.changes else None,
        }

    def _asked(
        self, question: Question, text: str, *, moved: bool
    ) -> Generator[Call, Reply | None, list[Message] | None]:
        """Write a question down; None if a summary that it needs is not to be had."""
        examples = self._retrieval.find(question, moved=moved)
        roles = {"pert": [question.pert], "gene": [question.gene]}
        for example in examples:
            roles["pert"].append(example.pert)
            roles["gene"].append(example.gene)
        summaries: dict[tuple[str, str], str] = {}
        for role, genes in roles.items():
            for gene in dict.fromkeys(genes):
                summary = yield from self._summary(role, gene)
                if summary is None:
                    return None
                summaries[role, gene] = summary
        values = {
            "pert": question.pert,
            "gene": question.gene,
            "cell_line": question.cell_line,
            "pert_summary": summaries["pert", question.pert],
            "gene_summary": summaries["gene", question.gene],
            "examples": "\n".join(_lines(examples, summaries, moved)) or "none",
        }
        return self._chat(text, values)

    def _summary(self, role: str, gene: str) -> Generator[Call, Reply | None, str | None]:
        entries = entries_of(self._knowledge, gene)
        if not entries:
            return _NOTHING
        text = "summary_of_perturbation" if role == "pert" else "summary_of_target"
        messages = self._chat(text, {"gene": gene, "entries": "\n".join(f"- {e}" for e in entries)})
        about = Question("", gene if role == "pert" else "", gene if role == "gene" else "")
        reply = yield self._call("summariser", about, 0, messages)
        if reply is None:
            return None
        if reply.finish_reason in REFUSALS or not reply.text.strip():
            # Paid for, and never asked again: the entries themselves have to do.
            return one_line("; ".join(entries), _SUMMARY)
        return one_line(cut_thought(reply.text)[1], _SUMMARY)

    def _call(self, role: str, about: Question, sample: int, messages: list[Message]) -> Call:
        return Call(role, about, None, sample, self.model, messages, self.prompt_id)

    def _chat(self, text: str, values: dict[str, str]) -> list[Message]:
        filled = SLOT.sub(lambda slot: values[slot[1]], self._texts[text])
        return [{"role": "user", "content": filled}]


def _lines(
    examples: Sequence[Example], summaries: dict[tuple[str, str], str], moved: bool
) -> list[str]:
    """An outcome a line; the first question is told that a gene changed, not which way."""
    lines = []
    for each in examples:
        outcome = _OUTCOMES[each.label]
        if not moved and each.label is not Label.NOT_DE:
            outcome = _CHANGED
        pert, gene = (
            one_line(summaries[role, name], _QUOTED)
            for role, name in (("pert", each.pert), ("gene", each.gene))
        )
        lines.append(
            f"- Knocked down: {each.pert} ({pert}) Measured: {each.gene} ({gene}) "
            f"Outcome: {outcome}."
        )
    return lines


def _verdict(reply: Reply | None) -> VerdictResult | None:
    if reply is None or reply.finish_reason in REFUSALS:
        return None
    return parse_verdict(reply.text, reply.finish_reason)


def _share(results: Sequence[VerdictResult | None], one: Verdict, other: Verdict) -> float | None:
    """The share of one verdict among the samples that give either."""
    said = [each.verdict for each in results if each is not None]
    total = said.count(one) + said.count(other)
    return min(max(said.count(one) / total, _MARGIN), 1 - _MARGIN) if total else None


def _status(reply: Reply | None, results: Sequence[VerdictResult | None]) -> str:
    if reply is None:
        return NOT_ANSWERED
    said = [each for each in results if each is not None]
    if not said:
        return REFUSED
    decided = [each for each in said if each.verdict in (Verdict.YES, Verdict.NO)]
    if decided:
        return str(decided[0].status)
    return str(said[0].verdict or said[0].status)
