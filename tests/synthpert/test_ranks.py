"""Of several processes with one error, one tells it."""

from __future__ import annotations

import subprocess
import sys

import pytest
from cli_recipe import environment

from synthpert.ranks import tells

ALL = ("RANK", "SLURM_PROCID", "LOCAL_RANK", "SLURM_LOCALID")
ORPHAN = """
import os, subprocess, sys, time
if len(sys.argv) == 1:
    subprocess.Popen([sys.executable, __file__, "child"], env={**os.environ, "RANK": "1"})
    time.sleep(1.5)
else:
    from synthpert.ranks import tells
    print(tells(60), flush=True)
"""


@pytest.fixture(autouse=True)
def _alone(monkeypatch: pytest.MonkeyPatch) -> None:
    for name in ALL:
        monkeypatch.delenv(name, raising=False)


def test_a_process_of_its_own_tells_at_once() -> None:
    assert tells(3600)


@pytest.mark.parametrize("name", ["RANK", "SLURM_PROCID", "LOCAL_RANK"])
def test_the_first_process_tells_at_once(name: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv(name, "0")
    assert tells(3600)


def test_another_process_that_is_not_ended_has_an_error_of_its_own(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setenv("RANK", "1")
    assert tells(0.1)


def test_another_process_is_silent_once_the_first_has_gone(tmp_path: object) -> None:
    script = f"{tmp_path}/orphan.py"
    with open(script, "w", encoding="utf-8") as file:
        file.write(ORPHAN)
    command = [sys.executable, script]
    done = subprocess.run(
        command, capture_output=True, text=True, env=environment(), timeout=60, check=True
    )
    assert done.stdout == "False\n"
