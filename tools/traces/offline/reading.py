"""What the offline teachers and critics read in a prompt of the set `paper`.

They know its words alone: a set that keeps these sentences and adds others is read as well.
"""

from __future__ import annotations

import re
from dataclasses import dataclass
from typing import TYPE_CHECKING

from synthpert.questions import Label, Question

if TYPE_CHECKING:
    from collections.abc import Sequence

    from synthpert.prompts import Message

# The words around the slots in the prompt set `paper`.
_QUESTION = re.compile(
    r"knocking down the (?P<pert>.+?) gene on the (?P<gene>.+?) gene"
    r" in a single-cell (?P<cell_line>.+?) cell line"
)
_OUTCOME = re.compile(_QUESTION.pattern + rf" is given to you (?P<label>{'|'.join(Label)})\.")
_THINKING = re.compile(r"AI's Reasoning \(<think> block\): (.*)\nCritique Task:", re.DOTALL)


class UnreadablePromptError(ValueError):
    """The messages are not in the words of the prompt set `paper`, the only ones read here."""


@dataclass(frozen=True, slots=True)
class Asked:
    """What a prompt asks.

    Attributes:
        question: The question.
        label: The outcome that a teacher is told; None for a critic and a label-blind teacher.
        thinking: The thought that a critic is to grade; None for a teacher.
    """

    question: Question
    label: Label | None = None
    thinking: str | None = None


def read_prompt(messages: Sequence[Message]) -> Asked:
    """Read a teacher's or a critic's chat.

    Args:
        messages: In the words of the prompt set `paper`.

    Raises:
        UnreadablePromptError: If the messages are in other words.
    """
    text = "\n".join(message["content"] for message in messages)
    thinking = _THINKING.search(text)
    outcome = None if thinking else _OUTCOME.search(text)
    found = outcome or _QUESTION.search(text)
    if found is None:
        raise UnreadablePromptError("the offline teachers read the prompts of the set paper alone")
    question = Question(found["cell_line"], found["pert"], found["gene"])
    label = Label(outcome["label"]) if outcome else None
    return Asked(question, label, thinking[1] if thinking else None)
