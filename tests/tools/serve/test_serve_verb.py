"""The verb: its flags, what it loads, and its errors in one line."""

from __future__ import annotations

import os
import re
import signal
import subprocess
import sys
from pathlib import Path
from threading import Event

import httpx
import pytest
from cli_recipe import environment
from conftest import flags

from synthpert.__main__ import main
from synthpert.errors import InputError
from tools.serve import sessions
from tools.serve.address import listen
from tools.serve.desk import Desk
from tools.serve.opening import open_page
from tools.serve.page import Page
from tools.serve.parts import Answers, Full
from tools.serve.serving import server


def error(capsys: pytest.CaptureFixture[str], *args: str) -> str:
    assert main(["serve", *args]) == 2
    return capsys.readouterr().err.splitlines()[-1]


def test_help_shows_an_example(capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["serve", "--help"]) == 0
    assert "synthpert serve --run runs/tiny" in capsys.readouterr().out


def test_a_run_that_is_none_is_one_line(capsys: pytest.CaptureFixture[str]) -> None:
    line = error(capsys, "--run", "nowhere", "--port", "0")
    assert line.startswith("nowhere: no run (expected the folder of a fit")


def test_a_port_in_use_is_told_before_anything_is_loaded(
    capsys: pytest.CaptureFixture[str],
) -> None:
    with listen("127.0.0.1", 0) as taken:
        port = str(taken.getsockname()[1])
        line = error(capsys, "--run", "nowhere", "--port", port)
    assert line.startswith(f"--host 127.0.0.1 --port {port}: cannot listen here")
    assert "another port" in line


@pytest.mark.parametrize("port", ["http", "70000", "-1"])
def test_a_port_that_is_none_is_one_line(port: str, capsys: pytest.CaptureFixture[str]) -> None:
    assert "no port" in error(capsys, "--run", "run", f"--port={port}")


def test_a_short_token_is_one_line(capsys: pytest.CaptureFixture[str]) -> None:
    assert "too short" in error(capsys, "--run", "run", "--host", "0.0.0.0", "--token", "abc")


def test_a_device_that_is_not_there_is_one_line() -> None:
    with pytest.raises(InputError, match="no such device"):
        open_page(flags(device="abacus"), [])


def test_a_run_without_traces_says_so() -> None:
    page = open_page(flags(traces=None), [])
    assert page.desk.traces is None
    assert "trained without traces" in page.desk.why_no_traces


def test_another_split_is_not_said_to_be_the_students(opened: Page) -> None:
    assert opened.desk.benchmark.own
    assert not open_page(flags(split="strict"), []).desk.benchmark.own


def test_a_mode_that_is_none_is_refused(desk: Desk) -> None:
    with pytest.raises(InputError, match="unknown mode"):
        next(desk.one(("k562", "T0", "G0"), "guess", Event()))


def test_work_of_a_session_is_ended_by_its_own_stop_alone() -> None:
    stops = sessions.Stops()
    mine, other = stops.begin("mine"), stops.begin("other")
    stops.stop("mine")
    assert (mine.is_set(), other.is_set()) == (True, False)
    again = stops.begin("other")
    assert (other.is_set(), again.is_set()) == (True, False)


def test_the_parts_of_the_page_are_named_for_those_who_look(opened: Page) -> None:
    assert isinstance(opened.past, Answers)
    assert isinstance(opened.full, Full)
    assert server(opened, "127.0.0.1", None).config.log_level == "warning"


def test_the_command_serves_until_interrupted(lab: Path) -> None:
    command = [sys.executable, "-m", "synthpert", "serve", "--run", "run", "--port", "0"]
    process = subprocess.Popen(
        command, cwd=lab, env=environment(), stdout=subprocess.PIPE, text=True
    )
    try:
        assert process.stdout is not None
        line = process.stdout.readline()
        address = re.search(r"http://\S+", line)
        assert address is not None
        retry = httpx.HTTPTransport(retries=5)
        with httpx.Client(transport=retry, trust_env=False) as client:
            assert client.get(address[0], timeout=30).status_code == 200
    finally:
        process.send_signal(signal.SIGINT)
        code = process.wait(30)
    assert code in (0, 130)
    assert not [name for name in os.listdir(lab) if "gradio" in name]
