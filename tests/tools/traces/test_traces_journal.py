"""The journal: what it keeps, what it refuses, what it makes of older ones."""

from __future__ import annotations

import asyncio
import json
import sqlite3
from collections.abc import Awaitable, Callable
from dataclasses import replace
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from synthpert.errors import InputError
from synthpert.questions import Label, Question
from tools.traces.journal import BatchRecord, Call, Finished, Journal, Reading, Reply, State
from tools.traces.journal.records import BatchState
from tools.traces.journal.rows import plain, read_back
from tools.traces.settings import Model

QUESTION = Question("k562", "GATA1", "HBZ")
HI = Reply("hi", "stop", cost=0.25)
BATCH = BatchRecord("b-1", "teacher", "a/b", 2)


def call(text: str = "hello", sample: int = 0, **parameters: object) -> Call:
    messages = [{"role": "user", "content": text}]
    return Call(
        "teacher", QUESTION, Label.UP, sample, Model("a/b", parameters), messages, "paper-0"
    )


def write(path: Path, work: Callable[[Journal], Awaitable[object]]) -> None:
    async def run(journal: Journal) -> None:
        await work(journal)

    with Journal(path, write=True) as journal:
        asyncio.run(run(journal))


def record(path: Path, *attempts: tuple[Call, State, Reply | None]) -> None:
    async def one(journal: Journal, asked: Call, state: State, reply: Reply | None) -> None:
        row = await journal.start(asked)
        await journal.finish(row, state, 1.0, reply=reply)

    async def run(journal: Journal) -> None:
        await asyncio.gather(*(one(journal, *attempt) for attempt in attempts))

    write(path, run)


def rows_of(path: Path) -> list[dict[str, object]]:
    with Journal(path) as journal:
        return list(journal.rows())


def states(path: Path) -> list[object]:
    return [row["state"] for row in rows_of(path)]


texts = st.text(st.characters(codec="utf-8"))
replies = st.builds(
    Reply,
    # A reply may hold anything that JSON can: half a surrogate pair too.
    text=st.text(st.characters()),
    finish_reason=st.sampled_from(["stop", "length", "refusal"]),
    prompt_tokens=st.none() | st.integers(0, 2**40),
    completion_tokens=st.none() | st.integers(0, 2**40),
    cost=st.none() | st.floats(0, 1e6),
    hidden_thought=st.text(st.characters()),
)


@given(replies)
@settings(deadline=None, max_examples=50)
def test_a_reply_is_read_back_as_it_was_given(
    tmp_path_factory: pytest.TempPathFactory, reply: Reply
) -> None:
    path = tmp_path_factory.mktemp("journal") / "j.sqlite"
    record(path, (call(), State.ANSWERED, reply))
    with Journal(path) as journal:
        assert journal.answer(call().key) == reply
    assert rows_of(path)[0]["reply"] == reply.text


@given(st.text(st.characters()))
def test_any_text_goes_into_sqlite_and_comes_back(text: str) -> None:
    connection = sqlite3.connect(":memory:")
    (kept,) = connection.execute("SELECT ?", (plain(text),)).fetchone()
    assert read_back(kept) == text


FINAL = [state for state in State if state not in (State.SENT, State.DUPLICATE)]


@given(
    st.lists(st.tuples(texts, st.sampled_from(FINAL)), max_size=20, unique_by=lambda pair: pair[0])
)
@settings(deadline=None, max_examples=30)
def test_only_answered_calls_are_answered(
    tmp_path_factory: pytest.TempPathFactory, pairs: list[tuple[str, State]]
) -> None:
    path = tmp_path_factory.mktemp("journal") / "j.sqlite"
    record(path, *((call(text), state, Reply(text, "stop")) for text, state in pairs))
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
    assert call(timeout=1).key == call(timeout=2).key


def test_a_key_is_that_of_journals_of_version_1() -> None:
    asked = call("Zählt é", 3, temperature=0.5)
    assert asked.key == "dedc9f4dd22656546f956edf0f95edafc201428939213906eddfa68a9a92d22a"
    assert replace(asked, parent="p", prompt_id="q", role="critic", label=None).key == asked.key


def test_a_row_has_the_request_and_how_the_reply_read(tmp_path: Path) -> None:
    path = tmp_path / "j.sqlite"
    asked = replace(call(temperature=0), role="critic", label=None, parent="abc")

    async def work(journal: Journal) -> None:
        row = await journal.start(asked, reserved=0.5)
        reading = Reading("grade", "good")
        await journal.finish(row, State.ANSWERED, 2.0, reply=HI, reading=reading)

    write(path, work)
    (row,) = rows_of(path)
    assert json.loads(str(row["request"])) == asked.messages
    assert (row["role"], row["label"], row["parent"]) == ("critic", None, "abc")
    assert (row["parse"], row["grade"], row["seconds"]) == ("grade", "good", 2.0)
    assert json.loads(str(row["parameters"])) == {"temperature": 0}


