"""The journal's file: who may write and read it, and what becomes of older ones and of wrecks."""

from __future__ import annotations

import contextlib
import os
import signal
import sqlite3
import stat
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator
from pathlib import Path

import pytest

from synthpert.errors import InputError, StoppedError
from tools.traces.journal import Journal, State, opening

ROOT = Path(__file__).resolve().parents[3]
NOBODY = 65534
VERSION_1 = """
CREATE TABLE attempts (
    id INTEGER PRIMARY KEY, key TEXT NOT NULL, role TEXT NOT NULL, cell_line TEXT NOT NULL,
    pert TEXT NOT NULL, gene TEXT NOT NULL, label TEXT NOT NULL, sample INTEGER NOT NULL,
    model TEXT NOT NULL, parameters TEXT NOT NULL, prompt_id TEXT NOT NULL, state TEXT NOT NULL,
    reply TEXT, finish_reason TEXT, prompt_tokens INTEGER, completion_tokens INTEGER, cost REAL,
    error TEXT, seconds REAL NOT NULL,
    at TEXT NOT NULL DEFAULT (strftime('%Y-%m-%dT%H:%M:%fZ', 'now'))
);
CREATE UNIQUE INDEX one_answer ON attempts (key) WHERE state = 'answered';
CREATE INDEX attempts_of_key ON attempts (key);
PRAGMA user_version=1;
"""


def write_version_1(path: Path, rows: int = 3) -> None:
    """Write a journal as the first release did: every third call failed, the others answered."""
    with contextlib.closing(sqlite3.connect(path)) as connection, connection:
        connection.execute("PRAGMA journal_mode=WAL")
        connection.executescript(VERSION_1)
        connection.executemany(
            "INSERT INTO attempts VALUES (?, ?, 'teacher', 'k562', 'A', 'B', 'upregulated', 0,"
            " 'a/b', '{}', 'p', ?, ?, 'stop', 1, 2, 0.5, ?, 1.5, '2026-01-01T00:00:00Z')",
            [(i, f"key {i}", *one_of_three(i)) for i in range(1, rows + 1)],
        )


def one_of_three(i: int) -> tuple[str, str | None, str | None]:
    return ("failed", None, "429") if i % 3 == 0 else ("answered", f"reply {i} " * 50, None)


def rows_of(path: Path) -> list[dict[str, object]]:
    with Journal(path) as journal:
        return list(journal.rows())


def version_of(path: Path) -> int:
    with contextlib.closing(sqlite3.connect(path)) as connection:
        return int(connection.execute("PRAGMA user_version").fetchone()[0])


def test_the_file_is_a_write_ahead_log_that_is_synced_at_every_commit(tmp_path: Path) -> None:
    connection = opening.open_for_writing(tmp_path / "j.sqlite")
    assert connection.execute("PRAGMA journal_mode").fetchone() == ("wal",)
    assert connection.execute("PRAGMA synchronous").fetchone() == (2,)
    connection.close()


def test_a_second_process_is_told_at_once_who_writes(tmp_path: Path) -> None:
    path = tmp_path / "j.sqlite"
    script = "import sys; from tools.traces.journal import *; from pathlib import Path\n"
    script += "with Journal(Path('j.sqlite'), write=True): print('open', flush=True); input()"
    command = [sys.executable, "-c", script, "--api_key", "sk-canary0123456789"]
    env = os.environ | {"PYTHONPATH": str(ROOT)}
    pipes = {"stdin": subprocess.PIPE, "stdout": subprocess.PIPE}
    with subprocess.Popen(command, cwd=tmp_path, env=env, **pipes) as child:  # type: ignore[call-overload]
        assert child.stdout.readline() == b"open\n"
        start = time.monotonic()
        with pytest.raises(StoppedError, match=rf"pid {child.pid} on \S+ since 20\S+, -c ") as told:
            Journal(path, write=True)
        assert time.monotonic() - start < 1
        assert "canary" not in str(told.value)
        assert rows_of(path) == []
        child.communicate(b"\n")
    Journal(path, write=True).close()


def test_what_the_lock_says_of_a_run_that_was_killed_keeps_nobody_out(tmp_path: Path) -> None:
    (tmp_path / "j.sqlite.lock").write_text("pid 1 on elsewhere since 2020, rm")
    with Journal(tmp_path / "j.sqlite", write=True):
        assert f"pid {os.getpid()} on " in (tmp_path / "j.sqlite.lock").read_text()
        with pytest.raises(StoppedError, match=f"pid {os.getpid()}"):
            Journal(tmp_path / "j.sqlite", write=True)
    assert (tmp_path / "j.sqlite.lock").read_text() == ""


