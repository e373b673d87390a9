"""The journal: every attempt to ask a model, one row each in SQLite, on disk before it is counted.

A paid reply is never asked for twice and never lost: a call is on disk before it is sent, its reply
before anybody learns of it, and a key has one answer. Rows hold what was asked and said; what that
means is read anew by pure functions, and the reading noted beside a reply is for the eye alone.
"""

from __future__ import annotations

import sqlite3
from dataclasses import fields
from typing import TYPE_CHECKING, Any, Self

from synthpert.errors import InputError
from synthpert.holding import release
from synthpert.redaction import redact_text
from tools.traces.journal.commits import Commits
from tools.traces.journal.opening import lock, open_for_reading, open_for_writing
from tools.traces.journal.records import (
    OPEN_BATCH,
    BatchRecord,
    BatchState,
    Call,
    Finished,
    Reading,
    Reply,
    State,
)
from tools.traces.journal.rows import (
    ANSWER,
    FINISH,
    START,
    asked_values,
    ended_values,
    plain,
    read_back,
)

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator
    from pathlib import Path

__all__ = [
    "BatchRecord",
    "BatchState",
    "Call",
    "Finished",
    "Journal",
    "Reading",
    "Reply",
    "State",
]

_IS_OPEN = f"state IN ({', '.join(repr(str(state)) for state in OPEN_BATCH)})"
_LOSE = f"""
UPDATE attempts SET state = 'lost' WHERE state = 'sent'
    AND (batch IS NULL OR batch NOT IN (SELECT id FROM batches WHERE {_IS_OPEN}))
"""
_BATCH_COLUMNS = [each.name for each in fields(BatchRecord)]


