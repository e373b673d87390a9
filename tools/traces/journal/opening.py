"""The journal's file: who may write it, who may read it, and how an older one becomes today's."""

from __future__ import annotations

import contextlib
import logging
import os
import sqlite3
from pathlib import Path
from typing import TYPE_CHECKING, TextIO

from synthpert.errors import InputError
from synthpert.holding import hold

if TYPE_CHECKING:
    from collections.abc import Iterator

logger = logging.getLogger(__name__)

_VERSION = 2
# Long texts come last: to read a row's other columns SQLite need not page through them.
_SCHEMA = """
CREATE TABLE attempts (
    id INTEGER PRIMARY KEY,
    key TEXT NOT NULL,
    role TEXT NOT NULL,
    cell_line TEXT NOT NULL,
    pert TEXT NOT NULL,
    gene TEXT NOT NULL,
    label TEXT,
    sample INTEGER NOT NULL,
    model TEXT NOT NULL,
    parameters TEXT NOT NULL,
    prompt_id TEXT NOT NULL,
    parent TEXT NOT NULL DEFAULT '',
    batch TEXT REFERENCES batches (id),
    state TEXT NOT NULL,
    finish_reason TEXT,
    prompt_tokens INTEGER,
    completion_tokens INTEGER,
    cost REAL,
    reserved REAL,
    parse TEXT,
    grade TEXT,
    seconds REAL,
    at TEXT NOT NULL DEFAULT (strftime('%Y-%m-%dT%H:%M:%fZ', 'now')),
    error TEXT,
    request TEXT,
    reply TEXT,
    hidden_thought TEXT
);
CREATE UNIQUE INDEX one_answer ON attempts (key) WHERE state = 'answered';
CREATE INDEX under_way ON attempts (batch, key) WHERE state = 'sent';
CREATE INDEX money ON attempts (cost, reserved);
"""
_BATCHES = """
TABLE batches (
    id TEXT PRIMARY KEY,
    role TEXT NOT NULL,
    model TEXT NOT NULL,
    requests INTEGER NOT NULL,
    state TEXT NOT NULL,
    provider_id TEXT,
    input_file TEXT,
    output_file TEXT,
    error_file TEXT,
    error TEXT,
    at TEXT NOT NULL DEFAULT (strftime('%Y-%m-%dT%H:%M:%fZ', 'now'))
);
"""
# The rows of a journal of version 1 as rows of today; it kept no requests and knew no batches.
_FROM_1 = """
SELECT id, key, role, cell_line, pert, gene, label, sample, model, parameters, prompt_id,
    '' AS parent, NULL AS batch, state, finish_reason, prompt_tokens, completion_tokens, cost,
    NULL AS reserved, NULL AS parse, NULL AS grade, seconds, at, error, NULL AS request, reply,
    NULL AS hidden_thought
FROM {table};
"""
_MIGRATE_1 = f"""
DROP INDEX one_answer;
DROP INDEX attempts_of_key;
ALTER TABLE attempts RENAME TO attempts_1;
{_SCHEMA}
INSERT INTO attempts {_FROM_1.format(table="attempts_1")}
DROP TABLE attempts_1;
"""
_READ_1 = f"""
CREATE TEMP VIEW attempts AS {_FROM_1.format(table="main.attempts")}
CREATE TEMP {_BATCHES}
"""
_TIMEOUT = 30.0


def lock(path: Path) -> TextIO:
    """Keep other writers out, and tell them who we are.

    Args:
        path: The journal; its folder is made where needed.

    Returns:
        The lock, to be given to `synthpert.holding.release`.

    Raises:
        InputError: If nothing can be written there.
        StoppedError: If another run is writing; it says which.
    """
    if path.is_dir():
        raise InputError("this is a folder", file=path, expected="the journal's file")
    return hold(_beside(path, ".lock"), path, "another run is writing to this journal")


