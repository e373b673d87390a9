"""`synthpert doctor`: is this machine fit, and what to do where it is not."""

from __future__ import annotations

import logging
import sys
from typing import TYPE_CHECKING

from synthpert.commands import run
from synthpert.errors import InputError

if TYPE_CHECKING:
    from collections.abc import Sequence

    from tools.doctor.finding import Finding

log = logging.getLogger(__name__)


def main(args: list[str]) -> int:
    """Run the verb.

    Args:
        args: The command line after `doctor`.

    Returns:
        0, or 2 where something is at fault.
    """
    return run("doctor", doctor, args)


def doctor(offline: bool = False) -> int:
    """Look at this machine: a table of ok, warn and fail, each with its remedy.

    Python, torch, GPUs, memory, disk, network (two seconds), keys (whether they are set, never
    what they are), versions, extras, and where our packages are imported from. A warn is what some
    work needs; a fail is what nothing goes right with, and the exit code is 2. Imports torch, which
    takes some seconds. Example: synthpert doctor --offline

    Args:
        offline: Do not look at the network.

    Returns:
        0, or 2 where something is at fault.
    """
    findings = examine(offline=offline)
    show(findings)
    return InputError.exit_code if any(each.state == "fail" for each in findings) else 0


def examine(*, offline: bool) -> list[Finding]:
    """Look at everything.

    Args:
        offline: Do not look at the network.

    Returns:
        A finding for each thing, in the order of the table.
    """
    from tools.doctor import keys, machine, network, packages

    if sys.stderr.isatty():
        log.info("looking; torch takes some seconds ...")
    asked = [] if offline else network.hosts()
    waiting = network.start(asked)
    findings = [
        machine.python(),
        machine.system(),
        packages.malicious(),
        packages.required(),
        packages.pins(),
        packages.extras(),
        *packages.homes(),
        *machine.torch_build(),
        machine.memory(),
        *machine.disk(),
        machine.runs_folder(),
        *keys.keys(),
        network.proxies(),
    ]
    for thread in waiting:
        thread.join(network.WITHIN)
    findings += [host.finding for host in asked]
    ahead = next((host.ahead for host in asked if host.ahead is not None), None)
    return [*findings, machine.clock(ahead)]


def show(findings: Sequence[Finding]) -> None:
    """Print the table and the counts.

    Args:
        findings: What was found.
    """
    from synthpert.display import show as show_table

    counts = {state: sum(each.state == state for each in findings) for state in _STATES}
    told = ", ".join(f"{count} {state}" for state, count in counts.items())
    header = ("what", "is", "found", "remedy")
    show_table("This machine", header, findings, told)


_STATES = ("ok", "warn", "fail")
