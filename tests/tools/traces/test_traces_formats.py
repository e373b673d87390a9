"""Other forms of the kept traces: chats that trainers read, and the CSV of the paper's release."""

from __future__ import annotations

import json
import tempfile
from pathlib import Path
from typing import Any

import polars as pl
import pytest
from hypothesis import given
from hypothesis import strategies as st

from synthpert.answers import parse_answer
from synthpert.errors import InputError
from synthpert.prompts import load_prompts
from synthpert.questions import Label
from synthpert.traces import RELEASED, TRACE_SCHEMA, read_traces
from tools.traces.export.formats import beside, write_messages, write_released


def trace(**changes: Any) -> dict[str, Any]:
    row = dict.fromkeys(TRACE_SCHEMA) | {
        "cell_line": "k562",
        "pert": "GATA1",
        "gene": "HBG1",
        "label": "upregulated",
        "question": "What, then,\nhappens?",
        "reasoning": 'GATA1 "brakes" HBG1.\n\n→ It rises.',
        "answer": "upregulated",
        "response": "<think>…</think><answer>upregulated</answer>",
        "grade": "excellent",
        "critique": "Sound; 5\u202f% doubt.",
        "key": "abc",
    }
    return row | changes


def table(*rows: dict[str, Any]) -> pl.DataFrame:
    return pl.DataFrame(rows, schema=TRACE_SCHEMA)


def chats(path: Path, *rows: dict[str, Any], prompts: str = "paper") -> list[dict[str, Any]]:
    write_messages(table(*rows), load_prompts(prompts), path / "m.jsonl")
    # Split as readers of JSONL do it, at line feeds alone.
    return [json.loads(x) for x in (path / "m.jsonl").read_bytes().removesuffix(b"\n").split(b"\n")]


def test_a_chat_is_what_the_student_is_asked_and_has_to_write(tmp_path: Path) -> None:
    (chat,) = chats(tmp_path, trace())
    system, user, assistant = chat["messages"]
    assert [each["role"] for each in chat["messages"]] == ["system", "user", "assistant"]
    assert all(set(each) == {"role", "content"} for each in chat["messages"])
    assert system["content"].startswith("You are a molecular")
    assert user["content"] == "What, then,\nhappens?"
    answer = parse_answer(assistant["content"])
    assert (answer.label, answer.reasoning) == (Label.UP, trace()["reasoning"])
    assert (chat["cell_line"], chat["gene"], chat["key"]) == ("k562", "HBG1", "abc")


def test_a_set_without_a_system_message_has_none(tmp_path: Path) -> None:
    texts = "user: '{cell_line} {pert} {gene}?'\n"
    (tmp_path / "own.yaml").write_text(texts)
    (chat,) = chats(tmp_path, trace(), prompts=str(tmp_path / "own.yaml"))
    assert [each["role"] for each in chat["messages"]] == ["user", "assistant"]


def test_each_trace_is_a_line_whatever_is_in_it(tmp_path: Path) -> None:
    odd = trace(reasoning="GATA1\u2028HBG1\x85\r\n\u0000")
    assert len(chats(tmp_path, trace(), odd, trace())) == 3


def test_the_released_columns_are_written_in_their_order(tmp_path: Path) -> None:
    write_released(table(trace()), tmp_path / "t.csv")
    assert pl.read_csv(tmp_path / "t.csv").columns == list(RELEASED)


# No table of ours may hold a NUL, and no trace with one is kept.
words = st.text(
    st.characters(codec="utf-8", exclude_categories=["Cs"], exclude_characters="\0"),
    min_size=1,
    max_size=20,
)


@given(st.lists(st.tuples(words, words, words | st.none()), min_size=1, max_size=5))
def test_the_released_csv_is_read_back_as_it_was(texts: list[tuple[str, str, str | None]]) -> None:
    # Every reader of ours takes any end of a line for a line feed.
    plain = [[x and x.replace("\r\n", "\n").replace("\r", "\n") for x in row] for row in texts]
    rows = table(*(trace(reasoning=a, response=b, critique=c, key=None) for a, b, c in plain))
    with tempfile.TemporaryDirectory() as folder:
        write_released(rows, Path(folder) / "t.csv")
        assert read_traces(Path(folder) / "t.csv").equals(rows)


def test_each_form_has_its_place_beside_the_traces() -> None:
    out = Path("runs/x.y.parquet")
    assert [beside(out, form).name for form in ("messages", "csv", "card")] == [
        "x.y.messages.jsonl", "x.y.paper.csv", "x.y.card.md",
    ]  # fmt: skip


def test_a_place_that_cannot_be_written_is_one_line(tmp_path: Path) -> None:
    (tmp_path / "file").write_text("")
    with pytest.raises(InputError, match="cannot be written"):
        write_released(table(trace()), tmp_path / "file" / "t")
    with pytest.raises(InputError, match="cannot be written"):
        write_messages(table(trace()), load_prompts("paper"), tmp_path / "file" / "t")
