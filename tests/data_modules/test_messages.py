"""Chats of another source: what a line must be."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest

from data_modules.messages import Chat, read_messages
from synthpert.errors import InputError

ASKED = {"role": "user", "content": "What does insulin do?"}
TOLD = {"role": "assistant", "content": "It lowers glucose."}


def write(path: Path, *lines: Any) -> Path:
    path.write_text("\n".join(x if isinstance(x, str) else json.dumps(x) for x in lines))
    return path


def test_last_message_is_the_completion(tmp_path: Path) -> None:
    system = {"role": "system", "content": "Be brief."}
    file = write(tmp_path / "m.jsonl", {"messages": [system, ASKED, TOLD]})
    assert read_messages(file) == [Chat((system, ASKED), "It lowers glucose.", 1)]


def test_an_earlier_answer_is_part_of_the_prompt(tmp_path: Path) -> None:
    file = write(tmp_path / "m.jsonl", {"messages": [ASKED, TOLD, ASKED, TOLD]})
    assert read_messages(file)[0].prompt == (ASKED, TOLD, ASKED)


def test_line_may_say_which_question_it_is_about(tmp_path: Path) -> None:
    about = {"cell_line": "k562", "pert": "AARS", "gene": "A2M"}
    file = write(tmp_path / "m.jsonl", "", {"messages": [ASKED, TOLD], **about})
    (chat,) = read_messages(file)
    assert (chat.cell_line, chat.pert, chat.row) == ("k562", "AARS", 2)


@pytest.mark.parametrize(
    ("line", "wrong"),
    [
        ("{", "not JSON"),
        ([], "not an object but an array"),
        ({"messages": "hello"}, "no chat"),
        ({"messages": [{"role": "tool", "content": "x"}, TOLD]}, "no chat"),
        ({"messages": [ASKED, {"role": "assistant", "content": None}]}, "no chat"),
        ({"messages": []}, "not a question and its answer"),
        ({"messages": [ASKED]}, "not a question and its answer"),
        ({"messages": [TOLD]}, "not a question and its answer"),
    ],
)
def test_line_that_is_no_chat_is_refused_by_its_row(
    tmp_path: Path, line: object, wrong: str
) -> None:
    file = write(tmp_path / "m.jsonl", {"messages": [ASKED, TOLD]}, line)
    with pytest.raises(InputError, match=rf"m\.jsonl:2.*{wrong}"):
        read_messages(file)


def test_file_of_no_chats_is_refused(tmp_path: Path) -> None:
    with pytest.raises(InputError, match="no messages"):
        read_messages(write(tmp_path / "m.jsonl", ""))


def test_missing_file_is_one_line(tmp_path: Path) -> None:
    with pytest.raises(InputError, match=r"m\.jsonl: no such file"):
        read_messages(tmp_path / "m.jsonl")


def test_file_that_is_not_text_is_refused(tmp_path: Path) -> None:
    (tmp_path / "m.jsonl").write_bytes(b"\xff\xfe\x00")
    with pytest.raises(InputError, match="not UTF-8"):
        read_messages(tmp_path / "m.jsonl")
