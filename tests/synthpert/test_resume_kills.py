"""SIGKILLs within a fit: the run that goes on is the run that was never killed."""

from __future__ import annotations

import subprocess
import sys

import pytest
from cli_recipe import HOME, environment


@pytest.mark.slow
def test_after_five_kills_losses_examples_and_adapters_are_those_of_a_run_left_alone() -> None:
    # A process of its own, since it forks: torch is imported once for all lives.
    command = [sys.executable, str(HOME / "benchmarks" / "resume_kills.py"), "5", "40", "1", "0"]
    done = subprocess.run(
        command, capture_output=True, text=True, env=environment(), timeout=280, check=False
    )
    assert done.returncode == 0, done.stdout + done.stderr
    found = [line.strip("| ").split("|") for line in done.stdout.splitlines()]
    table = {name.strip(): figure.strip() for name, figure in found}
    assert (table["kills"], table["steps"]) == ("5", "40")
    assert int(table["losses compared"]) >= 40
    assert int(table["examples compared"]) >= 78
    for name in ("examples different", "losses different", "steps missing"):
        assert table[name] == "0"
    assert table["adapters equal"] == "True"
