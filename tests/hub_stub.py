"""A hub on this machine, for tests that push to it: real requests, no token anywhere."""

from __future__ import annotations

import base64
import json
import threading
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any

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
