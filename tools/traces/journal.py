"""The journal: every attempt to ask a model, one row each in SQLite, on disk before it is counted.

A paid reply is never asked for twice and never lost: a row is committed with `synchronous=FULL`
before anybody learns of the reply, and a key that has been answered cannot be answered again.
Rows hold what was said, not what it means; reading and judging replies is left to pure functions.
"""

from __future__ import annotations

import asyncio
import fcntl
import hashlib
import json
import sqlite3
from dataclasses import astuple, dataclass, field
from enum import StrEnum
from functools import cached_property
from typing import TYPE_CHECKING, Any, Self, TextIO

from synthpert.errors import InputError, StoppedError

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

    from synthpert.prompts import Message
    from synthpert.questions import Label, Question

_VERSION = 1
_TABLE = """
CREATE TABLE attempts (
    id INTEGER PRIMARY KEY,
    key TEXT NOT NULL,
    role TEXT NOT NULL,
    cell_line TEXT NOT NULL,
    pert TEXT NOT NULL,
    gene TEXT NOT NULL,
    label TEXT NOT NULL,
    sample INTEGER NOT NULL,
    model TEXT NOT NULL,
    parameters TEXT NOT NULL,
    prompt_id TEXT NOT NULL,
    state TEXT NOT NULL,
    reply TEXT,
    finish_reason TEXT,
    prompt_tokens INTEGER,
    completion_tokens INTEGER,
    cost REAL,
    error TEXT,
    seconds REAL NOT NULL,
    at TEXT NOT NULL DEFAULT (strftime('%Y-%m-%dT%H:%M:%fZ', 'now'))
);
CREATE UNIQUE INDEX one_answer ON attempts (key) WHERE state = 'answered';
CREATE INDEX attempts_of_key ON attempts (key);
"""
_INSERT = """
INSERT INTO attempts (key, role, cell_line, pert, gene, label, sample, model, parameters, prompt_id,
    state, reply, finish_reason, prompt_tokens, completion_tokens, cost, error, seconds)
VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?)
"""


class State(StrEnum):
    """What became of an attempt.

    Answered is final. Failed was a passing trouble, refused a request the provider will not take,
    stopped ended the run; these three are asked again by the next run.
    """

    ANSWERED = "answered"
    FAILED = "failed"
    REFUSED = "refused"
    STOPPED = "stopped"


@dataclass(frozen=True, slots=True)
class Reply:
    """What a model answered.

    Attributes:
        text: The reply, word for word; empty if the model said nothing.
        finish_reason: Why it ended: stop, length, refusal, content_filter …
        prompt_tokens: Tokens of the request, None if the provider did not say.
        completion_tokens: Tokens of the reply, hidden reasoning included.
        cost: US dollars, None if the price is not known (never 0 for that).
    """

    text: str
    finish_reason: str
    prompt_tokens: int | None = None
    completion_tokens: int | None = None
    cost: float | None = None


@dataclass(frozen=True)
class Call:
    """One thing to ask: everything that decides the reply, and what it is about.

    Attributes:
        role: `teacher` or `critic`.
        question: What it is about.
        label: The outcome the teacher is told.
        sample: Counts the samples of one question, from 0.
        model: LiteLLM's name of the model.
        parameters: What is sent beside the messages, without secrets and time limits.
        messages: What is sent; of these the journal keeps the hash alone, in the key.
        prompt_id: The prompt set the messages were made from.
    """

    role: str
    question: Question
    label: Label
    sample: int
    model: str
    parameters: dict[str, Any] = field(hash=False)
    messages: list[Message] = field(hash=False)
    prompt_id: str

    @cached_property
    def key(self) -> str:
        """SHA-256 of messages, model, parameters and sample, in hex."""
        facts = [self.messages, self.model, self.parameters, self.sample]
        return hashlib.sha256(json.dumps(facts, sort_keys=True, default=str).encode()).hexdigest()


@dataclass(frozen=True, slots=True)
class Attempt:
    """One time a call was made: a reply, or an error.

    Attributes:
        call: What was asked.
        state: What became of it.
        seconds: From sending to the reply or error.
        reply: The reply, where there is one.
        error: The provider's error, in one line.
    """

    call: Call
    state: State
    seconds: float
    reply: Reply | None = None
    error: str | None = None

    def row(self) -> tuple[object, ...]:
        """The values of `_INSERT`, in its order."""
        call, reply = self.call, self.reply
        parameters = json.dumps(call.parameters, sort_keys=True, default=str)
        about = (call.question.cell_line, call.question.pert, call.question.gene, str(call.label))
        asked = (call.key, call.role, *about, call.sample, call.model, parameters, call.prompt_id)
        told = (None,) * 5 if reply is None else astuple(reply)
        return (*asked, str(self.state), *told, self.error, self.seconds)


