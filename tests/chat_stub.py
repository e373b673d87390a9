"""A chat model's server on this machine, for tests of `tools.traces`: real HTTP, a script."""

from __future__ import annotations

import json
import threading
import time
from collections.abc import Callable
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any, Literal, Self

from tools.traces.offline import template

Body = dict[str, Any]


@dataclass
class Answer:
    """What the server does with one request: an HTTP status, a message, a delay."""

    content: str | None = None
    status: int = 200
    finish_reason: str = "stop"
    headers: dict[str, str] = field(default_factory=dict)
    error: dict[str, Any] = field(default_factory=lambda: {"message": "no", "type": "t"})
    message: dict[str, Any] = field(default_factory=dict)
    delay: float = 0.0
    page: str | None = None  # sent as it is, in place of a chat completion
    page_type: str = "text/html"
    choices: list[Body] | None = None
    drop: Literal["", "before", "middle"] = ""  # when to break the connection

    def raw(self) -> bytes:
        """The body of the response."""
        return (self.page or json.dumps(self.payload())).encode()

    def payload(self) -> dict[str, Any]:
        """The JSON of the response."""
        if self.status != 200:
            return {"error": self.error}
        message = {"role": "assistant", "content": self.content} | self.message
        choice = {"index": 0, "message": message, "finish_reason": self.finish_reason}
        return {
            "id": "x",
            "object": "chat.completion",
            "created": 1,
            "model": "stub",
            "choices": [choice] if self.choices is None else self.choices,
            "usage": {"prompt_tokens": 11, "completion_tokens": 7, "total_tokens": 18},
        }


def sensible(body: Body) -> Answer:
    """Answer as the offline teacher and critic would."""
    return Answer(template.reply(body["messages"]))


class Stub:
    """The server; a context manager.

    Args:
        script: Answers to the first requests, in order; after them `then`.
        then: Answers every later request from its body.
    """

    def __init__(self, *script: Answer, then: Callable[[Body], Answer] = sensible) -> None:
        self.bodies: list[Body] = []
        self.sent: list[str] = []
        self.keys: list[str | None] = []
        self._script = list(script)
        self._then = then
        self._lock = threading.Lock()
        stub = self

        class Handler(BaseHTTPRequestHandler):
            protocol_version = "HTTP/1.1"
            wbufsize = -1  # one packet a response: two would wait for each other

            def do_POST(self) -> None:
                body = json.loads(self.rfile.read(int(self.headers["content-length"])))
                answer = stub._next(body, self.headers["authorization"])
                time.sleep(answer.delay)
                raw = answer.raw()
                self.close_connection = bool(answer.drop)
                if answer.drop == "before":
                    return
                try:
                    self.send_response(answer.status)
                    for name, value in answer.headers.items():
                        self.send_header(name, value)
                    kind = answer.page_type if answer.page else "application/json"
                    self.send_header("content-type", kind)
                    self.send_header("content-length", str(len(raw)))
                    self.end_headers()
                    self.wfile.write(raw[: len(raw) // 2] if answer.drop else raw)
                    self.wfile.flush()
                except ConnectionError:
                    return  # the client was killed, or has given up
                with stub._lock:
                    stub.sent.append(json.dumps(body["messages"]))

            def log_message(self, format: str, *args: object) -> None:
                pass

        class Server(ThreadingHTTPServer):
            request_queue_size = 128

        self._server = Server(("127.0.0.1", 0), Handler)
        threading.Thread(target=self._server.serve_forever, args=(0.01,), daemon=True).start()

    def _next(self, body: Body, key: str | None) -> Answer:
        with self._lock:
            self.keys.append(key)
            self.bodies.append(body)
            if self._script:
                return self._script.pop(0)
        return self._then(body)

    @property
    def base(self) -> str:
        """The address to give as `api_base`."""
        return f"http://127.0.0.1:{self._server.server_port}/v1"

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self._server.shutdown()
        self._server.server_close()
