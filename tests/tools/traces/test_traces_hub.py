"""Pushing to the hub: a server on this machine in its place, real requests, no token anywhere."""

from __future__ import annotations

import base64
import json
import threading
from collections.abc import Iterator
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any

import huggingface_hub.constants
import pytest

from synthpert.errors import InputError, StoppedError
from tools.traces.export.hub import push, read_token

TOKEN = "hf_canary0123456789canary0123456789"


class Hub:
    """The four calls of the hub that a push makes, and what was sent to them."""

    def __init__(self) -> None:
        self.asked: dict[str, Any] = {}
        self.files: dict[str, bytes] = {}
        self.tokens: set[str | None] = set()
        self.status = 200
        hub = self

        class Handler(BaseHTTPRequestHandler):
            def log_message(self, *_: object) -> None:
                """Say nothing."""

            def do_GET(self) -> None:
                self._send({})

            def do_POST(self) -> None:
                hub.tokens.add(self.headers["Authorization"])
                body = self.rfile.read(int(self.headers["Content-Length"])).decode()
                self._send(hub.answer(self.path, body))

            def _send(self, told: dict[str, Any]) -> None:
                data = json.dumps(told).encode()
                self.send_response(hub.status)
                self.send_header("Content-Length", str(len(data)))
                self.end_headers()
                self.wfile.write(data)

        self.server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
        self.address = f"http://127.0.0.1:{self.server.server_port}"
        threading.Thread(target=self.server.serve_forever, daemon=True).start()

    def answer(self, path: str, body: str) -> dict[str, Any]:
        if self.status != 200:
            return {"error": f"no, not with {TOKEN}"}
        if path == "/api/repos/create":
            self.asked = json.loads(body)
            return {"url": f"{self.address}/datasets/ada/traces"}
        if "/preupload/" in path:
            names = [file["path"] for file in json.loads(body)["files"]]
            return {
                "files": [
                    {"path": name, "uploadMode": "regular", "shouldIgnore": False} for name in names
                ]
            }
        if "/commit/" in path:
            for line in map(json.loads, body.splitlines()):
                if line["key"] == "file":
                    content = base64.b64decode(line["value"]["content"])
                    self.files[line["value"]["path"]] = content
            url = f"{self.address}/datasets/ada/traces/commit/{'0' * 40}"
            return {"commitUrl": url, "commitOid": "0" * 40}
        return {"errors": [], "warnings": []}


@pytest.fixture
def hub(monkeypatch: pytest.MonkeyPatch) -> Iterator[Hub]:
    made = Hub()
    monkeypatch.setenv("HF_TOKEN", TOKEN)
    monkeypatch.setattr(huggingface_hub.constants, "ENDPOINT", made.address)
    # Other tests need no network; this one's is on this machine.
    monkeypatch.setattr(huggingface_hub.constants, "HF_HUB_OFFLINE", False)
    yield made
    made.server.shutdown()
    made.server.server_close()


@pytest.fixture
def made(tmp_path: Path) -> tuple[list[Path], Path]:
    traces, card = tmp_path / "traces.parquet", tmp_path / "traces.card.md"
    traces.write_bytes(b"PAR1")
    card.write_text("---\nlicense: other\n---\n# Traces\n")
    (tmp_path / "journal.sqlite").write_text("not for the public")
    return [traces], card


def test_the_files_the_card_and_the_licence_are_pushed_and_nothing_else(
    hub: Hub, made: tuple[list[Path], Path]
) -> None:
    address = push("ada/traces", *made)
    assert address == f"{hub.address}/datasets/ada/traces"
    assert set(hub.files) == {"traces.parquet", "README.md", "LICENSE.txt"}
    assert hub.files["traces.parquet"] == b"PAR1"
    assert b"# Traces" in hub.files["README.md"]
    assert b"Genentech" in hub.files["LICENSE.txt"]


def test_a_new_data_set_is_private(hub: Hub, made: tuple[list[Path], Path]) -> None:
    push("ada/traces", *made)
    assert hub.asked["type"] == "dataset"
    assert hub.asked.get("visibility") == "private" or hub.asked.get("private") is True


def test_the_token_goes_to_the_hub_and_into_no_file(
    hub: Hub, made: tuple[list[Path], Path]
) -> None:
    push("ada/traces", *made)
    assert hub.tokens == {f"Bearer {TOKEN}"}
    assert not any(TOKEN.encode() in content for content in hub.files.values())


@pytest.mark.parametrize("status", [401, 403, 404])
def test_a_refusal_is_one_line_without_the_token(
    hub: Hub, made: tuple[list[Path], Path], status: int
) -> None:
    hub.status = status
    with pytest.raises(StoppedError, match="ada/traces: not pushed: ") as caught:
        push("ada/traces", *made)
    assert hub.tokens
    assert "\n" not in str(caught.value)
    assert TOKEN not in str(caught.value)


@pytest.mark.parametrize("told", [{}, {"url": None}, []])
def test_an_answer_that_is_not_the_hubs_is_one_line(
    hub: Hub, made: tuple[list[Path], Path], monkeypatch: pytest.MonkeyPatch, told: object
) -> None:
    monkeypatch.setattr(hub, "answer", lambda *_: told)
    with pytest.raises(StoppedError, match="ada/traces: not pushed: ") as caught:
        push("ada/traces", *made)
    assert "\n" not in str(caught.value)


def test_without_a_token_nothing_is_sent(
    hub: Hub, made: tuple[list[Path], Path], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("HF_TOKEN", " ")
    with pytest.raises(InputError, match="the hub wants a token"):
        push("ada/traces", *made)
    assert not hub.tokens


def test_a_token_is_read_from_the_environment(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("HF_TOKEN", TOKEN)
    assert read_token() == TOKEN
