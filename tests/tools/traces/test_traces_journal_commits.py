"""Group commit: what shares a commit, what a busy disk holds up, what a full one does."""

from __future__ import annotations

import asyncio
import sqlite3
import time
from collections.abc import Callable, Coroutine, Iterator
from pathlib import Path
from typing import Any

import pytest

from synthpert.errors import StoppedError
from tools.traces.journal.commits import Commits

INSERT = "INSERT INTO rows VALUES (?)"
Work = Callable[[Commits], Coroutine[Any, Any, object]]


class Disk(sqlite3.Connection):
    """A connection whose commits are counted and take `delay` seconds."""

    delay = 0.0
    commits = 0

    def execute(self, statement: str, *values: Any) -> sqlite3.Cursor:
        if statement == "COMMIT":
            time.sleep(self.delay)
            self.commits += 1
        return super().execute(statement, *values)


@pytest.fixture
def disk(tmp_path: Path) -> Iterator[Disk]:
    path = tmp_path / "c.sqlite"
    connection = sqlite3.connect(path, isolation_level=None, check_same_thread=False, factory=Disk)
    connection.executescript("PRAGMA journal_mode=WAL; CREATE TABLE rows (x UNIQUE)")
    yield connection
    connection.close()


def run(disk: Disk, work: Work) -> list[int]:
    """Do some work, close, and tell what is on disk."""
    commits = Commits(disk, Path("c.sqlite"))
    (_, _, path) = disk.execute("PRAGMA database_list").fetchone()
    asyncio.run(work(commits))  # type: ignore[arg-type]
    commits.close()
    reader = sqlite3.connect(path)
    found = [x for (x,) in reader.execute("SELECT x FROM rows ORDER BY rowid")]
    reader.close()
    return found


def test_writes_of_one_turn_share_a_commit_and_keep_their_order(disk: Disk) -> None:
    async def work(commits: Commits) -> None:
        cursors = await asyncio.gather(*(commits.write(INSERT, (i,)) for i in range(100)))
        assert [cursor.lastrowid for cursor in cursors] == list(range(1, 101))

    assert run(disk, work) == list(range(100))
    assert disk.commits == 1


def test_what_arrives_during_a_commit_goes_into_the_next(disk: Disk) -> None:
    disk.delay = 0.1

    async def late(commits: Commits, i: int) -> None:
        await asyncio.sleep(0.001 * i)
        await commits.write(INSERT, (i,))

    async def work(commits: Commits) -> None:
        await asyncio.gather(*(late(commits, i) for i in range(20)))

    assert run(disk, work) == list(range(20))
    assert disk.commits < 5


def test_the_event_loop_goes_on_while_the_disk_is_busy(disk: Disk) -> None:
    disk.delay = 0.5

    async def work(commits: Commits) -> None:
        write = asyncio.create_task(commits.write(INSERT, (1,)))
        ticks = 0
        while not write.done():
            await asyncio.sleep(0.01)
            ticks += 1
        assert ticks > 5

    assert run(disk, work) == [1]


def test_a_write_is_on_disk_when_it_returns(disk: Disk) -> None:
    (_, _, path) = disk.execute("PRAGMA database_list").fetchone()

    async def work(commits: Commits) -> None:
        for i in range(5):
            await commits.write(INSERT, (i,))
            reader = sqlite3.connect(path)
            assert reader.execute("SELECT COUNT(*) FROM rows").fetchone() == (i + 1,)
            reader.close()

    run(disk, work)


def test_a_full_disk_stops_all_who_wait_and_the_next_ones_may_try_again(disk: Disk) -> None:
    (pages,) = disk.execute("PRAGMA page_count").fetchone()

    async def work(commits: Commits) -> None:
        disk.execute(f"PRAGMA max_page_count={pages}")
        big = (commits.write(INSERT, (str(i) * 9999,)) for i in range(9))
        troubles = await asyncio.gather(*big, return_exceptions=True)
        assert {type(trouble) for trouble in troubles} == {StoppedError}
        assert str(troubles[0]) == ("c.sqlite: cannot write the journal: database or disk is full")
        disk.execute("PRAGMA max_page_count=9999")
        await commits.write(INSERT, (1,))

    assert run(disk, work) == [1]


def test_a_commit_that_fails_stops_all_who_wait(disk: Disk) -> None:
    async def work(commits: Commits) -> None:
        disk.executescript("PRAGMA foreign_keys=1; CREATE TABLE child (x REFERENCES rows (x))")
        disk.executescript(
            "DROP TABLE child; CREATE TABLE child (x REFERENCES rows (x) "
            "DEFERRABLE INITIALLY DEFERRED)"
        )
        good = commits.write(INSERT, (1,))
        bad = commits.write("INSERT INTO child VALUES (?)", (7,))
        troubles = await asyncio.gather(good, bad, return_exceptions=True)
        assert {type(trouble) for trouble in troubles} == {StoppedError}
        await commits.write(INSERT, (2,))

    assert run(disk, work) == [2]


@pytest.mark.parametrize("value", [object(), 2**70, "\ud800"])
def test_a_value_that_sqlite_cannot_hold_stops_the_run_and_hangs_nobody(
    disk: Disk, value: object
) -> None:
    async def work(commits: Commits) -> None:
        with pytest.raises(StoppedError, match="cannot write the journal"):
            await commits.write(INSERT, (value,))

    assert run(disk, work) == []


@pytest.mark.parametrize(("drop", "found"), [(False, [1]), (True, [])])
def test_a_cancelled_write_is_written_unless_it_may_be_dropped(
    disk: Disk, drop: bool, found: list[int]
) -> None:
    async def work(commits: Commits) -> None:
        write = asyncio.create_task(commits.write(INSERT, (1,), drop=drop))
        await asyncio.sleep(0)
        write.cancel()
        await asyncio.gather(write, return_exceptions=True)

    assert run(disk, work) == found


def test_what_a_loop_leaves_behind_is_written_before_the_next_loops_work(disk: Disk) -> None:
    disk.delay = 0.1

    async def leave(commits: Commits) -> None:
        tasks = [asyncio.create_task(commits.write(INSERT, (1,)))]
        await asyncio.sleep(0.02)
        tasks.append(asyncio.create_task(commits.write(INSERT, (2,))))
        await asyncio.sleep(0)

    commits = Commits(disk, Path("c.sqlite"))
    asyncio.run(leave(commits))

    async def go_on(commits: Commits) -> None:
        await commits.write(INSERT, (3,))

    asyncio.run(go_on(commits))
    assert [x for (x,) in disk.execute("SELECT x FROM rows ORDER BY rowid")] == [1, 2, 3]
    commits.close()


def test_a_transaction_waits_for_the_commit_under_way(disk: Disk) -> None:
    disk.delay = 0.1

    async def work(commits: Commits) -> None:
        first = asyncio.create_task(commits.write(INSERT, (1,)))
        await asyncio.sleep(0.02)
        second = asyncio.create_task(commits.write(INSERT, (2,)))
        await asyncio.sleep(0)
        with commits.transaction() as connection:
            connection.execute(INSERT, (3,))
        await asyncio.gather(first, second, commits.write(INSERT, (4,)))

    assert run(disk, work) == [1, 2, 3, 4]


def test_a_transaction_is_undone_by_an_error_and_told_in_one_line(disk: Disk) -> None:
    async def work(commits: Commits) -> None:
        with (
            pytest.raises(StoppedError, match=r"c\.sqlite: cannot write the journal: UNIQUE"),
            commits.transaction() as connection,
        ):
            connection.executemany(INSERT, [(1,), (1,)])

    assert run(disk, work) == []
