"""Chats of another source: a JSONL with `messages`, as TRL, axolotl and LLaMA-Factory read it."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

from synthpert.errors import InputError
from synthpert.json_lines import read_json_lines

if TYPE_CHECKING:
    from synthpert.prompts import Message

_ROLES = ("system", "user", "assistant")


@dataclass(frozen=True, slots=True)
class Chat:
    """What is asked, and what is to be written.

    Attributes:
        prompt: The messages before the last one.
        completion: The last one, the assistant's.
        row: Its line in the file, from 1.
        cell_line: Of the question it is about, where the line says so, as our own export does.
        pert: Likewise.
    """

    prompt: tuple[Message, ...]
    completion: str
    row: int
    cell_line: str | None = None
    pert: str | None = None


def read_messages(file: Path) -> list[Chat]:
    """Read one chat a line.

    Args:
        file: UTF-8; each line an object whose `messages` end with the assistant's. Other keys are
            left alone but for `cell_line` and `pert`.

    Returns:
        The chats in the file's order; empty lines are none.

    Raises:
        InputError: If the file cannot be read, or a line is not such an object.
    """
    chats = [_chat(found, file, row) for row, found in read_json_lines(file)]
    if not chats:
        raise InputError("no messages", file=file, expected="a JSON object a line")
    return chats


def _chat(found: dict[str, Any], file: Path, row: int) -> Chat:
    messages = found.get("messages")
    if not isinstance(messages, list) or not all(map(_is_message, messages)):
        wanted = f"a list of {{role, content}}, the role one of {', '.join(_ROLES)}"
        raise InputError("no chat", file=file, row=row, column="messages", expected=wanted)
    roles = [each["role"] for each in messages]
    if roles[-1:] != ["assistant"] or "user" not in roles:
        raise InputError(
            "not a question and its answer",
            file=file,
            row=row,
            column="messages",
            got=", ".join(roles),
            expected="a user's, and an assistant's at the end",
        )
    *prompt, last = ({"role": each["role"], "content": each["content"]} for each in messages)
    about = {name: _text(found.get(name)) for name in ("cell_line", "pert")}
    return Chat(tuple(prompt), last["content"], row, **about)  # type: ignore[arg-type]


def _is_message(each: Any) -> bool:  # noqa: ANN401 - of any JSON
    return (
        isinstance(each, dict)
        and each.get("role") in _ROLES
        and isinstance(each.get("content"), str)
    )


def _text(value: Any) -> str | None:  # noqa: ANN401 - of any JSON
    return value if isinstance(value, str) else None