def modes(folder: Path) -> dict[str, int]:
    return {file.name: stat.S_IMODE(file.stat().st_mode) for file in folder.iterdir()}


def test_only_the_owner_may_read_the_journal_and_what_lies_beside_it(tmp_path: Path) -> None:
    before = os.umask(0)
    try:
        with Journal(tmp_path / "j.sqlite", write=True):
            names = ["j.sqlite", "j.sqlite-shm", "j.sqlite-wal", "j.sqlite.lock"]
            assert modes(tmp_path) == dict.fromkeys(names, 0o600)
            with Journal(tmp_path / "j.sqlite"):
                assert set(modes(tmp_path).values()) == {0o600}
    finally:
        os.umask(before)


def test_a_journal_that_others_may_read_is_closed_to_them(tmp_path: Path) -> None:
    Journal(tmp_path / "j.sqlite", write=True).close()
    for file in tmp_path.iterdir():
        file.chmod(0o644)
    with Journal(tmp_path / "j.sqlite", write=True):
        assert set(modes(tmp_path).values()) == {0o600}


@contextlib.contextmanager
def read_only_folder() -> Iterator[Path]:
    """A folder that this process cannot write to, not even where the tests run as root."""
    is_root = os.geteuid() == 0
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        write_version_1(folder / "1.sqlite")
        Journal(folder / "j.sqlite", write=True).close()
        with sqlite3.connect(folder / "live.sqlite") as live:
            live.execute("PRAGMA journal_mode=WAL")
            live.executescript(VERSION_1)
            for suffix in ("", "-wal"):
                raw = (folder / f"live.sqlite{suffix}").read_bytes()
                (folder / f"torn.sqlite{suffix}").write_bytes(raw)
        live.close()
        for file in (*folder.iterdir(), folder):
            os.chown(file, NOBODY if is_root else -1, -1)
        folder.chmod(0o555)
        if is_root:
            os.seteuid(NOBODY)
        try:
            yield folder
        finally:
            if is_root:
                os.seteuid(0)
            folder.chmod(0o755)


def test_a_journal_in_a_folder_that_cannot_be_written_is_read() -> None:
    with read_only_folder() as folder:
        assert rows_of(folder / "j.sqlite") == []
        assert len(rows_of(folder / "1.sqlite")) == 3


@pytest.mark.parametrize("name", ["j.sqlite", "new.sqlite"])
def test_a_journal_in_a_folder_that_cannot_be_written_is_not_written(name: str) -> None:
    with (
        read_only_folder() as folder,
        pytest.raises(InputError, match=rf"{name}: .*(Permission denied|readonly database)"),
    ):
        Journal(folder / name, write=True)


def test_a_log_that_cannot_be_read_is_not_passed_over_in_silence() -> None:
    with read_only_folder() as folder, pytest.raises(InputError, match="cannot be opened"):
        Journal(folder / "torn.sqlite")


def test_a_journal_of_version_1_is_read_as_it_lies(tmp_path: Path) -> None:
    path = tmp_path / "j.sqlite"
    write_version_1(path)
    before = path.read_bytes()
    with Journal(path) as journal:
        reply = journal.answer("key 1")
        assert reply is not None
        assert (reply.text, reply.cost, reply.hidden_thought) == ("reply 1 " * 50, 0.5, "")
        assert journal.spent() == 1.5
        assert journal.batches() == []
    assert path.read_bytes() == before


def test_a_journal_of_version_1_becomes_one_of_today_and_loses_nothing(tmp_path: Path) -> None:
    path = tmp_path / "j.sqlite"
    write_version_1(path)
    before = rows_of(path)
    with Journal(path, write=True) as journal:
        assert journal.lost == 0
        assert list(journal.rows()) == before
    assert version_of(path) == 2
    assert [row["state"] for row in before] == [State.ANSWERED, State.ANSWERED, State.FAILED]
    assert before[2]["error"] == "429"
    with (
        Journal(tmp_path / "new.sqlite", write=True),
        contextlib.closing(sqlite3.connect(tmp_path / "new.sqlite")) as new,
        contextlib.closing(sqlite3.connect(path)) as old,
    ):
        names = "SELECT type, name FROM sqlite_master ORDER BY name"
        assert old.execute(names).fetchall() == new.execute(names).fetchall()