def test_a_call_is_on_disk_before_it_is_sent(tmp_path: Path) -> None:
    path = tmp_path / "j.sqlite"

    async def work(journal: Journal) -> None:
        await journal.start(call())
        assert states(path) == ["sent"]

    write(path, work)


def test_a_second_answer_is_kept_as_a_duplicate_and_the_first_one_stays(tmp_path: Path) -> None:
    path = tmp_path / "j.sqlite"
    record(path, (call(), State.ANSWERED, HI), (call(), State.ANSWERED, Reply("again", "stop")))
    record(path, (call(), State.ANSWERED, Reply("and again", "stop", cost=0.5)))
    assert states(path) == ["answered", "duplicate", "duplicate"]
    with Journal(path) as journal:
        assert journal.answer(call().key) == HI
        assert journal.spent() == 0.75


def test_a_failure_and_then_an_answer_are_two_rows(tmp_path: Path) -> None:
    path = tmp_path / "j.sqlite"
    record(path, (call(), State.FAILED, None), (call(), State.ANSWERED, HI))
    assert states(path) == ["failed", "answered"]


@pytest.mark.parametrize("again", [State.ANSWERED, State.FAILED])
def test_what_has_ended_cannot_end_again(tmp_path: Path, again: State) -> None:
    path = tmp_path / "j.sqlite"
    record(path, (call(), State.ANSWERED, HI))
    with pytest.raises(ValueError, match="attempt 1 is not under way"):
        write(path, lambda journal: journal.finish(1, again, 1.0, reply=Reply("x", "stop")))
    with Journal(path) as journal:
        assert journal.answer(call().key) == HI


def test_a_key_in_an_error_is_not_written_and_a_reply_stays_as_it_is(tmp_path: Path) -> None:
    path = tmp_path / "j.sqlite"
    secret = "sk-canary0123456789abcdef"
    asked = call(api_base=f"http://me:{secret}@host/v1")

    async def work(journal: Journal) -> None:
        row = await journal.start(asked)
        await journal.finish(row, State.FAILED, 1.0, error=f"Incorrect API key provided: {secret}")
        journal.open_batch(BATCH, [])
        journal.update_batch("b-1", error=f"Bearer {secret}")

    write(path, work)
    assert all(secret.encode() not in file.read_bytes() for file in tmp_path.iterdir())
    record(path, (call(), State.ANSWERED, Reply(secret, "stop")))
    assert rows_of(path)[1]["reply"] == secret


@pytest.mark.parametrize(
    ("state", "cost", "may_be_billed", "spent"),
    [
        (State.ANSWERED, 0.25, False, 0.25),
        (State.ANSWERED, 0.0, False, 0.0),
        (State.ANSWERED, None, False, 1.0),  # what nobody told may be as much as was reserved
        (State.FAILED, None, True, 1.0),
        (State.FAILED, None, False, 0.0),
        (State.REFUSED, None, False, 0.0),
        (State.STOPPED, None, False, 0.0),
        (State.SENT, None, False, 1.0),
    ],
)
def test_what_an_attempt_counts_in_dollars(
    tmp_path: Path, state: State, cost: float | None, may_be_billed: bool, spent: float
) -> None:
    async def work(journal: Journal) -> None:
        row = await journal.start(call(), reserved=1.0)
        reply = Reply("x", "stop", cost=cost) if state is State.ANSWERED else None
        if state is not State.SENT:
            await journal.finish(row, state, 1.0, reply=reply, may_be_billed=may_be_billed)
        assert journal.spent() == spent

    write(tmp_path / "j.sqlite", work)
    # What was under way is lost now, and may be billed all the same.
    with Journal(tmp_path / "j.sqlite", write=True) as journal:
        assert journal.spent() == spent


def test_nothing_spent_is_zero(tmp_path: Path) -> None:
    with Journal(tmp_path / "j.sqlite", write=True) as journal:
        assert journal.spent() == 0.0


def test_what_was_under_way_is_lost_and_counted_by_the_next_run(tmp_path: Path) -> None:
    path = tmp_path / "j.sqlite"

    async def work(journal: Journal) -> None:
        assert journal.lost == 0
        await asyncio.gather(*(journal.start(call(str(i))) for i in range(3)))

    write(path, work)
    with Journal(path, write=True) as journal:
        assert journal.lost == 3
    with Journal(path, write=True) as journal:
        assert journal.lost == 0
    assert states(path) == ["lost"] * 3


