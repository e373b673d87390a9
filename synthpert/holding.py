"""One process at a time: a lock of the kernel's, and a file that tells who holds it."""

from __future__ import annotations

import contextlib
import fcntl
import os
import shlex
import socket
import sys
import time
from datetime import UTC, datetime
from pathlib import Path
from typing import Final, TextIO

from synthpert.errors import InputError, StoppedError
from synthpert.redaction import redact_arguments

# Seconds in which whoever has just got the lock writes who it is.
_NAMING: Final = 0.05
_held: set[TextIO] = set()


def hold(lock: Path, what: Path, busy: str, remedy: str = "") -> TextIO:
    """Keep other processes out, and tell them who we are.

    The lock ends with the process, however that ends; the text in its file only tells. Processes
    that this one forks do not hold it.

    Args:
        lock: The lock's file; its folder is made where needed.
        what: What is held, for the errors.
        busy: What to say where another process holds it.
        remedy: What can be done about that.

    Returns:
        The open file, to be given to `release`.

    Raises:
        InputError: If nothing can be written there.
        StoppedError: If another process holds it; it says which.
    """
    try:
        lock.parent.mkdir(parents=True, exist_ok=True)
        held = os.fdopen(
            os.open(lock, os.O_RDWR | os.O_CREAT, 0o600), "r+", encoding="utf-8", errors="replace"
        )
        try:
            fcntl.flock(held, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            time.sleep(_NAMING)
            holder = " ".join(held.read(2000).split())
            held.close()
            line = ": ".join(filter(None, (str(what), busy, holder)))
            raise StoppedError(f"{line} ({remedy})" if remedy else line) from None
        _write_over(held, _who())
    except OSError as error:
        raise InputError(f"cannot write here: {error.strerror or error}", file=what) from None
    _held.add(held)
    return held


def release(held: TextIO) -> None:
    """Let other processes in.

    Args:
        held: What `hold` gave.
    """
    _held.discard(held)
    with contextlib.suppress(OSError):
        _write_over(held, "")
    held.close()


def refuse_held(lock: Path, what: Path, busy: str, remedy: str = "") -> None:
    """Refuse what another process holds, without taking it.

    Args:
        lock: The lock's file, which need not exist.
        what: What is held, for the errors.
        busy: What to say where another process holds it.
        remedy: What can be done about that.

    Raises:
        StoppedError: If another process holds it; it says which.
    """
    if lock.is_file() and os.access(lock, os.W_OK):
        release(hold(lock, what, busy, remedy))


def _write_over(file: TextIO, text: str) -> None:
    file.seek(0)
    file.truncate()
    file.write(text)
    file.flush()


def _who() -> str:
    program = Path(sys.argv[0])
    name = program.parent.name if program.stem == "__main__" else program.name
    command = shlex.join([name, *redact_arguments(sys.argv[1:])])
    since = datetime.now(UTC).isoformat(timespec="seconds")
    return f"pid {os.getpid()} on {socket.gethostname()} since {since}, {command}"


def _let_go() -> None:
    # A worker that outlives a killed parent for a moment would keep its lock.
    while _held:
        _held.pop().close()


os.register_at_fork(after_in_child=_let_go)
