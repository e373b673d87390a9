"""The kept traces in the forms that others read: chats for their trainers, the paper's CSV."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING, Any

import polars as pl

from synthpert.files import whole_file
from synthpert.questions import Label, Question
from synthpert.traces import RELEASED

if TYPE_CHECKING:
    from pathlib import Path

    from synthpert.prompts import PromptSet

_ABOUT = ("cell_line", "pert", "gene", "label", "grade", "key")


def beside(out: Path, form: str) -> Path:
    """The file of a form, named after the traces' own.

    Args:
        out: The traces' file.
        form: `messages`, `csv` or `card`.
    """
    suffix = {"messages": ".messages.jsonl", "csv": ".paper.csv", "card": ".card.md"}[form]
    return out.with_name(out.stem + suffix)


def write_messages(traces: pl.DataFrame, prompts: PromptSet, path: Path) -> None:
    """Write chats as TRL, axolotl and LLaMA-Factory read them: one JSON object a line.

    The user asks as the student is asked, and the assistant writes what the student is to write:
    `<think>`, the thought, `</think>` and the answer.

    Args:
        traces: Columns of `TRACE_SCHEMA`.
        prompts: The set the traces were made with.
        path: Where to.

    Raises:
        InputError: If it cannot be written.
    """
    with whole_file(path) as place, place.open("w", encoding="utf-8", newline="\n") as file:
        for trace in traces.iter_rows(named=True):
            line = {"messages": _chat(trace, prompts)} | {name: trace[name] for name in _ABOUT}
            file.write(json.dumps(line, ensure_ascii=False) + "\n")


def write_released(traces: pl.DataFrame, path: Path) -> None:
    """Write the columns of the CSV that the paper's authors released.

    `read_traces` reads them back, every line end as a line feed.

    Args:
        traces: Columns of `TRACE_SCHEMA`.
        path: Where to.

    Raises:
        InputError: If it cannot be written.
    """
    released = traces.select(pl.col(ours).alias(theirs) for theirs, ours in RELEASED.items())
    with whole_file(path) as place:
        # All texts in quotes, since a lone carriage return in one is a line's end to many readers.
        released.write_csv(place, quote_style="non_numeric")


def _chat(trace: dict[str, Any], prompts: PromptSet) -> list[dict[str, str]]:
    question = Question(trace["cell_line"], trace["pert"], trace["gene"])
    *system, _ = prompts.messages(question)
    answer = prompts.answer_text(Label(trace["answer"]))
    return [
        *({"role": each["role"], "content": each["content"]} for each in system),
        {"role": "user", "content": trace["question"]},
        {"role": "assistant", "content": f"<think>\n{trace['reasoning']}\n</think>\n{answer}"},
    ]
