"""The journal: what it keeps, what it refuses."""

from __future__ import annotations

import asyncio
import sqlite3
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from synthpert.errors import InputError, StoppedError
from synthpert.questions import Label, Question
from tools.traces.journal import Attempt, Call, Journal, Reply, State

QUESTION = Question("k562", "GATA1", "HBZ")


def call(text: str = "hello", sample: int = 0, **parameters: object) -> Call:
    messages = [{"role": "user", "content": text}]
    return Call("teacher", QUESTION, Label.UP, sample, "a/b", parameters, messages, "paper-0")


def record(path: Path, *attempts: Attempt) -> None:
    async def run(journal: Journal) -> None:
        await asyncio.gather(*(journal.record(attempt) for attempt in attempts))

    with Journal(path, write=True) as journal:
        asyncio.run(run(journal))


texts = st.text(st.characters(codec="utf-8"))
replies = st.builds(
    Reply,
    text=texts,
    finish_reason=st.sampled_from(["stop", "length", "refusal"]),
    prompt_tokens=st.none() | st.integers(0, 2**40),
    completion_tokens=st.none() | st.integers(0, 2**40),
    cost=st.none() | st.floats(0, 1e6),
)


@given(replies)
@settings(deadline=None)
def test_a_reply_is_read_back_as_it_was_given(
    tmp_path_factory: pytest.TempPathFactory, reply: Reply
) -> None:
    path = tmp_path_factory.mktemp("journal") / "j.sqlite"
    record(path, Attempt(call(), State.ANSWERED, 1.0, reply))
    with Journal(path) as journal:
        assert journal.answer(call().key) == reply


@given(
    st.lists(st.tuples(texts, st.sampled_from(State)), max_size=20, unique_by=lambda pair: pair[0])
)
@settings(deadline=None, max_examples=50)
def test_only_answered_calls_are_answered(
    tmp_path_factory: pytest.TempPathFactory, pairs: list[tuple[str, State]]
) -> None:
    path = tmp_path_factory.mktemp("journal") / "j.sqlite"
    record(path, *(Attempt(call(text), state, 0.1, Reply(text, "stop")) for text, state in pairs))
    with Journal(path) as journal:
        assert len(list(journal.rows())) == len(pairs)
        for text, state in pairs:
            assert (journal.answer(call(text).key) is not None) == (state is State.ANSWERED)


@given(texts, texts, st.integers(0, 9), st.integers(0, 9))
def test_a_key_changes_with_text_and_sample_alone(a: str, b: str, i: int, j: int) -> None:
    assert (call(a, i).key == call(b, j).key) == ((a, i) == (b, j))


def test_a_key_changes_with_the_parameters_but_not_with_their_order() -> None:
    assert call(a=1, b=2).key == call(b=2, a=1).key
    assert call(a=1).key != call(a=2).key


def test_a_call_cannot_be_answered_twice(tmp_path: Path) -> None:
    path = tmp_path / "j.sqlite"
    answered = Attempt(call(), State.ANSWERED, 1.0, Reply("x", "stop"))
    record(path, answered)
    with pytest.raises(StoppedError, match="cannot write the journal"):
        record(path, answered)


def test_a_failure_and_then_an_answer_are_two_rows(tmp_path: Path) -> None:
    path = tmp_path / "j.sqlite"
    failed = Attempt(call(), State.FAILED, 1.0, error="429")
    record(path, failed, failed, Attempt(call(), State.ANSWERED, 1.0, Reply("x", "stop")))
    with Journal(path) as journal:
        assert [row["state"] for row in journal.rows()] == ["failed", "failed", "answered"]
        assert journal.answer(call().key) == Reply("x", "stop")


def test_the_file_is_a_write_ahead_log_that_is_synced_at_every_commit(tmp_path: Path) -> None:
    with Journal(tmp_path / "j.sqlite", write=True) as journal:
        pragma = journal._connection.execute
        assert pragma("PRAGMA journal_mode").fetchone() == ("wal",)
        assert pragma("PRAGMA synchronous").fetchone() == (2,)


def test_a_second_writer_is_turned_away_and_a_reader_is_not(tmp_path: Path) -> None:
    path = tmp_path / "j.sqlite"
    with Journal(path, write=True):
        with pytest.raises(StoppedError, match="another run is writing"):
            Journal(path, write=True)
        with Journal(path) as reader:
            assert list(reader.rows()) == []
    Journal(path, write=True).close()


def test_a_journal_that_cannot_be_written_stops_the_run(tmp_path: Path) -> None:
    with Journal(tmp_path / "j.sqlite", write=True) as journal:
        journal._connection.execute("PRAGMA query_only=1")
        with pytest.raises(StoppedError, match=r"j\.sqlite: cannot write the journal"):
            asyncio.run(journal.record(Attempt(call(), State.FAILED, 0.1, error="x")))


def test_reading_a_journal_that_is_not_there_is_an_error(tmp_path: Path) -> None:
    with pytest.raises(InputError, match="no journal here yet"):
        Journal(tmp_path / "j.sqlite")
    assert not (tmp_path / "j.sqlite").exists()


@pytest.mark.parametrize("write", [True, False])
def test_a_file_that_is_no_database_is_an_error_and_stays_as_it_is(
    tmp_path: Path, write: bool
) -> None:
    path = tmp_path / "j.sqlite"
    path.write_text("cell_line,pert,gene\n" * 100)
    with pytest.raises(InputError, match="not a journal"):
        Journal(path, write=write)
    assert path.read_text() == "cell_line,pert,gene\n" * 100


def test_somebody_elses_database_is_an_error(tmp_path: Path) -> None:
    path = tmp_path / "j.sqlite"
    with sqlite3.connect(path) as connection:
        connection.execute("CREATE TABLE other (x)")
    with pytest.raises(InputError, match="not a journal of this version"):
        Journal(path, write=True)


def test_a_folder_that_cannot_be_made_is_an_error(tmp_path: Path) -> None:
    (tmp_path / "file").write_text("")
    with pytest.raises(InputError, match="cannot write here"):
        Journal(tmp_path / "file" / "j.sqlite", write=True)
