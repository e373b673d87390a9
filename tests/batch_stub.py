"""A provider's files and batches on this machine, for tests of `tools.traces`: HTTP, a script.

It answers as OpenAI documents POST /v1/files, GET /v1/files/{id}/content, POST /v1/batches,
GET /v1/batches, GET /v1/batches/{id} and POST /v1/batches/{id}/cancel.
"""

from __future__ import annotations

import email
import email.policy
import json
import threading
import time
from collections.abc import Callable
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any, Self

from chat_stub import Answer, Body, sensible

Line = dict[str, Any]
# A short page, so that few batches make several.
_PAGE = 5


@dataclass
class Plan:
    """What becomes of one batch.

    Attributes:
        status: How it ends.
        looks: How often it is looked at before it ends.
        done: How many lines are answered; None for all of them.
        message: Why it failed, if it did.
        change: What is done to the lines of the output before they are written.
        late_output: How many looks the output file comes after the end.
    """

    status: str = "completed"
    looks: int = 0
    done: int | None = None
    message: str = "the file is not valid"
    code: str = "invalid"
    change: Callable[[list[Line]], list[Any]] = list
    late_output: int = 0


@dataclass
class Batch:
    """One batch, as the server keeps it."""

    plan: Plan
    facts: dict[str, Any]
    looks: int = 0


@dataclass
class Trouble:
    """What the server does instead, for the first so many requests that fit.

    Attributes:
        method: Such as POST.
        path: The beginning of the path after /v1.
        status: Sent with an error; 0 does what is asked but drops the connection, unanswered; 200
            does what is asked, late.
        times: How often.
        delay: Seconds before it.
    """

    method: str
    path: str
    status: int = 500
    times: int = 1
    delay: float = 0.0
    message: str = "no"


@dataclass
class Log:
    """Every request: method and path, in order, and when it came."""

    requests: list[tuple[str, str]] = field(default_factory=list)

    def count(self, method: str, path: str) -> int:
        """How often a path, or one that begins with it and a slash, was asked for."""
        asked = [p.partition("?")[0] for m, p in self.requests if m == method]
        return sum(p == path or p.startswith(path + "/") for p in asked)


