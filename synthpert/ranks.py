"""Which of several processes of one run tells of an error that all of them meet."""

from __future__ import annotations

import os
import signal
import threading
import time

# Launchers end the other processes when one ends: torchrun looks every 0.1 s, Lightning every 5 s.
PATIENCE = 10.0
_PARENT = os.getppid()


def tells(patience: float = PATIENCE) -> bool:
    """Whether this process is to tell of its error.

    The first process always does. Another waits: if the first meets the same error, it ends, and
    its launcher ends this one, or leaves it without a parent. Who is alive after that has an error
    of its own, and tells it.

    Args:
        patience: Seconds to wait; a little more on each further process of a machine.
    """
    if is_first():
        return True
    if threading.current_thread() is threading.main_thread():
        # A handler of Lightning's would only take note of the launcher's SIGTERM.
        signal.signal(signal.SIGTERM, signal.SIG_DFL)
    end = time.monotonic() + patience + _number("LOCAL_RANK", "SLURM_LOCALID")
    while time.monotonic() < end:
        if os.getppid() != _PARENT:
            return False
        time.sleep(0.05)
    return True


def is_first() -> bool:
    """Whether this is the first of a run's processes, as far as its launcher has said."""
    return _number("RANK", "SLURM_PROCID", "LOCAL_RANK") == 0


def _number(*names: str) -> int:
    """The first of some environment variables that is set, as a number; else 0."""
    found = [os.environ[name] for name in names if os.environ.get(name, "").isdigit()]
    return int(found[0]) if found else 0
