"""What must never happen: a key on disk, a word on stdout, a socket before it is needed."""

from __future__ import annotations

import json
import os
import stat
import subprocess
import sys
import time
from pathlib import Path

import pytest
import yaml
from chat_stub import Answer, Body, Stub, sensible
from test_traces_make import ROOT, model, write_data

from synthpert.errors import StoppedError
from tools.traces.journal import Journal

CANARY = "sk-canary-5f0e1d2c3b4a5968778695a4b3c2d1e0"
NO_SOCKET = """
import socket, sys
def watch(event, arguments):
    if event in ("socket.connect", "socket.getaddrinfo", "socket.sendto"):
        raise SystemExit(f"a socket: {event} {arguments}")
sys.addaudithook(watch)
"""


@pytest.fixture
def here(tmp_path: Path) -> Path:
    write_data(tmp_path / "data" / "perturbqa")
    return tmp_path


def synthpert(here: Path, *words: str) -> subprocess.CompletedProcess[str]:
    environment = os.environ | {"PYTHONPATH": str(ROOT), "OPENAI_API_KEY": CANARY}
    command = [sys.executable, "-m", "synthpert", "traces", *words, "--config", "traces.yaml"]
    return subprocess.run(
        command, cwd=here, env=environment, capture_output=True, text=True, timeout=120
    )


def configure(here: Path, stub: Stub, engine: str) -> None:
    each = model(stub, 4) | {"engine": engine, "key_from": "OPENAI_API_KEY"}
    told = {"questions": 6, "teacher": each, "critics": [each], "backoff": 0.01, "attempts": 2}
    (here / "traces.yaml").write_text(yaml.safe_dump(told | {"least_words": 5}))


def echoing_the_key(body: Body) -> Answer:
    """Refuses a critic with the key in the error, as some providers do."""
    if "acting as a critic" in json.dumps(body):
        error = {"message": f"Incorrect API key provided: {CANARY}.", "type": "x"}
        return Answer(status=400, error=error)
    return sensible(body)


@pytest.mark.parametrize("engine", ["litellm", "openai"])
def test_a_key_is_written_nowhere(here: Path, engine: str) -> None:
    told = []
    with Stub(then=echoing_the_key) as stub:
        configure(here, stub, engine)
        for verb in ("plan", "make", "status", "export", "cancel"):
            told.append(synthpert(here, verb))
        assert f"Bearer {CANARY}" in stub.keys or CANARY in stub.keys
    written = [path.read_bytes() for path in here.rglob("*") if path.is_file()]
    assert len(written) > 3
    assert not any(CANARY.encode() in each for each in written)
    assert not any(CANARY in each.stdout + each.stderr for each in told)


def test_make_says_nothing_on_stdout(here: Path) -> None:
    with Stub(Answer(status=500), Answer(status=400)) as stub:
        configure(here, stub, "litellm")
        made = synthpert(here, "make")
    assert made.returncode == 0, made.stderr
    assert made.stdout == ""


def test_status_as_json_is_all_there_is_on_stdout(here: Path) -> None:
    with Stub() as stub:
        configure(here, stub, "litellm")
        synthpert(here, "make")
    told = synthpert(here, "status", "--json", "true")
    assert json.loads(told.stdout)


def test_a_journal_is_for_its_owner_alone(here: Path) -> None:
    with Stub() as stub:
        configure(here, stub, "openai")
        synthpert(here, "make")
    files = list((here / "runs" / "traces").glob("journal.sqlite*"))
    assert files
    assert {stat.S_IMODE(path.stat().st_mode) for path in files} == {0o600}


def test_a_second_run_on_the_journal_is_refused_and_told_who_holds_it(here: Path) -> None:
    def slow(body: Body) -> Answer:
        return Answer("hm", delay=5.0)

    with Stub(then=slow) as stub:
        configure(here, stub, "openai")
        environment = os.environ | {"PYTHONPATH": str(ROOT), "OPENAI_API_KEY": CANARY}
        command = [sys.executable, "-m", "synthpert", "traces", "make", "--config", "traces.yaml"]
        first = subprocess.Popen(command, cwd=here, env=environment, stderr=subprocess.DEVNULL)
        while not stub.bodies:
            assert first.poll() is None
            time.sleep(0.01)
        second = synthpert(here, "make")
        first.kill()
        first.wait()
    assert second.returncode == 3
    assert f"pid {first.pid}" in second.stderr.splitlines()[-1]


@pytest.mark.parametrize(
    "module", ["make", "plan", "export", "status", "batches", "factuality", "engines.direct"]
)
def test_no_import_opens_a_socket(module: str) -> None:
    program = f"{NO_SOCKET}\nimport tools.traces.{module}"
    subprocess.run([sys.executable, "-c", program], check=True, cwd=ROOT, timeout=120)


def test_a_plan_needs_no_socket_and_no_key(here: Path) -> None:
    with Stub() as stub:
        configure(here, stub, "litellm")
    program = (
        f"{NO_SOCKET}\nfrom tools import traces\ntraces.main(['plan', '--config', 'traces.yaml'])"
    )
    environment = {"PYTHONPATH": str(ROOT), "PATH": os.environ["PATH"], "HOME": str(here)}
    told = subprocess.run(
        [sys.executable, "-c", program],
        cwd=here,
        env=environment,
        capture_output=True,
        text=True,
        timeout=120,
    )
    assert told.returncode == 0, told.stderr
    assert "teacher" in told.stdout


def test_a_journal_is_locked_under_its_links_too(tmp_path: Path) -> None:
    (tmp_path / "link.sqlite").symlink_to(tmp_path / "j.sqlite")
    with (
        Journal(tmp_path / "j.sqlite", write=True),
        pytest.raises(StoppedError, match="another run is writing"),
    ):
        Journal(tmp_path / "link.sqlite", write=True)