class BatchStub:
    """The server; a context manager.

    Args:
        plans: What becomes of the first batches, in order; after them `Plan()` for ever.
        troubles: What goes wrong on the way.
        then: Answers a line's body; an answer with another status than 200 is a line that failed.
        needs_key: The only key that is let in, if given.
    """

    def __init__(
        self,
        *plans: Plan,
        troubles: tuple[Trouble, ...] = (),
        then: Callable[[Body], Answer] = sensible,
        needs_key: str | None = None,
    ) -> None:
        self.log = Log()
        self.files: dict[str, bytes] = {}
        self.batches: dict[str, Batch] = {}
        self.keys: set[str | None] = set()
        self._busy = 0
        self._plans = list(plans)
        self._troubles = list(troubles)
        self._then = then
        self._needs_key = needs_key
        self._lock = threading.RLock()
        self._server = _Server(("127.0.0.1", 0), _handler(self))
        threading.Thread(target=self._server.serve_forever, args=(0.01,), daemon=True).start()

    @property
    def base(self) -> str:
        """The address to give as `api_base`."""
        return f"http://127.0.0.1:{self._server.server_port}/v1"

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self._server.shutdown()
        self._server.server_close()

    def asked(self) -> list[Line]:
        """Every line of every batch that was made."""
        lines: list[Line] = []
        for batch in self.batches.values():
            lines += self._lines(batch.facts["input_file_id"])
        return lines

    @property
    def is_busy(self) -> bool:
        """Whether a request is being answered."""
        return self._busy > 0

    def answer(self, method: str, path: str, headers: Any, raw: bytes) -> tuple[int, bytes]:  # noqa: ANN401
        """The status and body for a request; status 0 drops the connection."""
        with self._lock:
            self._busy += 1
        try:
            return self._answer(method, path, headers, raw)
        finally:
            with self._lock:
                self._busy -= 1

    def _answer(self, method: str, path: str, headers: Any, raw: bytes) -> tuple[int, bytes]:  # noqa: ANN401
        with self._lock:
            self.log.requests.append((method, path))
            key = str(headers.get("authorization", "")).removeprefix("Bearer ")
            self.keys.add(key)
            trouble = self._trouble(method, path)
        if self._needs_key is not None and key != self._needs_key:
            return 401, _error("Incorrect API key provided")
        if trouble is not None:
            time.sleep(trouble.delay)
            if trouble.status >= 400:
                return trouble.status, _error(trouble.message)
        with self._lock:
            status, body = self._route(method, path, headers, raw)
        return (0 if trouble and trouble.status == 0 else status), body

    def _trouble(self, method: str, path: str) -> Trouble | None:
        for each in self._troubles:
            if each.times > 0 and each.method == method and path.startswith(each.path):
                each.times -= 1
                return each
        return None

    def _route(self, method: str, path: str, headers: Any, raw: bytes) -> tuple[int, bytes]:  # noqa: ANN401
        where, _, query = path.partition("?")
        parts = where.strip("/").split("/")
        match method, parts:
            case "POST", ["files"]:
                return 200, _json(self._upload(headers, raw))
            case "GET", ["files", name, "content"] if name in self.files:
                return 200, self.files[name]
            case "POST", ["batches"]:
                return 200, _json(self._create(json.loads(raw)))
            case "GET", ["batches"]:
                return 200, _json(self._list(query))
            case "GET", ["batches", name] if name in self.batches:
                return 200, _json(self._look(self.batches[name]))
            case "POST", ["batches", name, "cancel"] if name in self.batches:
                return 200, _json(self._cancel(self.batches[name]))
        return 404, _error("no such thing")

    def _upload(self, headers: Any, raw: bytes) -> Body:  # noqa: ANN401
        head = f"content-type: {headers['content-type']}\r\n\r\n".encode()
        form = email.message_from_bytes(head + raw, policy=email.policy.HTTP)
        fields = {
            part.get_param("name", header="content-disposition"): part for part in form.iter_parts()
        }
        content = fields["file"].get_payload(decode=True)
        assert fields["purpose"].get_content().strip() == "batch"
        name = f"file-{len(self.files)}"
        self.files[name] = content
        return {
            "id": name,
            "object": "file",
            "bytes": len(content),
            "created_at": int(time.time()),
            "filename": fields["file"].get_filename(),
            "purpose": "batch",
            "status": "processed",
        }

    def _create(self, body: Body) -> Body:
        assert body["endpoint"] == "/v1/chat/completions"
        assert body["completion_window"] == "24h"
        assert body["input_file_id"] in self.files
        name = f"batch_{len(self.batches)}"
        facts = body | {
            "id": name,
            "object": "batch",
            "status": "validating",
            "created_at": int(time.time()),
            "expires_at": int(time.time()) + 86400,
        }
        plan = self._plans.pop(0) if self._plans else Plan()
        self.batches[name] = Batch(plan, facts)
        return facts

    def _list(self, query: str) -> Body:
        asked = dict(each.split("=") for each in query.split("&") if each)
        newest = [batch.facts for batch in reversed(self.batches.values())]
        ids = [facts["id"] for facts in newest]
        start = ids.index(asked["after"]) + 1 if "after" in asked else 0
        size = min(int(asked.get("limit", _PAGE)), _PAGE)
        page = newest[start : start + size]
        last = {"first_id": page[0]["id"], "last_id": page[-1]["id"]} if page else {}
        more = start + size < len(newest)
        return {"object": "list", "data": page, "has_more": more} | last

    def _look(self, batch: Batch) -> Body:
        batch.looks += 1
        facts, plan = batch.facts, batch.plan
        total = len(self._lines(facts["input_file_id"]))
        if facts["status"] in ("validating", "in_progress") and batch.looks > plan.looks:
            self._end(batch, plan.status)
        elif facts["status"] == "validating":
            facts["status"] = "in_progress"
            facts["request_counts"] = {"total": total, "completed": 0, "failed": 0}
        elif facts["status"] == "cancelling":
            self._end(batch, "cancelled")
        if facts["status"] in ("validating", "in_progress") or plan.late_output == 0:
            return facts
        plan.late_output -= 1
        return facts | {"output_file_id": None}

    def _cancel(self, batch: Batch) -> Body:
        if batch.facts["status"] in ("validating", "in_progress"):
            batch.facts["status"] = "cancelling"
        return batch.facts

    def _end(self, batch: Batch, status: str) -> None:
        facts, plan = batch.facts, batch.plan
        facts["status"] = status
        facts[f"{status}_at"] = int(time.time())
        lines = self._lines(facts["input_file_id"])
        if status == "failed":
            error = {"code": plan.code, "message": plan.message, "line": None, "param": None}
            facts["errors"] = {"object": "list", "data": [error]}
            facts["request_counts"] = {"total": 0, "completed": 0, "failed": 0}
            return
        done = lines if plan.done is None else lines[: plan.done]
        answered = [_answered(line, self._then(line["body"])) for line in done]
        good = [line for line in answered if line["response"]["status_code"] == 200]
        bad = [line for line in answered if line["response"]["status_code"] != 200]
        bad += [_undone(line, status) for line in lines[len(done) :]]
        facts["output_file_id"] = self._store(plan.change(good))
        facts["error_file_id"] = self._store(bad)
        counts = {"total": len(lines), "completed": len(good), "failed": len(bad)}
        facts["request_counts"] = counts

    def _store(self, lines: list[Any]) -> str | None:
        if not lines:
            return None
        name = f"file-{len(self.files)}"
        rows = [each if isinstance(each, str) else json.dumps(each) for each in lines]
        self.files[name] = "".join(f"{row}\n" for row in rows).encode()
        return name

    def _lines(self, name: str) -> list[Line]:
        return [json.loads(line) for line in self.files[name].splitlines()]


