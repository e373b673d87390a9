"""`offline/template`: a teacher and a critic made of fixed sentences. No language model.

They let the pipeline run, and be tested, with no key, no network and no cost. The teacher fills
names into one of a few patterns and knows no biology; the critic counts whether a text names what
it should. The same messages always get the same reply. What they write is for trying the pipeline
out, never for results.
"""

from __future__ import annotations

import hashlib
from dataclasses import asdict
from typing import TYPE_CHECKING

from synthpert.answers import Grade
from synthpert.questions import Label
from tools.traces.offline.reading import UnreadablePromptError, read_prompt

if TYPE_CHECKING:
    from collections.abc import Sequence

    from synthpert.prompts import Message

__all__ = ["UnreadablePromptError", "reply"]

_OPENINGS = (
    "CRISPRi knockdown of {pert} leaves {cell_line} cells with very little {pert}.",
    "In {cell_line} cells, knockdown of {pert} lowers its transcript and then its protein.",
    "Knocking down {pert} takes most of the {pert} protein out of {cell_line} cells.",
)
_LINKS = {
    Label.NOT_DE: (
        "No link from {pert} to {gene} is expected here, so {gene} does not feel the loss.",
        "{gene} is not expected to need {pert}, because other inputs keep it steady.",
    ),
    Label.UP: (
        "{pert} is expected to hold {gene} back, so with less {pert} the brake is gone.",
        "{gene} is expected to answer the loss of {pert}, because the cells make up for it.",
    ),
    Label.DOWN: (
        "{gene} is expected to need {pert}, so with less {pert} its support is gone.",
        "{pert} is expected to drive {gene}, because both serve the same growth program.",
    ),
}
_ENDINGS = {
    Label.NOT_DE: "Therefore {gene} stays at its level and is not differentially expressed.",
    Label.UP: "Therefore {gene} rises above its level and is upregulated.",
    Label.DOWN: "Therefore {gene} falls below its level and is downregulated.",
}
# Weak on purpose, so that the critic has something to find: one lacks the cell line, one the link.
_NO_CELL_LINE = "CRISPRi knockdown of {pert} leaves the cells with very little {pert}."
_NO_LINK = "CRISPRi knockdown of {pert} in {cell_line} cells. {gene} is {label}."
_ONE_IN = 16
_BLIND = "A pattern of words cannot predict what {gene} does when {pert} is knocked down."

_CONNECTIVES = frozenset({"so", "because", "therefore"})
_LEAST_WORDS = 25


def reply(messages: Sequence[Message]) -> str:
    """Answer as the teacher or, if the messages ask for a critique, as the critic.

    Args:
        messages: A generator's or a critic's chat of the prompt set `paper`.

    Returns:
        The reply in the form its prompt asks for.

    Raises:
        UnreadablePromptError: If the messages are neither.
    """
    asked = read_prompt(messages)
    slots = asdict(asked.question)
    if asked.thinking is not None:
        return _critique(slots, asked.thinking)
    if asked.label is None:
        return f"<think>{_BLIND.format_map(slots)}</think><answer>I do not know</answer>"
    return _teach(slots, asked.label)


def _teach(slots: dict[str, str], label: Label) -> str:
    slots = slots | {"label": str(label)}
    facts = "\x1f".join((slots["cell_line"], slots["pert"], slots["gene"]))
    draw = int.from_bytes(hashlib.sha256(facts.encode()).digest()[:8])
    draw, kind = divmod(draw, _ONE_IN)
    draw, opening = divmod(draw, len(_OPENINGS))
    sentences = [_OPENINGS[opening], _LINKS[label][draw % 2], _ENDINGS[label]]
    if kind == 0:
        sentences[0] = _NO_CELL_LINE
    elif kind == 1:
        sentences = [_NO_LINK]
    thought = " ".join(sentence.format_map(slots) for sentence in sentences)
    return f"<think>{thought}</think><answer>{label}</answer>"


def _critique(slots: dict[str, str], thinking: str) -> str:
    words = [word.strip(".,;:()'\"").casefold() for word in thinking.split()]
    checks = {
        "name the knocked-down gene": slots["pert"].casefold() in words,
        "name the target gene": slots["gene"].casefold() in words,
        "name the cell line": slots["cell_line"].casefold() in words,
        "connect the two genes": not _CONNECTIVES.isdisjoint(words),
        f"have {_LEAST_WORDS} words": len(words) >= _LEAST_WORDS,
    }
    missing = [check for check, passed in checks.items() if not passed]
    grade = list(Grade)[min(len(missing), len(Grade) - 1)]
    told = f"it does not {', nor '.join(missing)}" if missing else "it names and connects all"
    return (
        f"<reasoning>By a check of words, not of biology: {told}.</reasoning>\n"
        f"<evaluation>{grade}</evaluation>"
    )