def test_calls_in_an_open_batch_are_not_lost_and_those_of_a_released_one_are(
    tmp_path: Path,
) -> None:
    path = tmp_path / "j.sqlite"
    with Journal(path, write=True) as journal:
        journal.open_batch(BATCH, [(call("a"), 0.5), (call("b"), 0.5)])
    with Journal(path, write=True) as journal:
        assert (journal.lost, journal.spent()) == (0, 1.0)
        journal.update_batch("b-1", state=BatchState.RELEASED)
    with Journal(path, write=True) as journal:
        assert journal.lost == 2
        assert journal.batch_rows("b-1") == {}


def test_a_batch_and_its_calls_are_read_back(tmp_path: Path) -> None:
    with Journal(tmp_path / "j.sqlite", write=True) as journal:
        journal.open_batch(BATCH, [(call("a"), None), (call("b"), None)])
        journal.update_batch("b-1", state="submitted", provider_id="p", input_file="f")
        (kept,) = journal.batches(open_only=True)
        assert kept.at.startswith("20")
        changed = replace(BATCH, state=BatchState.SUBMITTED, provider_id="p", input_file="f")
        assert replace(kept, at="") == changed
        assert journal.batch_rows("b-1") == {call("a").key: 1, call("b").key: 2}


def test_a_batch_that_is_done_is_no_longer_open(tmp_path: Path) -> None:
    with Journal(tmp_path / "j.sqlite", write=True) as journal:
        journal.open_batch(BATCH, [(call("a"), 0.5), (call("b"), 0.5)])
        answered = Finished(1, State.ANSWERED, 9.0, reply=HI)
        journal.finish_many([answered, Finished(2, State.LOST, 9.0)])
        journal.update_batch("b-1", state=BatchState.DONE)
        assert journal.batches(open_only=True) == []
        assert [each.id for each in journal.batches()] == ["b-1"]
        assert journal.answer(call("a").key) == HI
        assert journal.spent() == 0.25


def test_many_attempts_end_together_or_not_at_all(tmp_path: Path) -> None:
    with Journal(tmp_path / "j.sqlite", write=True) as journal:
        journal.open_batch(BATCH, [(call("a"), None)])
        ended = [Finished(1, State.ANSWERED, 9.0, reply=HI), Finished(7, State.LOST, 9.0)]
        with pytest.raises(ValueError, match="attempt 7"):
            journal.finish_many(ended)
        assert journal.answer(call("a").key) is None
        assert journal.batch_rows("b-1") == {call("a").key: 1}


def test_a_batch_whose_calls_cannot_be_read_is_not_begun(tmp_path: Path) -> None:
    with Journal(tmp_path / "j.sqlite", write=True) as journal:
        with pytest.raises(ZeroDivisionError):
            journal.open_batch(BATCH, ((call(str(1 // n)), None) for n in (1, 0)))
        assert journal.batches() == []
        assert list(journal.rows()) == []


@pytest.mark.parametrize(
    ("name", "columns"), [("b-2", {"state": "done"}), ("b-1", {"id = 1; --": "x"})]
)
def test_only_what_a_batch_has_can_be_changed(
    tmp_path: Path, name: str, columns: dict[str, str]
) -> None:
    with Journal(tmp_path / "j.sqlite", write=True) as journal:
        journal.open_batch(BATCH, [])
        with pytest.raises(ValueError, match=r"no batch b-2|a batch has no id = 1"):
            journal.update_batch(name, **columns)


def test_a_journal_opened_for_reading_takes_no_calls(tmp_path: Path) -> None:
    record(tmp_path / "j.sqlite")
    with (
        Journal(tmp_path / "j.sqlite") as journal,
        pytest.raises(ValueError, match="was opened for reading"),
    ):
        asyncio.run(journal.start(call()))


def test_rows_are_those_of_the_moment_and_answers_those_of_now(tmp_path: Path) -> None:
    path = tmp_path / "j.sqlite"
    record(path, (call("a"), State.ANSWERED, HI), (call("b"), State.ANSWERED, HI))
    with Journal(path) as reader:
        rows = reader.rows()
        next(rows)
        record(path, (call("c"), State.ANSWERED, HI))
        assert reader.answer(call("c").key) == HI
        assert len(list(rows)) == 1


def test_a_damaged_row_is_one_line(tmp_path: Path) -> None:
    path = tmp_path / "j.sqlite"
    record(path, *((call(str(i)), State.ANSWERED, Reply("x" * 9000, "stop")) for i in range(30)))
    raw = bytearray(path.read_bytes())
    raw[9 * 4096 :] = b"\xff" * (len(raw) - 9 * 4096)
    path.write_bytes(raw)
    with Journal(path) as journal, pytest.raises(InputError, match=r"cannot be read: .*malformed"):
        list(journal.rows())