def _answered(line: Line, answer: Answer) -> Line:
    assert line["method"] == "POST"
    assert line["url"] == "/v1/chat/completions"
    response = {"status_code": answer.status, "request_id": "r", "body": answer.payload()}
    return {"id": "x", "custom_id": line["custom_id"], "response": response, "error": None}


def _undone(line: Line, status: str) -> Line:
    error = {"code": f"batch_{status}", "message": f"the batch is {status}"}
    return {"id": "x", "custom_id": line["custom_id"], "response": None, "error": error}


def _json(body: Body) -> bytes:
    return json.dumps(body).encode()


def _error(message: str) -> bytes:
    return _json({"error": {"message": message, "type": "t", "code": None}})


class _Server(ThreadingHTTPServer):
    request_queue_size = 128
    daemon_threads = True


def _handler(stub: BatchStub) -> type[BaseHTTPRequestHandler]:
    class Handler(BaseHTTPRequestHandler):
        protocol_version = "HTTP/1.1"
        wbufsize = -1

        def do_GET(self) -> None:
            self._answer("GET")

        def do_POST(self) -> None:
            self._answer("POST")

        def _answer(self, method: str) -> None:
            raw = self._body()
            path = self.path.removeprefix("/v1")
            status, body = stub.answer(method, path, self.headers, raw)
            if status == 0:
                self.close_connection = True
                return
            try:
                self.send_response(status)
                self.send_header("content-type", "application/json")
                self.send_header("content-length", str(len(body)))
                self.end_headers()
                self.wfile.write(body)
                self.wfile.flush()
            except ConnectionError:
                self.close_connection = True

        def _body(self) -> bytes:
            if self.headers.get("transfer-encoding") == "chunked":
                parts = []
                while size := int(self.rfile.readline(), 16):
                    parts.append(self.rfile.read(size))
                    self.rfile.readline()
                self.rfile.readline()
                return b"".join(parts)
            return self.rfile.read(int(self.headers.get("content-length") or 0))

        def log_message(self, format: str, *args: object) -> None:
            pass

    return Handler
