"""`traces status`: counts of a journal written by hand."""

from __future__ import annotations

import asyncio
from itertools import count
from pathlib import Path

import pytest

from synthpert.questions import Label, Question
from tools.traces.journal import Attempt, Call, Journal, Reply, State
from tools.traces.status import status

QUESTION = Question("k562", "A", "B")
NUMBERS = count()  # every call of its own key


def attempt(role: str, state: State, reply: Reply | None = None) -> Attempt:
    messages = [{"role": "user", "content": str(next(NUMBERS))}]
    return Attempt(Call(role, QUESTION, Label.UP, 0, "a/b", {}, messages, "p"), state, 0.1, reply)


def shown(path: Path, capsys: pytest.CaptureFixture[str], *attempts: Attempt) -> list[str]:
    async def write(journal: Journal) -> None:
        await asyncio.gather(*map(journal.record, attempts))

    with Journal(path / "j.sqlite", write=True) as journal:
        asyncio.run(write(journal))
        status(journal)
    return capsys.readouterr().out.splitlines()


def test_tokens_and_costs_are_added_up(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    reply = Reply("<answer>upregulated</answer>", "stop", 1000, 20, 0.25)
    lines = shown(tmp_path, capsys, *(attempt("teacher", State.ANSWERED, reply) for _ in range(4)))
    assert "| teacher | a/b | answered | 4 | 4,000 | 80 | 1.0000 | 0 |" in lines


def test_an_unknown_price_is_a_dash_and_not_nothing(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    unknown, known = Reply("", "stop", 1, 1, None), Reply("", "stop", 1, 1, 0.5)
    lines = shown(
        tmp_path,
        capsys,
        attempt("teacher", State.ANSWERED, unknown),
        attempt("critic", State.ANSWERED, known),
        attempt("critic", State.ANSWERED, unknown),
    )
    assert "| teacher | a/b | answered | 1 | 1 | 1 | – | 1 |" in lines
    assert "| critic | a/b | answered | 2 | 2 | 2 | 0.5000 | 1 |" in lines


def test_attempts_are_counted_by_state(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    states = [State.FAILED, State.FAILED, State.REFUSED, State.STOPPED]
    lines = shown(tmp_path, capsys, *(attempt("teacher", state) for state in states))
    for state, number in (("failed", 2), ("refused", 1), ("stopped", 1)):
        assert f"| teacher | a/b | {state} | {number} | – | – | – | 0 |" in lines


def test_replies_are_counted_as_they_read(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    told = ["upregulated", "upregulated", "downregulated", "I do not know"]
    judged = ["<evaluation>good</evaluation>", "<evaluation>who knows</evaluation>"]
    lines = shown(
        tmp_path,
        capsys,
        *(attempt("teacher", State.ANSWERED, Reply(text, "stop")) for text in told),
        *(attempt("critic", State.ANSWERED, Reply(text, "stop")) for text in judged),
    )
    for counted in (
        "| teacher | ok: right | 2 |",
        "| teacher | ok: wrong | 1 |",
        "| teacher | no answer: abstain | 1 |",
        "| critic | good | 1 |",
        "| critic | no grade: unknown | 1 |",
    ):
        assert counted in lines


def test_an_empty_journal_has_no_rows(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert not [line for line in shown(tmp_path, capsys) if line.startswith("| teacher")]
