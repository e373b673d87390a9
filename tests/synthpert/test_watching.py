"""What a run is watched with, and that it never waits or tells a secret."""

from __future__ import annotations

import logging
import os
import socket
import subprocess
import sys
import threading
import time
from collections.abc import Iterator
from contextlib import closing, contextmanager
from http.server import BaseHTTPRequestHandler, HTTPServer
from pathlib import Path
from typing import Any

import polars as pl
import pytest
import yaml
from lightning.pytorch.loggers import CSVLogger, WandbLogger

from synthpert import watching
from synthpert.errors import InputError
from synthpert.watching import Watch, loggers

KEY = "0123456789abcdef" * 2 + "01234567"


@pytest.fixture(autouse=True)
def _no_account(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    for name in ("WANDB_MODE", "WANDB_API_KEY", "WANDB_BASE_URL", "WANDB_IDENTITY_TOKEN_FILE"):
        monkeypatch.delenv(name, raising=False)
    for name in ("http_proxy", "https_proxy", "HTTP_PROXY", "HTTPS_PROXY", "ALL_PROXY"):
        monkeypatch.delenv(name, raising=False)
    monkeypatch.setenv("NETRC", str(tmp_path / "netrc"))


@pytest.fixture
def key(monkeypatch: pytest.MonkeyPatch) -> str:
    monkeypatch.setenv("WANDB_API_KEY", KEY)
    return KEY


def decide(run: Path, caplog: pytest.LogCaptureFixture) -> tuple[str, list[str], float]:
    """The mode that `auto` comes to, the lines it logged, the seconds it took."""
    started = time.perf_counter()
    with caplog.at_level(logging.INFO):
        made = loggers(run, Watch())
    took = time.perf_counter() - started
    mode = made[1]._wandb_init["mode"] if len(made) > 1 else "disabled"  # type: ignore[attr-defined]
    return mode, [record.getMessage() for record in caplog.records], took


@contextmanager
def server(status: int) -> Iterator[str]:
    """A web server that answers everything with `status`."""

    class Answers(BaseHTTPRequestHandler):
        def do_GET(self) -> None:
            self.send_response(status)
            self.end_headers()

        def log_message(self, *args: Any) -> None:
            del args

    with HTTPServer(("127.0.0.1", 0), Answers) as http:
        thread = threading.Thread(target=http.serve_forever, daemon=True)
        thread.start()
        yield f"http://127.0.0.1:{http.server_port}"
        http.shutdown()


@contextmanager
def listening() -> Iterator[str]:
    """A port that accepts a connection and never answers."""
    with closing(socket.create_server(("127.0.0.1", 0))) as sock:
        yield f"http://127.0.0.1:{sock.getsockname()[1]}"


def test_without_a_key_it_is_offline_at_once_with_one_line(
    tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    mode, lines, took = decide(tmp_path / "run", caplog)
    assert mode == "offline"
    assert took < 3
    (line,) = lines
    assert line.startswith("W&B is offline: there is no key")
    assert f"wandb sync {tmp_path}/run/wandb/offline-run-*" in line


def test_a_closed_port_means_offline_with_one_line(
    tmp_path: Path, caplog: pytest.LogCaptureFixture, key: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    with listening() as url:
        closed = url
    monkeypatch.setenv("WANDB_BASE_URL", closed)
    mode, lines, took = decide(tmp_path, caplog)
    assert (mode, len(lines)) == ("offline", 1)
    assert took < 5
    assert f"{closed} cannot be reached" in lines[0]
    assert key not in lines[0]


@pytest.mark.slow
def test_a_server_that_never_answers_means_offline_within_15_seconds(
    tmp_path: Path, caplog: pytest.LogCaptureFixture, key: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    with listening() as url:
        monkeypatch.setenv("WANDB_BASE_URL", url)
        mode, lines, took = decide(tmp_path, caplog)
    assert (mode, len(lines)) == ("offline", 1)
    assert took < 15


def test_a_name_that_is_never_found_means_offline_in_time(
    tmp_path: Path, caplog: pytest.LogCaptureFixture, key: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(watching, "ANSWER_WITHIN", 0.2)
    # A name look-up knows no timeout
    monkeypatch.setattr(socket, "getaddrinfo", lambda *args, **more: time.sleep(1) or [])
    mode, lines, took = decide(tmp_path, caplog)
    assert (mode, len(lines)) == ("offline", 1)
    assert took < 3


@pytest.mark.parametrize(
    ("status", "expected"), [(200, "online"), (404, "online"), (503, "offline")]
)
def test_a_server_that_answers_means_online_unless_it_fails(
    status: int, expected: str, tmp_path: Path, caplog: pytest.LogCaptureFixture, key: str,
    monkeypatch: pytest.MonkeyPatch,
) -> None:  # fmt: skip
    with server(status) as url:
        monkeypatch.setenv("WANDB_BASE_URL", url)
        mode, lines, _ = decide(tmp_path, caplog)
    assert mode == expected
    assert len(lines) == (expected == "offline")


def test_garbage_in_place_of_http_means_offline(
    tmp_path: Path, caplog: pytest.LogCaptureFixture, key: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    with closing(socket.create_server(("127.0.0.1", 0))) as sock:

        def speak() -> None:
            connection, _ = sock.accept()
            with connection:
                connection.recv(1000)
                connection.sendall(b"220 smtp ready\r\n")

        threading.Thread(target=speak, daemon=True).start()
        monkeypatch.setenv("WANDB_BASE_URL", f"http://127.0.0.1:{sock.getsockname()[1]}")
        assert decide(tmp_path, caplog)[0] == "offline"


def test_the_key_of_wandb_login_is_seen(
    tmp_path: Path, caplog: pytest.LogCaptureFixture, monkeypatch: pytest.MonkeyPatch
) -> None:
    (tmp_path / "netrc").write_text(f"machine 127.0.0.1\n  login user\n  password {KEY}\n")
    with server(200) as url:
        monkeypatch.setenv("WANDB_BASE_URL", url)
        assert decide(tmp_path / "run", caplog)[0] == "online"


def test_a_broken_netrc_is_no_key(tmp_path: Path, caplog: pytest.LogCaptureFixture) -> None:
    (tmp_path / "netrc").write_text("machine\n what\n")
    assert decide(tmp_path / "run", caplog)[0] == "offline"


@pytest.mark.parametrize("mode", ["offline", "disabled"])
def test_wandbs_own_variable_is_obeyed(
    mode: str, tmp_path: Path, caplog: pytest.LogCaptureFixture, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("WANDB_MODE", mode)
    found, lines, _ = decide(tmp_path, caplog)
    assert found == mode
    assert lines == [f"W&B is {mode}: WANDB_MODE says so"]


def test_disabled_leaves_the_csv(tmp_path: Path) -> None:
    (only,) = loggers(tmp_path, Watch(mode="disabled"))
    assert isinstance(only, CSVLogger)


def test_wandb_that_is_not_installed_is_left_out_with_one_line(
    tmp_path: Path, caplog: pytest.LogCaptureFixture, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(watching.importlib.util, "find_spec", lambda name: None)
    mode, lines, _ = decide(tmp_path, caplog)
    assert mode == "disabled"
    assert lines == [f"W&B is not installed: the run is watched in {tmp_path / 'metrics.csv'}"]


def test_wandb_that_is_asked_for_and_not_installed_is_an_error(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(watching.importlib.util, "find_spec", lambda name: None)
    with pytest.raises(InputError, match="wandb is not installed"):
        loggers(tmp_path, Watch(mode="online"))


def test_metrics_and_settings_lie_straight_in_the_run(tmp_path: Path) -> None:
    (csv,) = loggers(tmp_path / "run", Watch(mode="disabled"))
    csv.log_hyperparams({"lr": 0.1, "api_key": "S3CRET"})
    csv.log_metrics({"train_loss": 1.0}, step=3)
    csv.save()
    assert sorted(path.name for path in (tmp_path / "run").iterdir()) == [
        "hparams.yaml",
        "metrics.csv",
    ]
    settings = yaml.safe_load((tmp_path / "run" / "hparams.yaml").read_text())
    assert settings == {"lr": 0.1, "api_key": "<redacted>"}


def test_a_resumed_run_goes_on_in_the_same_file(tmp_path: Path) -> None:
    for step, name in enumerate(["train_loss", "train_loss", "eval_accuracy"]):
        (csv,) = loggers(tmp_path, Watch(mode="disabled"))
        csv.log_metrics({name: 0.5}, step=step)
        csv.finalize("success")
    table = pl.read_csv(tmp_path / "metrics.csv")
    assert table["step"].to_list() == [0, 1, 2]
    assert table["train_loss"].to_list() == [0.5, 0.5, None]


@pytest.mark.parametrize("torn", ["step,train_loss\n0,0.5\n1,0.", "step,tr", ""])
def test_a_row_that_was_being_written_when_the_run_was_killed_is_left_out(
    torn: str, tmp_path: Path
) -> None:
    (tmp_path / "metrics.csv").write_text(torn)
    (csv,) = loggers(tmp_path, Watch(mode="disabled"))
    csv.log_metrics({"train_loss": 0.25, "new": 1.0}, step=1)
    csv.finalize("success")
    table = pl.read_csv(tmp_path / "metrics.csv")
    assert table["step"].to_list() == ([0, 1] if "\n" in torn else [1])
    assert table["train_loss"].to_list()[-1] == 0.25


def test_making_loggers_starts_and_imports_nothing(tmp_path: Path) -> None:
    code = (
        "import sys; from pathlib import Path; from synthpert.watching import Watch, loggers\n"
        f"made = loggers(Path({str(tmp_path / 'run')!r}), Watch(mode='offline'))\n"
        "assert len(made) == 2 and 'wandb' not in sys.modules"
    )
    subprocess.run([sys.executable, "-c", code], check=True, cwd=Path(__file__).parents[2])
    assert not (tmp_path / "run").exists()


OFFLINE_RUN = """
import logging, sys
from pathlib import Path
from synthpert.watching import Watch, loggers
logging.basicConfig(level=logging.INFO, format="%(message)s")
run = Path(sys.argv[1])
# W&B first: it must not depend on the folder that the CSV logger makes
for logger in reversed(loggers(run, Watch(group="splits"))):
    logger.log_hyperparams({"teacher": {"api_key": "S3CRET-named", "lr": 0.125},
                            "note": "sk-S3CRETshaped0123456789", "password": "S3CRET"})
    logger.log_metrics({"train_loss": 0.5}, step=1)
    if hasattr(logger, "log_table"):
        logger.log_table("eval_samples", ["gene"], [["A2M"]], step=1)
    logger.finalize("success")
print("sk-S3CRETprinted0123456789")
import wandb
wandb.finish()
"""


def test_a_real_offline_run_holds_no_secret_and_says_one_line(tmp_path: Path) -> None:
    run = tmp_path / "run"
    done = subprocess.run(
        [sys.executable, "-c", OFFLINE_RUN, str(run), "--api_key", "S3CRETnext",
         "--hf_token=S3CRETword"],
        cwd=Path(__file__).parents[2],
        env={**os.environ, "MY_TOKEN": "S3CRETenv", "WANDB_SILENT": "false"},
        capture_output=True,
        text=True,
        timeout=120,
        check=True,
    )  # fmt: skip
    assert len(done.stderr.splitlines()) == 1, done.stderr
    assert done.stdout.splitlines() == ["sk-S3CRETprinted0123456789"]
    files = [path for path in run.rglob("*") if path.is_file()]
    assert any(path.suffix == ".wandb" for path in files)
    assert any(path.name == "debug.log" for path in files)
    assert [path for path in files if b"S3CRET" in path.read_bytes()] == []
    stored = next(path for path in files if path.suffix == ".wandb").read_bytes()
    assert b"<redacted>" in stored
    assert b"0.125" in stored


def test_the_process_keeps_its_command_line_and_its_mode(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    given = ["synthpert", "--api_key=S3CRET"]
    monkeypatch.setattr(sys, "argv", given)
    _, wandb = loggers(tmp_path, Watch(name="mine", mode="offline"))
    assert isinstance(wandb, WandbLogger)
    assert wandb.experiment.name == "mine"
    wandb.experiment.finish()
    assert sys.argv is given
    assert "WANDB_MODE" not in os.environ