def open_for_writing(path: Path) -> sqlite3.Connection:
    """Open a journal that is locked, make it where there is none, bring an old one up to date.

    Args:
        path: The journal.

    Returns:
        A connection for any thread, one at a time, without transactions of its own accord.

    Raises:
        InputError: If it is no journal, or one of a newer version.
    """
    with _as_input_error(path):
        _keep_private(path)
        connection = _connect(path, "mode=rw")
        try:
            version = _version(connection, path)
            connection.execute("PRAGMA journal_mode=WAL")
            connection.execute("PRAGMA synchronous=FULL")
            # Whole or not at all: a kill in the middle leaves the old version as it was.
            changes = {0: f"{_SCHEMA} CREATE {_BATCHES}", 1: f"{_MIGRATE_1} CREATE {_BATCHES}"}
            if version in changes:
                connection.executescript(
                    f"BEGIN IMMEDIATE; {changes[version]} PRAGMA user_version={_VERSION}; COMMIT;"
                )
        except (sqlite3.Error, InputError):
            connection.close()
            raise
    return connection


def open_for_reading(path: Path) -> sqlite3.Connection:
    """Open a journal that another process may be writing; nothing in it can be changed.

    Args:
        path: The journal, of this version or an older one.

    Returns:
        A connection that shows the tables of this version.

    Raises:
        InputError: If it is not there, is no journal, or cannot be read.
    """
    if not path.is_file():
        raise _none_yet(path)
    with _as_input_error(path):
        connection = _connect(path, "mode=rw")
        try:
            version = _version(connection, path)
        except sqlite3.OperationalError:
            connection.close()
            log = _beside(path, "-wal")
            if log.exists() and log.stat().st_size > 0:
                raise
            # WAL needs a file beside the journal even to read it, and the folder may take none;
            # without a log nobody is writing, so that the file can be read as it lies.
            connection = _connect(path, "immutable=1")
            version = _version(connection, path)
        if version == 0:
            raise _none_yet(path)
        if version == 1:
            connection.execute("PRAGMA temp_store=MEMORY")
            connection.executescript(_READ_1)
        connection.execute("PRAGMA query_only=1")
    return connection


@contextlib.contextmanager
def _as_input_error(path: Path) -> Iterator[None]:
    try:
        yield
    except sqlite3.OperationalError as error:
        raise InputError(f"the journal cannot be opened: {error}", file=path) from None
    except sqlite3.Error as error:
        raise InputError(f"not a journal, or a damaged one: {error}", file=path) from None
    except OSError as error:
        raise InputError(f"cannot write here: {error.strerror or error}", file=path) from None


def _connect(path: Path, how: str) -> sqlite3.Connection:
    uri = f"{path.absolute().as_uri()}?{how}"
    return sqlite3.connect(
        uri, uri=True, timeout=_TIMEOUT, isolation_level=None, check_same_thread=False
    )


def _version(connection: sqlite3.Connection, path: Path) -> int:
    """The version of a journal; 0 if the file is empty."""
    version: int = connection.execute("PRAGMA user_version").fetchone()[0]
    tables = {name for (name,) in connection.execute("SELECT name FROM sqlite_master")}
    if not tables and version == 0:
        return 0
    if "attempts" not in tables or version < 1:
        raise InputError("not a journal", file=path, expected="a file that `traces make` has made")
    if version > _VERSION:
        expected = f"version {_VERSION} or older; a newer synthpert has made this one"
        raise InputError(
            "unknown version of the journal", file=path, got=version, expected=expected
        )
    return version


def _none_yet(path: Path) -> InputError:
    return InputError("no journal here yet", file=path, expected="a run of `traces make` or `ask`")


def _keep_private(path: Path) -> None:
    """Make the file for its owner alone; SQLite gives its log the same mode."""
    with contextlib.suppress(FileExistsError):
        os.close(os.open(path, os.O_CREAT | os.O_EXCL | os.O_WRONLY, 0o600))
    for each in (path, *(_beside(path, suffix) for suffix in ("-wal", "-shm", ".lock"))):
        try:
            if each.stat().st_mode & 0o077:
                each.chmod(0o600)
        except FileNotFoundError:
            continue
        except PermissionError:
            logger.warning("%s: others may read it, and its mode cannot be changed", each)


def _beside(path: Path, suffix: str) -> Path:
    return path.with_name(path.name + suffix)
