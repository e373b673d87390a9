"""`traces status`: what a journal holds: attempts, tokens, cost, the funnel from sent to kept."""

from __future__ import annotations

import json
import logging
from typing import TYPE_CHECKING, Any

from rich.console import Console

from synthpert.display import show
from synthpert.errors import InputError
from synthpert.questions import LABELS
from tools.traces.journal.records import State
from tools.traces.status.funnel import KEPT, STAGES, Funnel, lost_before, merge, stages
from tools.traces.status.picture import draw_funnel

if TYPE_CHECKING:
    from collections import Counter
    from collections.abc import Mapping
    from pathlib import Path

    from tools.traces.journal import Journal
    from tools.traces.settings import Settings
    from tools.traces.status.funnel import Group

logger = logging.getLogger(__name__)

_ATTEMPT = ("role", "model", "state")
_SUMS = ("prompt_tokens", "completion_tokens", "cost")
_PICTURE = "funnel.png"


def status(settings: Settings, journal: Journal) -> None:
    """Show what a journal holds, of any settings, and draw its funnel beside it.

    Args:
        settings: What is kept; whether to print JSON.
        journal: What to count.
    """
    attempts, counts, spent = _read(settings, journal)
    if settings.json:
        told = {"journal": str(settings.journal), **_as_json(settings, attempts, counts, spent)}
        Console(soft_wrap=True).print_json(json.dumps(told))
    else:
        _show(attempts, counts, spent)
    if counts:
        _draw(counts, settings.journal.with_name(_PICTURE))


def summary(settings: Settings, journal: Journal) -> dict[str, Any]:
    """What `status --json` prints, without the journal's path.

    Args:
        settings: What is kept.
        journal: What to count.

    Returns:
        attempts, spent, kept (by which settings the funnel is counted), funnel, groups.
    """
    return _as_json(settings, *_read(settings, journal))


def _read(
    settings: Settings, journal: Journal
) -> tuple[list[dict[str, Any]], dict[Group, Counter[str]], float]:
    """The attempts by role, model and state; the funnel; the US dollars spent."""
    funnel = Funnel(settings.kept_grades, settings.least_words, len(settings.critics))
    attempts: dict[tuple[str, ...], dict[str, Any]] = {}
    for row in journal.rows():
        _count(attempts, row)
        funnel.add(row)
    rows = [
        dict(zip(_ATTEMPT, group, strict=True)) | sums for group, sums in sorted(attempts.items())
    ]
    return rows, funnel.counts(), journal.spent()


def _as_json(
    settings: Settings,
    attempts: list[dict[str, Any]],
    counts: Mapping[Group, Counter[str]],
    spent: float,
) -> dict[str, Any]:
    told = {"attempts": attempts, "spent": spent, "kept": _kept(settings)}
    return told | _funnel_as_json(counts)


def _count(attempts: dict[tuple[str, ...], dict[str, Any]], row: Mapping[str, Any]) -> None:
    group = tuple(row[name] for name in _ATTEMPT)
    sums = attempts.setdefault(group, {"attempts": 0, **dict.fromkeys(_SUMS), "no_price": 0})
    sums["attempts"] += 1
    for name in _SUMS:
        if row[name] is not None:
            sums[name] = (sums[name] or 0) + row[name]
    sums["no_price"] += row["state"] == State.ANSWERED and row["cost"] is None


def _kept(settings: Settings) -> dict[str, Any]:
    """By which settings the funnel is counted."""
    return {
        "grades": [str(grade) for grade in settings.kept_grades],
        "least_words": settings.least_words,
        "critics": len(settings.critics),
    }


def _funnel_as_json(counts: Mapping[Group, Counter[str]]) -> dict[str, Any]:
    def told(count: Counter[str]) -> dict[str, Any]:
        rejected = {reason: number for reason, number in count.most_common() if reason != KEPT}
        return {"stages": stages(count), "rejected": rejected}

    return {
        "funnel": told(merge(counts)),
        "groups": [group._asdict() | told(count) for group, count in counts.items()],
    }


def _show(
    attempts: list[dict[str, Any]], counts: Mapping[Group, Counter[str]], spent: float
) -> None:
    show(
        "Attempts",
        (*_ATTEMPT, "attempts", "tokens in", "tokens out", "cost, US$", "no price"),
        [tuple(row.values()) for row in attempts],
        "A dash: not known. No price: replies whose cost is not in the sum."
        f" As a budget counts, with what may yet be billed: US$ {spent:.4f}.",
    )
    parts = [("all", merge(counts)), *_parts(counts)]
    show(
        "The funnel, by today's parsers and gates",
        ("questions", *STAGES, "kept of sent"),
        [(name, *(reached := stages(count)).values(), _share(reached)) for name, count in parts],
        "Right: the answer is. Graded: the thought has passed the gates too, and has a grade where"
        " one is asked for. Samples of a question count one by one.",
    )
    rejected = [reason for reason, _ in merge(counts).most_common() if reason != KEPT]
    show(
        "Why the others are not kept",
        ("reason", "lost before", *(name for name, _ in parts)),
        [
            (reason, lost_before(reason), *(count[reason] for _, count in parts))
            for reason in rejected
        ],
        "Not answered, not graded: `traces make` asks them again.",
    )


def _parts(counts: Mapping[Group, Counter[str]]) -> list[tuple[str, Counter[str]]]:
    lines = sorted({group.cell_line for group in counts})
    by_line = [(line, merge(counts, cell_line=line)) for line in lines]
    return by_line + [(label.value, merge(counts, label=label)) for label in LABELS if counts]


def _share(reached: Mapping[str, int]) -> str:
    return f"{reached['kept'] / reached['sent']:.1%}" if reached["sent"] else "–"


def _draw(counts: Mapping[Group, Counter[str]], path: Path) -> None:
    try:
        draw_funnel(counts, path)
    except InputError as error:
        # The counts are told; a journal may well lie where nothing can be written.
        logger.warning("no picture: %s", error)
    else:
        logger.info("the funnel as a picture: %s", path)
