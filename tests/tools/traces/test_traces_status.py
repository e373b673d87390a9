"""`traces status`: counts of a journal written by hand, as tables, as JSON and as a picture."""

from __future__ import annotations

import asyncio
import json
from dataclasses import replace
from itertools import count
from pathlib import Path

import pytest

from synthpert.questions import Label, Question
from tools.traces.journal import Call, Journal, Reply, State
from tools.traces.settings import Model, Settings
from tools.traces.status import status

QUESTION = Question("k562", "A", "B")
RIGHT = "<think>A holds B back.</think><answer>upregulated</answer>"
NUMBERS = count()  # every call of its own key

Try = tuple[Call, State, Reply | None]


def attempt(role: str, state: State, reply: Reply | None = None, parent: str = "") -> Try:
    messages = [{"role": "user", "content": str(next(NUMBERS))}]
    call = Call(role, QUESTION, Label.UP, 0, Model("a/b"), messages, "p", parent)
    return call, state, reply


def shown(
    path: Path, capsys: pytest.CaptureFixture[str], *attempts: Try, as_json: bool = False
) -> str:
    settings = Settings(journal=path / "j.sqlite", least_words=3, json=as_json)

    async def write(journal: Journal) -> None:
        for call, state, reply in attempts:
            row = await journal.start(call)
            if state is not State.SENT:
                await journal.finish(row, state, 0.1, reply=reply)

    with Journal(settings.journal, write=True) as journal:
        asyncio.run(write(journal))
        status(settings, journal)
    return capsys.readouterr().out


def test_tokens_and_costs_are_added_up(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    reply = Reply("<answer>upregulated</answer>", "stop", 1000, 20, 0.25)
    text = shown(tmp_path, capsys, *(attempt("teacher", State.ANSWERED, reply) for _ in range(4)))
    assert "| teacher | a/b | answered | 4 | 4,000 | 80 | 1.0000 | 0 |" in text


def test_an_unknown_price_is_a_dash_and_not_nothing(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    unknown, known = Reply("", "stop", 1, 1, None), Reply("", "stop", 1, 1, 0.5)
    text = shown(
        tmp_path,
        capsys,
        attempt("teacher", State.ANSWERED, unknown),
        attempt("critic", State.ANSWERED, known),
        attempt("critic", State.ANSWERED, unknown),
    )
    assert "| teacher | a/b | answered | 1 | 1 | 1 | – | 1 |" in text
    assert "| critic | a/b | answered | 2 | 2 | 2 | 0.5000 | 1 |" in text


def test_attempts_are_counted_by_state(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    states = [State.FAILED, State.FAILED, State.REFUSED, State.STOPPED, State.SENT]
    text = shown(tmp_path, capsys, *(attempt("teacher", state) for state in states))
    for state, number in (("failed", 2), ("refused", 1), ("stopped", 1), ("sent", 1)):
        assert f"| teacher | a/b | {state} | {number} | – | – | – | 0 |" in text


def test_what_may_yet_be_billed_is_told_beside_the_costs(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    settings = Settings(journal=tmp_path / "j.sqlite", json=True)
    call, _, _ = attempt("teacher", State.SENT)
    with Journal(settings.journal, write=True) as journal:
        asyncio.run(journal.start(call, reserved=0.25))
        status(settings, journal)
        assert json.loads(capsys.readouterr().out)["spent"] == 0.25
        status(replace(settings, json=False), journal)
        assert "what may yet be billed: US$ 0.2500." in capsys.readouterr().out


def some() -> list[Try]:
    """Two right replies of which one is graded, a wrong one, and a failure."""
    right, wrong = Reply(RIGHT, "stop"), Reply("<answer>unchanged</answer>", "stop")
    taught = attempt("teacher", State.ANSWERED, right)
    other = Reply(RIGHT.replace("holds", "keeps"), "stop")
    graded = Reply("<evaluation>excellent</evaluation>", "stop")
    return [
        taught,
        attempt("critic", State.ANSWERED, graded, taught[0].key),
        attempt("teacher", State.ANSWERED, other),
        attempt("teacher", State.ANSWERED, wrong),
        attempt("teacher", State.FAILED),
    ]


def test_the_funnel_and_the_reasons_are_shown(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    text = shown(tmp_path, capsys, *some())
    for name in ("all", "k562", "upregulated"):
        assert f"| {name} | 4 | 3 | 3 | 2 | 1 | 1 | 25.0% |" in text
    assert "| downregulated | 0 | 0 | 0 | 0 | 0 | 0 | – |" in text
    assert "| not_graded | graded | 1 | 1 | 0 | 1 | 0 |" in text
    assert "| wrong_answer | right | 1 | 1 | 0 | 1 | 0 |" in text


def test_json_alone_is_on_stdout(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    told = json.loads(shown(tmp_path, capsys, *some(), as_json=True))
    assert told["attempts"][0] == {
        "role": "critic", "model": "a/b", "state": "answered", "attempts": 1,
        "prompt_tokens": None, "completion_tokens": None, "cost": None, "no_price": 1,
    }  # fmt: skip
    assert told["kept"] == {"grades": ["excellent"], "least_words": 3, "critics": 1}
    assert told["funnel"]["stages"]["kept"] == 1
    (group,) = told["groups"]
    assert (group["cell_line"], group["label"]) == ("k562", "upregulated")
    assert group["rejected"] == {"not_graded": 1, "wrong_answer": 1, "not_answered": 1}


def test_a_picture_is_left_beside_the_journal(
    tmp_path: Path, capsys: pytest.CaptureFixture[str], caplog: pytest.LogCaptureFixture
) -> None:
    with caplog.at_level("INFO"):
        shown(tmp_path, capsys, *some())
    assert str(tmp_path / "funnel.png") in caplog.text
    assert (tmp_path / "funnel.png").read_bytes().startswith(b"\x89PNG")


def test_where_no_picture_can_be_written_the_counts_are_told_all_the_same(
    tmp_path: Path, capsys: pytest.CaptureFixture[str], caplog: pytest.LogCaptureFixture
) -> None:
    (tmp_path / "funnel.png").mkdir()
    assert "| all | 4 |" in shown(tmp_path, capsys, *some())
    assert "no picture" in caplog.text


def test_an_empty_journal_has_no_rows_and_no_picture(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    assert "| teacher" not in shown(tmp_path, capsys)
    assert not (tmp_path / "funnel.png").exists()


def test_other_grades_count_otherwise(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    shown(tmp_path, capsys, *some())
    settings = Settings(journal=tmp_path / "j.sqlite", least_words=3, json=True)
    with Journal(settings.journal) as journal:
        status(replace(settings, grades="good"), journal)
    assert json.loads(capsys.readouterr().out)["funnel"]["rejected"]["grade_too_low"] == 1