class Journal:
    """The file of all attempts; a context manager.

    Args:
        path: The SQLite file.
        write: Make the file if there is none, and keep other writers out until closed.

    Raises:
        InputError: If there is no such file to read, or it is no journal.
        StoppedError: If another run is writing to it.
    """

    def __init__(self, path: Path, *, write: bool = False) -> None:
        self._path = path
        self._waiting: list[tuple[Attempt, asyncio.Future[None]]] = []
        self._lock: TextIO | None = None
        if write:
            self._lock = _lock(path)
        elif not path.is_file():
            raise InputError("no journal here yet", file=path, expected="a run of `traces make`")
        try:
            self._connection = _connect(path, write)
        except InputError:
            self._unlock()
            raise

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()

    def close(self) -> None:
        """Commit what has arrived and close the file."""
        try:
            self._commit()
        finally:
            self._connection.close()
            self._unlock()

    def _unlock(self) -> None:
        if self._lock is not None:
            self._lock.close()

    def answer(self, key: str) -> Reply | None:
        """Look a reply up.

        Args:
            key: A call's key.

        Returns:
            The reply, or None if the call has not been answered.
        """
        row = self._connection.execute(
            "SELECT reply, finish_reason, prompt_tokens, completion_tokens, cost FROM attempts"
            " WHERE key = ? AND state = 'answered'",
            (key,),
        ).fetchone()
        return None if row is None else Reply(*row)

    def rows(self) -> Iterator[dict[str, Any]]:
        """Every attempt, oldest first, as column name to value."""
        cursor = self._connection.execute("SELECT * FROM attempts ORDER BY id")
        names = [column[0] for column in cursor.description]
        return (dict(zip(names, row, strict=True)) for row in cursor)

    async def record(self, attempt: Attempt) -> None:
        """Write an attempt down; returns once it is safely on disk.

        Attempts that arrive in the same turn of the event loop share one commit.

        Args:
            attempt: A reply or an error.

        Raises:
            StoppedError: If the file cannot be written (disk full …).
        """
        loop = asyncio.get_running_loop()
        done: asyncio.Future[None] = loop.create_future()
        if not self._waiting:
            loop.call_soon(self._commit)
        self._waiting.append((attempt, done))
        await done

    def _commit(self) -> None:
        waiting, self._waiting = self._waiting, []
        if not waiting:
            return
        trouble = None
        try:
            with self._connection:
                self._connection.executemany(_INSERT, [attempt.row() for attempt, _ in waiting])
        except sqlite3.Error as error:
            trouble = StoppedError(f"{self._path}: cannot write the journal: {error}")
        for _, done in waiting:
            if done.done():
                continue
            if trouble is None:
                done.set_result(None)
            else:
                done.set_exception(trouble)


def _lock(path: Path) -> TextIO:
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        lock = path.with_name(path.name + ".lock").open("w")
    except OSError as error:
        raise InputError(f"cannot write here: {error.strerror}", file=path) from None
    try:
        fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except BlockingIOError:
        lock.close()
        raise StoppedError(f"{path}: another run is writing to this journal") from None
    return lock


def _connect(path: Path, write: bool) -> sqlite3.Connection:
    try:
        connection = sqlite3.connect(path, timeout=30)
        version = connection.execute("PRAGMA user_version").fetchone()[0]
        empty = not connection.execute("SELECT 1 FROM sqlite_master").fetchone()
        if write and empty and version == 0:
            connection.execute("PRAGMA journal_mode=WAL")
            connection.executescript(f"BEGIN; {_TABLE} PRAGMA user_version={_VERSION}; COMMIT;")
            version = _VERSION
        connection.execute("PRAGMA synchronous=FULL")
    except sqlite3.Error as error:
        raise InputError(f"not a journal: {error}", file=path) from None
    if version != _VERSION:
        connection.close()
        raise InputError(
            "not a journal of this version", file=path, got=version, expected=f"version {_VERSION}"
        )
    return connection
