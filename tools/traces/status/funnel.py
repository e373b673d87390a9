"""The funnel: how many replies came how far, from sent to kept, and why the others did not.

Computed from the rows of a journal alone, by today's parsers and keep rule; the benchmark need not
be at hand, and a question that has not been asked is not counted. One sample of a question, which
is one key of a teacher's call, counts once, however often it was tried.
"""

from __future__ import annotations

from collections import Counter
from typing import TYPE_CHECKING, Any, Final, NamedTuple

from synthpert.answers import parse_answer, parse_grade
from synthpert.questions import LABELS, Label, Question
from synthpert.traces.gates import REFUSALS, UNREADABLE, RejectReason, gate, grade_gate, vote
from tools.traces.journal.records import State
from tools.traces.walk import NOT_ANSWERED, NOT_GRADED, REFUSED

if TYPE_CHECKING:
    from collections.abc import Collection, Mapping

    from synthpert.answers import Grade

# Right: the answer is; graded: the thought has passed the gates and has a grade, where one is
# asked for.
STAGES: Final = ("sent", "replied", "parsed", "right", "graded", "kept")
KEPT: Final = "kept"
_LAST_STAGE: Final[dict[str, str]] = {
    NOT_ANSWERED: "sent",
    REFUSED: "replied",
    **{str(reason): "right" for reason in RejectReason},
    **{str(reason): "replied" for reason in UNREADABLE},
    RejectReason.WRONG_ANSWER.value: "parsed",
    NOT_GRADED: "right",
    RejectReason.GRADE_TOO_LOW.value: "graded",
    KEPT: "kept",
}


class Group(NamedTuple):
    """What a funnel is counted by."""

    cell_line: str
    label: str


class _Sample(NamedTuple):
    """One answered sample. Hashes, since a journal's replies are more than memory holds."""

    group: Group
    reason: str | None
    thought: int
    about: int


class Funnel:
    """Reads the rows of a journal, one by one, and counts.

    Args:
        grades: The grades to keep; if empty, no grade is asked for.
        least_words: A thought of fewer words is rejected.
        critics: How many have to grade a thought; where more have done so, all of them vote.
    """

    def __init__(self, grades: Collection[Grade], least_words: int, critics: int) -> None:
        self._grades, self._least_words, self._critics = grades, least_words, critics
        self._open: dict[str, Group] = {}
        self._answered: dict[str, _Sample] = {}
        self._graded: dict[str | int, dict[str, Grade | None]] = {}

    def add(self, row: Mapping[str, Any]) -> None:
        """Count a row in.

        Args:
            row: An attempt, of any role and state, as `Journal.rows` gives it.
        """
        if row["role"] == "teacher":
            self._add_teacher(row)
        elif row["role"] == "critic" and row["state"] == State.ANSWERED:
            # A journal of version 1 does not say whose thought it was, but has one critic each.
            thought = row["parent"] or _about(row)
            self._graded.setdefault(thought, {})[row["key"]] = parse_grade(row["reply"]).grade

    def counts(self) -> dict[Group, Counter[str]]:
        """How many samples ended where, by cell line and label.

        Returns:
            Of each group, the number of samples by reason, and by `KEPT`.
        """
        verdicts: dict[int, dict[str, Grade | None]] = {}
        for parent, grades in self._graded.items():
            sample = self._answered.get(parent) if isinstance(parent, str) else None
            # Equal thoughts on a question are one call to a critic, written down for the first.
            thought = sample.thought if sample else parent
            if isinstance(thought, int):
                verdicts.setdefault(thought, {}).update(grades)
        found: dict[Group, Counter[str]] = {}
        for sample in self._answered.values():
            votes = verdicts.get(sample.thought) or verdicts.get(sample.about) or {}
            reason = sample.reason or self._verdict(list(votes.values()))
            found.setdefault(sample.group, Counter())[reason] += 1
        for key, group in self._open.items():
            if key not in self._answered:
                found.setdefault(group, Counter())[NOT_ANSWERED] += 1
        order = [label.value for label in LABELS]
        return dict(sorted(found.items(), key=lambda item: (item[0][0], order.index(item[0][1]))))

    def _add_teacher(self, row: Mapping[str, Any]) -> None:
        group = Group(row["cell_line"], row["label"])
        if row["state"] == State.ANSWERED:
            reason, thought = self._read(row)
            self._answered[row["key"]] = _Sample(group, reason, thought, _about(row))
            self._open.pop(row["key"], None)
        elif row["key"] not in self._answered:
            self._open[row["key"]] = group

    def _read(self, row: Mapping[str, Any]) -> tuple[str | None, int]:
        if row["finish_reason"] in REFUSALS:
            return REFUSED, 0
        answer = parse_answer(row["reply"], row["finish_reason"])
        question = Question(row["cell_line"], row["pert"], row["gene"])
        reason = gate(
            answer,
            question,
            Label(row["label"]),
            answer.reasoning,
            row["reply"],
            hidden=bool(row["hidden_thought"]),
            least_words=self._least_words,
        )
        return reason and reason.value, hash((question, row["prompt_id"], answer.reasoning))

    def _verdict(self, grades: list[Grade | None]) -> str:
        if len(grades) < self._critics:
            return NOT_GRADED
        return str(grade_gate(vote(grades), self._grades) or KEPT)


def stages(counts: Counter[str]) -> dict[str, int]:
    """Make a funnel of where samples ended.

    Args:
        counts: Samples by reason, and by `KEPT`.

    Returns:
        How many reached each of `STAGES`, never more than the one before.
    """
    ended = Counter[str]()
    for reason, count in counts.items():
        ended[_LAST_STAGE[reason]] += count
    return {stage: sum(ended[each] for each in STAGES[i:]) for i, stage in enumerate(STAGES)}


def lost_before(reason: str) -> str:
    """The stage that a sample rejected for a reason did not reach.

    Args:
        reason: Of a rejected sample.
    """
    return STAGES[STAGES.index(_LAST_STAGE[reason]) + 1]


def merge(counts: Mapping[Group, Counter[str]], **which: str) -> Counter[str]:
    """Add groups up.

    Args:
        counts: As `Funnel.counts` gives them.
        which: `cell_line` or `label` that the groups must have; none for all of them.
    """
    total = Counter[str]()
    for group, count in counts.items():
        if all(getattr(group, name) == value for name, value in which.items()):
            total += count
    return total


def _about(row: Mapping[str, Any]) -> int:
    names = ("cell_line", "pert", "gene", "sample", "prompt_id")
    return hash(tuple(row[name] for name in names))
