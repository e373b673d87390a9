"""The panels of the page as HTML, in which every value is escaped."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from functools import cache
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final

import jinja2

from synthpert.answers import ParseStatus
from synthpert.predictions import PROBABILITIES
from synthpert.questions import LABELS

if TYPE_CHECKING:
    from synthpert.questions import Question
    from tools.serve.alike import Alike
    from tools.serve.beside import Beside
    from tools.serve.pasted import Problem

STYLE: Final = Path(__file__).with_name("page.css")
_KINDS: Final = dict(zip((label.value for label in LABELS), ("same", "up", "down"), strict=True))


@cache
def _macros() -> Any:  # noqa: ANN401 - a module made of the template's macros
    environment = jinja2.Environment(
        autoescape=True, undefined=jinja2.StrictUndefined, trim_blocks=True, lstrip_blocks=True
    )
    text = Path(__file__).with_name("panels.j2").read_text(encoding="utf-8")
    names = {
        "classes": list(_KINDS.items()),
        "kinds": _KINDS,
        "short": _SHORT,
        "probabilities": PROBABILITIES,
    }
    return environment.from_string(text, globals=names).module


_SHORT: Final = {"same": "not DE", "up": "up", "down": "down"}


def header(name: str, facts: Sequence[tuple[str, str]]) -> str:
    """The head of the page: which student answers.

    Args:
        name: Of the run.
        facts: Names and values.
    """
    return str(_macros().header(name, facts))


def status(text: str, kind: str = "") -> str:
    """The line that says what is going on.

    Args:
        text: One line.
        kind: `error`, or nothing.
    """
    return str(_macros().status(text, kind))


def answer(
    question: Question, row: Mapping[str, Any] | None, beside: Beside, state: str = ""
) -> str:
    """The answer with its probabilities, beside what the references say.

    Args:
        question: The question.
        row: Of a prediction; None as long as there is none.
        beside: What else is known.
        state: What to say in the place of an answer.
    """
    prediction = None if row is None else _prediction(row)
    return str(_macros().answer(question, prediction, beside, state))


def known(question: Question, beside: Beside) -> str:
    """Similar knockdowns, and facts with their sources.

    Args:
        question: The question.
        beside: What is known of it.
    """
    return str(_macros().known(question, beside))


def traces(alike: Sequence[Alike], why_none: str, many: int) -> str:
    """The traces most like a question, each to be opened.

    Args:
        alike: The nearest first.
        why_none: Why there is none.
        many: How many traces there are.
    """
    return str(_macros().traces(alike, why_none, many))


def problems(found: Sequence[Problem]) -> str:
    """The lines of a list that are not asked; nothing if there is none.

    Args:
        found: In their order.
    """
    return str(_macros().problems(found)).strip()


def answers(rows: Sequence[Mapping[str, Any]], total: int) -> str:
    """A table of predictions; nothing if there is none.

    Args:
        rows: Those that are shown.
        total: How many there are.
    """
    return str(_macros().answers(rows, total)).strip()


def about(parts: Sequence[tuple[str, Sequence[tuple[str, object]] | str]]) -> str:
    """Which run, checkpoint and base it is, and its figures.

    Args:
        parts: Titles with rows of a table each, or with a sentence.
    """
    return str(_macros().about(parts))


def _prediction(row: Mapping[str, Any]) -> dict[str, Any]:
    shares = tuple(row[name] for name in PROBABILITIES)
    return {
        "answer": row["answer"],
        "shares": None if None in shares else shares,
        "note": _note(row),
    }


def _note(row: Mapping[str, Any]) -> str:
    """What else is to be told of an answer."""
    parts = []
    shares = {label.value: row[name] for label, name in zip(LABELS, PROBABILITIES, strict=True)}
    if row["answer"] is not None and None not in shares.values():
        likeliest = max(shares, key=lambda label: shares[label])
        if shares[likeliest] > shares[row["answer"]]:
            parts.append(f"the text says so; the probabilities after it favour {likeliest}")
    if row["mode"] == "vote":
        parts.append(f"vote of {row['n_samples']} samples; the probabilities are their mean")
    if row["mode"] == "direct":
        parts.append("without reasoning")
    if row["finish_reason"] == "length":
        parts.append("cut at the most tokens that the recipe allows")
    if row["parse_status"] not in (None, str(ParseStatus.OK)):
        parts.append(f"the text: {row['parse_status']}")
    return "; ".join(parts)
