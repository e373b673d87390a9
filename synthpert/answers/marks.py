"""The one reader of a judge's reply: a mark for each numbered clause of a thought.

It belongs to `synthpert.answers`, and keeps its rules: forgiving in form, strict in result, nothing
guessed. It stands in a file of its own because that one is full, and because a judge's reply is
read line by line and not from tags.
"""

from __future__ import annotations

import re
from dataclasses import dataclass
from enum import StrEnum

from synthpert.answers import cut_thought
from synthpert.answers.spelling import normalise


class Mark(StrEnum):
    """What a judge, or a person, says of one clause."""

    TRUE = "TRUE"
    FALSE = "FALSE"
    UNSURE = "UNSURE"


class MarkStatus(StrEnum):
    """How the reading of one clause's mark ended; only the first comes with a mark."""

    OK = "ok"
    MISSING = "missing"  # no line has this clause's number
    SEVERAL = "several"  # more than one mark in its line, such as the echoed "TRUE / FALSE"
    CONFLICT = "conflict"  # two lines with its number that do not say the same
    UNKNOWN = "unknown"  # its line is not one mark and nothing else
    TRUNCATED = "truncated"  # the length limit came before its mark
    MISNUMBERED = "misnumbered"  # a number that no clause has: the judge counted otherwise


@dataclass(frozen=True, slots=True)
class MarkResult:
    """One clause's mark as read.

    Attributes:
        mark: The one mark given, or None.
        status: Why there is a mark or none.
    """

    mark: Mark | None
    status: MarkStatus


# Read after normalising, which takes markdown and brackets away: "**[1]** TRUE" is "1 true".
_LINE = re.compile(r"(?:clause )?(?P<number>[0-9]{1,6})(?P<sep> ?[:.|=;-] ?| )(?P<said>.*)")
_BEFORE = " -•|+"
_WORDS = re.compile(r"\b(?:true|false|unsure)\b")
_END = " .|,;!"


def parse_marks(text: str, count: int, finish_reason: str = "stop") -> list[MarkResult]:
    """Read a judge's reply: one line a clause, its number and its mark, `3: TRUE`.

    Lines that do not begin with a number are passed over. A reply with a number that no
    clause has is not read at all: nobody knows which of its marks belongs to which clause.

    Args:
        text: What the judge wrote, as it wrote it.
        count: How many clauses it was shown, numbered from 1.
        finish_reason: `length` if the reply ran into its limit.

    Returns:
        A mark, or None with the reason, for each clause in order.
    """
    said: dict[int, set[MarkResult]] = {}
    for line in cut_thought(text)[1].splitlines():
        found = _read_line(normalise(line).lstrip(_BEFORE))
        if found is not None:
            said.setdefault(found[0], set()).add(found[1])
    if any(not 1 <= number <= count for number in said):
        return [MarkResult(None, MarkStatus.MISNUMBERED)] * count
    cut = finish_reason == "length"
    return [_settle(said.get(number, set()), cut) for number in range(1, count + 1)]


def _read_line(line: str) -> tuple[int, MarkResult] | None:
    """The number of a line and what it says; None if it has no number."""
    found = _LINE.fullmatch(line)
    if found is None:
        return None
    rest = found["said"].strip(_END)
    words = set(_WORDS.findall(rest))
    if len(words) == 1 and rest in words:
        return int(found["number"]), MarkResult(Mark(rest.upper()), MarkStatus.OK)
    if found["sep"] == " " and not words:
        # "2 of the clauses are doubtful" is prose, and no line of a table.
        return None
    status = MarkStatus.SEVERAL if len(words) > 1 else MarkStatus.UNKNOWN
    return int(found["number"]), MarkResult(None, status)


def _settle(said: set[MarkResult], cut: bool) -> MarkResult:
    """Make one result of all lines with a clause's number."""
    if len(said) > 1:
        return MarkResult(None, MarkStatus.CONFLICT)
    result = next(iter(said), MarkResult(None, MarkStatus.MISSING))
    if cut and result.mark is None:
        return MarkResult(None, MarkStatus.TRUNCATED)
    return result
