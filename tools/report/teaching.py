"""What the traces cost, from the traces themselves, a journal, or what `traces status` told."""

from __future__ import annotations

import json
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Final

from synthpert.errors import InputError
from synthpert.tables import check_file

if TYPE_CHECKING:
    from collections.abc import Sequence
    from pathlib import Path

SUFFIXES: Final = (".parquet", ".jsonl", ".csv", ".sqlite", ".json")
_ATTEMPT: Final = (
    *("role", "model", "state", "attempts"),
    *("prompt_tokens", "completion_tokens", "cost", "no_price"),
)


@dataclass(frozen=True)
class Teaching:
    """How the traces came about.

    Attributes:
        attempts: Rows of role, model, state, attempts, tokens in, tokens out, US dollars and
            replies without a known price; None without a journal.
        spent: US dollars, as a budget counts; None without a journal.
        funnel: Stage to how many samples reached it; None without a journal.
        rule: By which keep rule the funnel is counted.
        kept: Rows of cell line, label and number of kept traces; None without the trace file.
        made_by: Teacher, critics and prompts of the kept traces, as text.
    """

    attempts: list[list[Any]] | None = None
    spent: float | None = None
    funnel: dict[str, int] | None = None
    rule: str = ""
    kept: list[tuple[str, str, int]] | None = None
    made_by: dict[str, str] | None = None


def read_teaching(path: Path) -> Teaching:
    """Read what is known of the traces.

    Args:
        path: A trace file (.parquet, .jsonl, .csv), a journal (.sqlite), or the output of
            `traces status --json` (.json).

    Raises:
        InputError: If it is none of these or unreadable.
    """
    check_file(path)
    if path.suffix in (".parquet", ".jsonl", ".csv"):
        return _from_traces(path)
    if path.suffix == ".sqlite":
        return _from_journal(path)
    if path.suffix == ".json":
        return _from_status(path)
    raise InputError(
        "neither traces nor a journal", file=path, got=path.suffix, expected=" | ".join(SUFFIXES)
    )


def _from_traces(path: Path) -> Teaching:
    from synthpert.traces import read_traces

    traces = read_traces(path)
    kept = traces.group_by("cell_line", "label").len().sort("cell_line", "label")
    made_by = {
        name.replace("_", " "): ", ".join(map(str, values))
        for name in ("teacher", "critic", "prompt_id")
        if (values := traces[name].drop_nulls().unique().sort().to_list())
    }
    return Teaching(kept=kept.rows(), made_by=made_by)


def _from_journal(path: Path) -> Teaching:
    from tools.traces.journal import Journal
    from tools.traces.settings import Settings
    from tools.traces.status import summary

    with Journal(path) as journal:
        return _told(summary(Settings(journal=path), journal))


def _from_status(path: Path) -> Teaching:
    try:
        told = json.loads(path.read_text(encoding="utf-8"))
        if not isinstance(told, dict):
            raise TypeError("no object")
        return _told(told)
    except (ValueError, KeyError, TypeError) as error:
        expected = "what `synthpert traces status --json` prints"
        raise InputError(f"unreadable: {error}", file=path, expected=expected) from None


def _told(summary: dict[str, Any]) -> Teaching:
    rows: Sequence[dict[str, Any]] = summary["attempts"]
    kept = summary["kept"]
    grades = ", ".join(kept["grades"]) or "any"
    rule = f"grades kept: {grades}; critics: {kept['critics']}"
    return Teaching(
        attempts=[[row[name] for name in _ATTEMPT] for row in rows],
        spent=float(summary["spent"]),
        funnel={str(k): int(v) for k, v in summary["funnel"]["stages"].items()},
        rule=rule,
    )