class Journal:
    """The file of all attempts; a context manager.

    Args:
        path: The SQLite file.
        write: Make the file if there is none, and keep other writers out until closed.

    Attributes:
        lost: How many calls were under way, in no open batch, when the run before was killed; they
            are `lost` now, to be asked again.

    Raises:
        InputError: If there is no such file to read, or it is no journal.
        StoppedError: If another run is writing to it; the message says which.
    """

    def __init__(self, path: Path, *, write: bool = False) -> None:
        if path.is_symlink():
            # Under the name of the link it would have a lock and a log of its own.
            path = path.resolve()
        self._path = path
        self.lost = 0
        self._lock = lock(path) if write else None
        self._commits: Commits | None = None
        try:
            if write:
                self._commits = Commits(open_for_writing(path), path)
                with self._commits.transaction() as connection:
                    self.lost = connection.execute(_LOSE).rowcount
            # Another connection, since a writer would read what is not committed yet.
            self._reader = open_for_reading(path)
        except BaseException:
            self._release()
            raise

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()

    def close(self) -> None:
        """Commit what has arrived and close the file."""
        self._reader.close()
        self._release()

    def _release(self) -> None:
        try:
            if self._commits is not None:
                self._commits.close()
        finally:
            if self._lock is not None:
                release(self._lock)

    def answer(self, key: str) -> Reply | None:
        """Look a reply up.

        Args:
            key: A call's key.

        Returns:
            The reply, or None if the call has not been answered.

        Raises:
            InputError: If the file is damaged.
        """
        found = self._select(ANSWER, key)
        return Reply(*map(read_back, found[0])) if found else None

    def rows(self) -> Iterator[dict[str, Any]]:
        """Every attempt, oldest first, as column name to value, as of the first one's reading.

        Yields:
            A row, all of its columns.

        Raises:
            InputError: If the file is damaged.
        """
        # Its own connection: a reading of minutes would show `answer` the journal as it was then.
        connection = open_for_reading(self._path)
        try:
            cursor = connection.execute("SELECT * FROM attempts ORDER BY id")
            names = [name for name, *_ in cursor.description]
            for row in cursor:
                yield dict(zip(names, map(read_back, row), strict=True))
        except sqlite3.Error as error:
            raise self._unreadable(error) from None
        finally:
            connection.close()

    def spent(self) -> float:
        """US dollars that all attempts have cost, or may yet turn out to have cost.

        Where no cost is known, an attempt that is under way or lost, or that may be billed without
        a reply, counts with what was reserved for it; so does a reply whose cost nobody told.
        """
        total = "SELECT TOTAL(COALESCE(cost, reserved)) FROM attempts"
        return float(self._select(total)[0][0])

    async def start(self, call: Call, *, reserved: float | None = None) -> int:
        """Write down that a call is about to be sent; returns once that is on disk.

        Args:
            call: What is asked.
            reserved: US dollars that it may cost at most.

        Returns:
            The id of its row, for `finish`.

        Raises:
            StoppedError: If the file cannot be written (disk full …).
        """
        cursor = await self._writes.write(START, asked_values(call, None, reserved), drop=True)
        return int(cursor.lastrowid or 0)

    async def finish(
        self,
        row: int,
        state: State,
        seconds: float,
        *,
        reply: Reply | None = None,
        reading: Reading | None = None,
        error: str | None = None,
        may_be_billed: bool = False,
    ) -> None:
        """Write down how an attempt ended; returns once that is on disk, and is so if cancelled.

        An answer to a key that has been answered is kept as a `duplicate`.

        Args:
            row: What `start` gave.
            state: What became of it.
            seconds: From sending to the end.
            reply: The reply, where there is one.
            reading: How the reply reads.
            error: The provider's error; secrets are taken out.
            may_be_billed: Whether it may cost its reservation although there is no reply.

        Raises:
            StoppedError: If the file cannot be written.
            ValueError: If the attempt is not under way.
        """
        told = Finished(row, state, seconds, reply, reading, error, may_be_billed)
        cursor = await self._writes.write(FINISH, ended_values(told))
        if not cursor.rowcount:
            raise ValueError(f"attempt {row} is not under way")

    def finish_many(self, rows: Iterable[Finished]) -> None:
        """Write down how many attempts ended, all of them or none; as `finish`, at once.

        Args:
            rows: How each of them ended.

        Raises:
            StoppedError: If the file cannot be written.
            ValueError: If one of them is not under way.
        """
        with self._writes.transaction() as connection:
            for each in rows:
                if not connection.execute(FINISH, ended_values(each)).rowcount:
                    raise ValueError(f"attempt {each.row} is not under way")

    def open_batch(self, batch: BatchRecord, calls: Iterable[tuple[Call, float | None]]) -> None:
        """Write down a batch and that its calls are about to be sent: all of it or nothing.

        Args:
            batch: The batch, its id not used before.
            calls: Each with the US dollars that it may cost at most.

        Raises:
            StoppedError: If the file cannot be written.
        """
        names = [name for name in _BATCH_COLUMNS if name != "at"]
        marks = ", ".join("?" * len(names))
        insert = f"INSERT INTO batches ({', '.join(names)}) VALUES ({marks})"
        asked = (asked_values(call, batch.id, reserved) for call, reserved in calls)
        with self._writes.transaction() as connection:
            connection.execute(insert, [plain(getattr(batch, name)) for name in names])
            connection.executemany(START, asked)

    def update_batch(self, local_id: str, **columns: str | None) -> None:
        """Change what is known of a batch.

        Args:
            local_id: Our name of it.
            columns: The columns to change: state, provider_id, input_file, output_file …

        Raises:
            StoppedError: If the file cannot be written.
            ValueError: If there is no such batch or column.
        """
        if unknown := set(columns) - set(_BATCH_COLUMNS):
            raise ValueError(f"a batch has no {', '.join(sorted(unknown))}")
        if columns.get("error"):
            columns["error"] = redact_text(str(columns["error"]))
        values = [*map(plain, columns.values()), local_id]
        changes = ", ".join(f"{name} = ?" for name in columns)
        with self._writes.transaction() as connection:
            update = f"UPDATE batches SET {changes} WHERE id = ?"
            if not connection.execute(update, values).rowcount:
                raise ValueError(f"no batch {local_id}")

    def batches(self, open_only: bool = False) -> list[BatchRecord]:
        """The batches, oldest first.

        Args:
            open_only: Leave out those that are done or released.
        """
        which = f"WHERE {_IS_OPEN}" if open_only else ""
        query = f"SELECT {', '.join(_BATCH_COLUMNS)} FROM batches {which} ORDER BY at, rowid"
        rows = [dict(zip(_BATCH_COLUMNS, row, strict=True)) for row in self._select(query)]
        return [BatchRecord(**row | {"state": BatchState(row["state"])}) for row in rows]

    def batch_rows(self, local_id: str) -> dict[str, int]:
        """The attempts of a batch that are still under way, as key to row.

        Args:
            local_id: Our name of it.
        """
        query = "SELECT key, id FROM attempts WHERE batch = ? AND state = 'sent'"
        return dict(self._select(query, local_id))

    @property
    def _writes(self) -> Commits:
        if self._commits is None:
            raise ValueError(f"{self._path} was opened for reading")
        return self._commits

    def _select(self, query: str, *values: object) -> list[tuple[Any, ...]]:
        try:
            return self._reader.execute(query, values).fetchall()
        except sqlite3.Error as error:
            raise self._unreadable(error) from None

    def _unreadable(self, error: sqlite3.Error) -> InputError:
        return InputError(f"the journal cannot be read: {error}", file=self._path)
