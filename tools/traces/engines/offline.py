"""`offline/…`: teachers that are no language models, asked without a network and for nothing.

LiteLLM knows them too, as a custom provider (`providers.load`). This engine calls them directly:
`litellm.acompletion` would add 2 to 3 ms to each call of well under one, and seconds and 160 MB to
the start.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from synthpert.errors import InputError
from tools.traces.asking.money import Price
from tools.traces.engines.engine import RefusedError
from tools.traces.journal.records import Reply
from tools.traces.offline import template

if TYPE_CHECKING:
    from collections.abc import Callable

    from synthpert.prompts import Message
    from tools.traces.settings import Model

    Teacher = Callable[[list[Message]], str]

PROVIDER = "offline"
TEMPLATE, KNOWLEDGE = f"{PROVIDER}/template", f"{PROVIDER}/knowledge"
NAMES = (TEMPLATE, KNOWLEDGE)

_teachers: dict[str, Teacher] = {TEMPLATE: template.reply}


def bind(name: str, teacher: Teacher) -> None:
    """Say who answers under a name: `offline/knowledge` needs facts, which a run reads first.

    Args:
        name: One of `NAMES`.
        teacher: Messages in, reply out; raises `template.UnreadablePromptError`.
    """
    _teachers[name] = teacher


def teacher_of(name: str) -> Teacher:
    """Find who answers.

    Args:
        name: The model's name, `offline/…`.

    Raises:
        InputError: If nobody does.
    """
    if name not in _teachers:
        what = "its facts have not been read" if name in NAMES else "unknown offline teacher"
        expected = " or ".join(NAMES)
        raise InputError(what, file="traces", column="model", got=name, expected=expected)
    return _teachers[name]


class OfflineEngine:
    """An engine for `offline/…`.

    Args:
        model: The model.

    Raises:
        InputError: If there is no teacher of this name.
    """

    def __init__(self, model: Model) -> None:
        self.model = model
        self.price = Price(0.0, 0.0)
        self._teacher = teacher_of(model.model)

    async def ask(self, messages: list[Message]) -> Reply:
        """Answer at once.

        Args:
            messages: The chat so far.

        Raises:
            RefusedError: If they are not in the words of a prompt set it can read.
        """
        try:
            return Reply(self._teacher(messages), "stop", cost=0.0)
        except template.UnreadablePromptError as error:
            raise RefusedError(str(error)) from None

    async def close(self) -> None:
        """Forget the teacher, and the facts it may hold."""
        vars(self).pop("_teacher", None)
