"""`traces status`: what a journal holds, counted: replies, how they read, tokens, cost."""

from __future__ import annotations

from collections import Counter
from typing import TYPE_CHECKING, Any

from synthpert.answers import parse_answer, parse_grade
from synthpert.display import show
from tools.traces.journal import State

if TYPE_CHECKING:
    from tools.traces.journal import Journal

_COUNTS = ("role", "model", "state", "attempts", "tokens in", "tokens out", "cost, US$", "no price")


def status(journal: Journal) -> None:
    """Show the counts of every attempt in a journal, of any settings, on stdout.

    Args:
        journal: What to count.
    """
    attempts: dict[tuple[str, str, str], list[Any]] = {}
    read: Counter[tuple[str, str]] = Counter()
    for row in journal.rows():
        group = (row["role"], row["model"], row["state"])
        counts = attempts.setdefault(group, [0, None, None, None, 0])
        counts[0] += 1
        for place, name in enumerate(("prompt_tokens", "completion_tokens", "cost"), start=1):
            if row[name] is not None:
                counts[place] = (counts[place] or 0) + row[name]
        if row["state"] == State.ANSWERED:
            counts[4] += row["cost"] is None
            read[row["role"], _reading(row)] += 1
    show(
        "Attempts",
        _COUNTS,
        [(*group, *counts) for group, counts in sorted(attempts.items())],
        "A dash: not known. No price: replies whose cost is not in the sum.",
    )
    show(
        "Replies, as they read today",
        ("role", "read as", "replies"),
        [(*group, count) for group, count in sorted(read.items())],
        "The teacher's answer beside the right one; the critic's grade.",
    )


def _reading(row: dict[str, Any]) -> str:
    if row["role"] == "critic":
        verdict = parse_grade(row["reply"])
        return str(verdict.grade or f"no grade: {verdict.status}")
    answer = parse_answer(row["reply"], row["finish_reason"])
    if answer.label is None:
        return f"no answer: {answer.status}"
    return f"{answer.status}: {'right' if answer.label == row['label'] else 'wrong'}"
