"""The one reader of a guided question's end: yes, no, increase, decrease, or that none can be said.

It belongs to `synthpert.answers`, and keeps its rules: forgiving in form, strict in result, nothing
guessed. The last verdict counts, since those before it may be the options as they were offered.
"""

from __future__ import annotations

import re
from dataclasses import dataclass
from enum import StrEnum

from synthpert.answers import cut_thought
from synthpert.answers.spelling import normalise


class Verdict(StrEnum):
    """What the last line of a guided question may say."""

    YES = "yes"
    NO = "no"
    INCREASE = "increase"
    DECREASE = "decrease"
    INSUFFICIENT = "insufficient"


class VerdictStatus(StrEnum):
    """How the reading ended; only the first comes with a verdict."""

    OK = "ok"
    MISSING = "missing"  # no line gives a verdict
    SEVERAL = "several"  # the last line that does gives more than one, such as the echoed options
    UNKNOWN = "unknown"  # the last line that does is in other words
    TRUNCATED = "truncated"  # the length limit came before it


@dataclass(frozen=True, slots=True)
class VerdictResult:
    """A verdict as read.

    Attributes:
        verdict: The one given last, or None.
        status: Why there is one or none.
    """

    verdict: Verdict | None
    status: VerdictStatus


# Read after normalising, which takes markdown, brackets and capitals away.
_ITEM = re.compile(r"^(?:[0-9]{1,2}[).] ?|[-•] ?)")
_LABEL = re.compile(r"\b(?:answer|verdict)(?: is)? ?[:=-] ?|\b(?:answer|verdict) is ")
_WORD = re.compile(r"\b(yes|no|increase|decrease|insufficient)(?:d|s)?\b")
_WHOLE = re.compile(rf"{_WORD.pattern}(?: evidence)?")
_UNSAID = re.compile(r"\b(?:insufficient evidence|not enough evidence|cannot be determined)\b")
_END = re.compile(r"[.,;:!]| - ")


def parse_verdict(text: str, finish_reason: str = "stop") -> VerdictResult:
    """Read how a reply ends.

    Looked for are lines that begin with a verdict and a mark ("No. Its knockdown does not …") or
    name it as the answer ("Answer: no"), and lines that say there is not enough evidence.

    Args:
        text: What the model wrote, as it wrote it.
        finish_reason: `length` if the reply ran into its limit.

    Returns:
        The verdict of the last such line, or None with the reason.
    """
    for line in reversed(cut_thought(text)[1].splitlines()):
        result = _read_line(_ITEM.sub("", normalise(line)))
        if result is not None:
            return result
    cut = finish_reason == "length"
    return VerdictResult(None, VerdictStatus.TRUNCATED if cut else VerdictStatus.MISSING)


def _read_line(line: str) -> VerdictResult | None:
    """What a line says; None if it is prose."""
    labels = list(_LABEL.finditer(line))
    said = line[labels[-1].end() :] if labels else line
    # The verdict stands first; what follows repeats it in prose.
    head = _END.split(said, maxsplit=1)[0].strip()
    if found := _WHOLE.fullmatch(head):
        return VerdictResult(Verdict(found[1]), VerdictStatus.OK)
    if _UNSAID.search(line):
        return VerdictResult(Verdict.INSUFFICIENT, VerdictStatus.OK)
    if not labels:
        return None
    several = len(set(_WORD.findall(said))) > 1
    return VerdictResult(None, VerdictStatus.SEVERAL if several else VerdictStatus.UNKNOWN)