def test_a_kill_while_an_old_journal_is_brought_up_to_date_loses_nothing(tmp_path: Path) -> None:
    path = tmp_path / "j.sqlite"
    write_version_1(path, 30_000)
    before = rows_of(path)
    script = "import sys; from tools.traces.journal import Journal; from pathlib import Path\n"
    script += "print('now', flush=True); Journal(Path('j.sqlite'), write=True)"
    for delay in (0.0, 0.02, 0.05, 0.1):
        command = [sys.executable, "-c", script]
        env = os.environ | {"PYTHONPATH": str(ROOT)}
        child = subprocess.Popen(command, cwd=tmp_path, env=env, stdout=subprocess.PIPE)
        assert child.stdout is not None
        child.stdout.readline()
        time.sleep(delay)
        child.send_signal(signal.SIGKILL)
        child.communicate()
        assert rows_of(path) == before
    Journal(path, write=True).close()
    assert (version_of(path), rows_of(path)) == (2, before)


def test_an_old_journal_that_cannot_be_brought_up_to_date_stays_as_it_was(tmp_path: Path) -> None:
    path = tmp_path / "j.sqlite"
    write_version_1(path)
    with sqlite3.connect(path) as connection:
        connection.execute("CREATE TABLE batches (x)")  # found by the last step of all
    before = rows_of(path)
    with pytest.raises(InputError, match="table batches already exists"):
        Journal(path, write=True)
    assert (version_of(path), rows_of(path)) == (1, before)


@pytest.mark.parametrize("write", [True, False])
def test_a_journal_of_a_newer_version_is_an_error(tmp_path: Path, write: bool) -> None:
    path = tmp_path / "j.sqlite"
    write_version_1(path)
    with sqlite3.connect(path) as connection:
        connection.execute("PRAGMA user_version=3")
    with pytest.raises(InputError, match=r"unknown version of the journal \(got 3; expected"):
        Journal(path, write=write)
    assert version_of(path) == 3


def test_reading_a_journal_that_is_not_there_is_an_error(tmp_path: Path) -> None:
    with pytest.raises(InputError, match="no journal here yet"):
        Journal(tmp_path / "j.sqlite")
    assert not (tmp_path / "j.sqlite").exists()


def test_reading_a_journal_that_is_being_made_is_an_error(tmp_path: Path) -> None:
    (tmp_path / "j.sqlite").touch()
    with pytest.raises(InputError, match="no journal here yet"):
        Journal(tmp_path / "j.sqlite")
    Journal(tmp_path / "j.sqlite", write=True).close()
    assert rows_of(tmp_path / "j.sqlite") == []


@pytest.mark.parametrize("write", [True, False])
def test_a_file_that_is_no_database_is_an_error_and_stays_as_it_is(
    tmp_path: Path, write: bool
) -> None:
    path = tmp_path / "j.sqlite"
    path.write_text("cell_line,pert,gene\n" * 100)
    with pytest.raises(InputError, match="not a journal, or a damaged one: file is not a database"):
        Journal(path, write=write)
    assert path.read_text() == "cell_line,pert,gene\n" * 100
    if write:
        assert (tmp_path / "j.sqlite.lock").read_text() == ""


@pytest.mark.parametrize("write", [True, False])
def test_somebody_elses_database_is_an_error(tmp_path: Path, write: bool) -> None:
    path = tmp_path / "j.sqlite"
    with sqlite3.connect(path) as connection:
        connection.execute("CREATE TABLE other (x)")
    with pytest.raises(InputError, match=r"j\.sqlite: not a journal"):
        Journal(path, write=write)


def test_a_folder_that_cannot_be_made_is_an_error(tmp_path: Path) -> None:
    (tmp_path / "file").write_text("")
    with pytest.raises(InputError, match="cannot write here"):
        Journal(tmp_path / "file" / "j.sqlite", write=True)


@pytest.mark.parametrize(("write", "told"), [(True, "this is a folder"), (False, "no journal")])
def test_a_folder_is_no_journal_and_stays_open(tmp_path: Path, write: bool, told: str) -> None:
    mode = tmp_path.stat().st_mode
    with pytest.raises(InputError, match=told):
        Journal(tmp_path, write=write)
    assert tmp_path.stat().st_mode == mode
