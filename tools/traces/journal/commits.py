"""Group commit: many writes, one wait for the disk, and an event loop that never waits for it."""

from __future__ import annotations

import asyncio
import contextlib
import sqlite3
from concurrent.futures import Future, ThreadPoolExecutor, wait
from dataclasses import dataclass
from typing import TYPE_CHECKING

from synthpert.errors import StoppedError

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence
    from pathlib import Path

# A value that SQLite cannot hold is an error of the whole group too: its transaction is undone.
_TROUBLES = (sqlite3.Error, ValueError, OverflowError)


@dataclass(frozen=True, slots=True)
class _Write:
    statement: str
    values: Sequence[object]
    done: asyncio.Future[sqlite3.Cursor]
    drop: bool


class Commits:
    """Brings writes to disk in the order in which they arrive, as many in one commit as have come.

    Statements run in the event loop's thread, where they change pages in memory; only the commit,
    which waits for the disk, runs in another one. Running all of it there would be slower: each
    statement would have to win Python's lock back from a busy loop. Whatever arrives while a
    commit is under way goes into the next.

    Args:
        connection: One that starts no transactions of its own accord; nobody else may use it.
        path: Its file, for messages.
    """

    def __init__(self, connection: sqlite3.Connection, path: Path) -> None:
        self._connection = connection
        self._path = path
        self._waiting: list[_Write] = []
        self._loop: asyncio.AbstractEventLoop | None = None
        self._running: Future[None] | None = None
        self._thread = ThreadPoolExecutor(1, thread_name_prefix="journal")

    async def write(
        self, statement: str, values: Sequence[object], *, drop: bool = False
    ) -> sqlite3.Cursor:
        """Run a statement; returns once it is on disk.

        Args:
            statement: One that changes rows.
            values: Its values.
            drop: Leave it out if the caller has been cancelled before its turn came; else it is
                written all the same.

        Returns:
            Its cursor, for `lastrowid` and `rowcount`.

        Raises:
            StoppedError: If the file cannot be written (disk full …).
        """
        loop = asyncio.get_running_loop()
        if loop is not self._loop:
            # What another loop has left behind has nobody else to bring it to disk.
            self.flush()
            self._loop = loop
        done: asyncio.Future[sqlite3.Cursor] = loop.create_future()
        if not self._waiting and self._running is None:
            # Not at once: what arrives in the same turn of the loop goes into the same commit.
            loop.call_soon(self._begin)
        self._waiting.append(_Write(statement, values, done, drop))
        return await done

    @contextlib.contextmanager
    def transaction(self) -> Iterator[sqlite3.Connection]:
        """Write at once, in this thread: all of the block or, where it raises, nothing of it.

        Yields:
            The connection.

        Raises:
            StoppedError: If the file cannot be written.
        """
        self.flush()
        try:
            self._connection.execute("BEGIN IMMEDIATE")
            yield self._connection
            self._connection.execute("COMMIT")
        except sqlite3.Error as error:
            raise self._stopped(error) from None
        finally:
            self._connection.rollback()

    def flush(self) -> None:
        """Bring what has arrived to disk, in this thread."""
        if self._running is not None:
            wait([self._running])
            self._running = None
        if writes := self._take():
            with self._told(writes):
                cursors = self._execute(writes)
                self._commit()
                _tell(writes, cursors)

    def close(self) -> None:
        """Bring what has arrived to disk and close the connection."""
        self.flush()
        self._thread.shutdown()
        self._connection.close()

    def _begin(self) -> None:
        """Start a commit of what is waiting, unless one is under way: that one starts the next."""
        if self._running is not None or not (writes := self._take()):
            return
        loop = asyncio.get_running_loop()
        with self._told(writes):
            cursors = self._execute(writes)
            running = self._running = self._thread.submit(self._commit)

            def ended(_: Future[None]) -> None:
                # Where the loop has ended, so have all who wait.
                with contextlib.suppress(RuntimeError):
                    loop.call_soon_threadsafe(self._committed, running, writes, cursors)

            running.add_done_callback(ended)

    def _committed(
        self, running: Future[None], writes: list[_Write], cursors: list[sqlite3.Cursor]
    ) -> None:
        if self._running is running:
            self._running = None
        with self._told(writes):
            running.result()
            _tell(writes, cursors)
        self._begin()

    def _take(self) -> list[_Write]:
        writes, self._waiting = self._waiting, []
        return [each for each in writes if not (each.drop and each.done.cancelled())]

    def _execute(self, writes: list[_Write]) -> list[sqlite3.Cursor]:
        try:
            self._connection.execute("BEGIN IMMEDIATE")
            return [self._connection.execute(each.statement, each.values) for each in writes]
        except _TROUBLES:
            self._connection.rollback()
            raise

    def _commit(self) -> None:
        try:
            self._connection.execute("COMMIT")
        except sqlite3.Error:
            self._connection.rollback()
            raise

    @contextlib.contextmanager
    def _told(self, writes: list[_Write]) -> Iterator[None]:
        """Give all who wait the error that the block raises."""
        try:
            yield
        except _TROUBLES as error:
            for each in writes:
                if not each.done.done():
                    with contextlib.suppress(RuntimeError):
                        each.done.set_exception(self._stopped(error))

    def _stopped(self, error: Exception) -> StoppedError:
        return StoppedError(f"{self._path}: cannot write the journal: {error}")


def _tell(writes: list[_Write], cursors: list[sqlite3.Cursor]) -> None:
    for each, cursor in zip(writes, cursors, strict=True):
        if not each.done.done():
            # A future of a loop that has ended has nobody to tell.
            with contextlib.suppress(RuntimeError):
                each.done.set_result(cursor)
