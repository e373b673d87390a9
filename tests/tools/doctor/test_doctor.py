"""`doctor`: each thing looked at is ok, warn or fail, with what to do."""

from __future__ import annotations

import http.server
import logging
import os
import subprocess
import sys
import threading
from collections.abc import Iterator
from pathlib import Path

import pytest
from repository import ROOT

from synthpert.__main__ import main
from tools.doctor import examine
from tools.doctor.finding import Finding, size
from tools.doctor.keys import TEACHERS, keys
from tools.doctor.machine import clock, memory, python, runs_folder, threads
from tools.doctor.network import Host, hosts, proxies, start
from tools.doctor.packages import MALICIOUS, extras, homes, malicious, pins, required

SECRET = "sk-" + "a" * 40


@pytest.fixture
def address() -> Iterator[str]:
    """A server that refuses everybody, as an hour ago."""

    class Refuses(http.server.BaseHTTPRequestHandler):
        def do_HEAD(self) -> None:
            self.send_response_only(403)
            self.send_header("Date", "Mon, 01 Jan 2024 00:00:00 GMT")
            self.end_headers()

        def log_message(self, *args: object) -> None:
            logging.getLogger(__name__).debug("%s", args)

    server = http.server.HTTPServer(("127.0.0.1", 0), Refuses)
    threading.Thread(target=server.serve_forever, daemon=True).start()
    yield f"http://127.0.0.1:{server.server_address[1]}"
    server.shutdown()


def test_a_table_is_shown_and_the_code_is_that_of_its_worst_line(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.chdir(tmp_path)
    assert main(["doctor", "--offline"]) == 0
    out = capsys.readouterr().out
    for what in ("Python", "torch", "memory", "disk here", "our packages", "clock"):
        assert f"| {what} |" in out
    assert " 0 fail" in out
    assert "Hugging Face" not in out


def test_a_fault_ends_in_code_2(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.chdir(tmp_path)
    (tmp_path / "runs").write_text("a file in the way")
    assert main(["doctor", "--offline"]) == 2
    assert "| runs folder | fail |" in capsys.readouterr().out


def test_keys_are_counted_and_never_shown(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("OPENAI_API_KEY", SECRET)
    monkeypatch.setenv("WANDB_API_KEY", "b" * 40)
    monkeypatch.setenv("HTTPS_PROXY", f"http://me:{SECRET}@proxy.lab:3128")
    told = " ".join(map(str, examine(offline=True)))
    assert "set: OPENAI_API_KEY" in told
    assert "https_proxy proxy.lab" in told
    assert not any(part in told for part in ("sk-", "aaaa", "bbbb", "me:"))


def test_a_key_that_is_missing_has_a_remedy(monkeypatch: pytest.MonkeyPatch) -> None:
    for name in (*TEACHERS, "WANDB_API_KEY", "HF_TOKEN"):
        monkeypatch.delenv(name, raising=False)
    teacher, *others = keys()
    assert (teacher.state, teacher.found) == ("warn", "none set")
    assert "OPENAI_API_KEY" in teacher.remedy
    assert {each.state for each in others} == {"ok"}


@pytest.mark.parametrize(("name", "version"), [(n, v) for n, vs in MALICIOUS.items() for v in vs])
def test_a_malicious_release_is_a_fault(name: str, version: str) -> None:
    found = malicious({name: version})
    assert (found.state, found.found) == ("fail", f"{name} {version}")
    assert "change every key" in found.remedy
    assert malicious({name: "2.6.6"}).state == "ok"


def test_versions_are_held_against_the_pins(tmp_path: Path) -> None:
    file = tmp_path / "constraints.txt"
    file.write_text("# pins\nPyYAML==0.1\nrich==0.2\n")
    found = pins(file)
    assert found.state == "warn"
    assert "pyyaml" in found.found
    assert "(tested 0.1)" in found.found
    assert pins(tmp_path / "none.txt").state == "ok"


def test_what_is_required_is_here() -> None:
    assert required().state == "ok"
    assert extras().found.startswith("installed: ")


def test_a_folder_that_hides_a_package_is_a_fault(tmp_path: Path) -> None:
    (tmp_path / "callbacks").mkdir()
    (tmp_path / "callbacks" / "__init__.py").touch()
    done = subprocess.run(
        [sys.executable, "-m", "synthpert", "doctor", "--offline"],
        capture_output=True,
        text=True,
        cwd=tmp_path,
        env={**os.environ, "PYTHONPATH": str(ROOT)},
        check=False,
    )
    assert done.returncode == 2
    assert f"| package callbacks | fail | {tmp_path / 'callbacks'} |" in done.stdout
    assert [each.state for each in homes()] == ["ok"]


def test_any_answer_of_a_host_is_one_and_tells_the_time(address: str) -> None:
    asked = Host("somebody", address, "give another")
    for thread in start([asked]):
        thread.join()
    assert asked.finding == Finding("somebody", "ok", "answers")
    assert asked.ahead is not None
    assert clock(asked.ahead).state == "warn"


@pytest.mark.parametrize("url", ["http://127.0.0.1:9", "no address"])
def test_a_host_that_is_silent_is_a_warning_and_no_fault(url: str) -> None:
    asked = Host("somebody", url, "give another")
    asked.ask()
    assert (asked.finding.state, asked.finding.remedy) == ("warn", "give another")


def test_hosts_are_those_of_the_environment(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("HF_ENDPOINT", "https://mirror.lab")
    assert hosts()[0].url == "https://mirror.lab"
    monkeypatch.delenv("https_proxy", raising=False)
    assert proxies().state == "ok"


def test_a_proxy_that_is_no_address_is_told(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("https_proxy", "http://[")
    assert (proxies().state, proxies().remedy) == ("warn", "an address such as http://host:3128")


def test_a_date_that_cannot_be_read_is_an_answer_all_the_same() -> None:
    host = Host("a", "http://a", "none")
    host._note("yesterday")
    assert (host.answered, host.ahead) == (True, None)


@pytest.mark.parametrize(
    ("version", "state"), [((3, 10), "fail"), ((3, 11), "ok"), ((3, 12), "ok"), ((3, 13), "warn")]
)
def test_a_python_is_judged_by_its_version(
    version: tuple[int, int], state: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(sys, "version_info", version)
    assert python().state == state


def test_more_threads_than_cores_are_a_warning(monkeypatch: pytest.MonkeyPatch) -> None:
    import torch

    monkeypatch.setattr(torch, "get_num_threads", lambda: 4096)
    assert (threads().state, threads().remedy[:23]) == ("warn", "export OMP_NUM_THREADS=")


def test_the_rest_of_the_machine_is_looked_at(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    assert memory().found.endswith(" GB")
    assert runs_folder().state == "ok"
    assert size(66.5e9) == "66.5 GB"
