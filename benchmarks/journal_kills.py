"""Kills of `traces make` at random moments: what the journal loses, and what is asked again.

    python benchmarks/journal_kills.py                       # 100 kills over 1,000 questions
    python benchmarks/journal_kills.py KILLS QUESTIONS SEED

A server on this machine answers as `offline/template` does, after 20 to 80 ms, and logs what it has
sent. `traces make` asks it about questions of the bundled sample and gets SIGKILL at a random
moment, again and again; then it may come to its end. A reply is acknowledged once anybody has read
it in the journal: it is read just before each kill, while `make` writes, and after it.
"""

from __future__ import annotations

import contextlib
import json
import os
import random
import re
import signal
import subprocess
import sys
import tempfile
import threading
import time
from collections import Counter
from collections.abc import Iterator
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path

import yaml

from synthpert.errors import InputError
from tools.traces.journal import Journal, State
from tools.traces.offline import template

ROOT = Path(__file__).resolve().parents[1]
IN_FLIGHT = 8
KEY = "sk-canary0123456789abcdef"
UNDER_WAY = re.compile(r"([\d,]+) calls? w\w+ under way when the last run ended")


@dataclass
class Log:
    """What the server has seen: requests that came, replies that went out whole."""

    random: random.Random
    came: Counter[str] = field(default_factory=Counter)
    sent: int = 0
    lock: threading.Lock = field(default_factory=threading.Lock)


@contextlib.contextmanager
def server(log: Log) -> Iterator[str]:
    """Serve chat completions on this machine; yields the address."""

    class Handler(BaseHTTPRequestHandler):
        protocol_version = "HTTP/1.1"
        wbufsize = -1  # one packet a reply: two would wait for each other

        def handle(self) -> None:
            with contextlib.suppress(ConnectionError):  # whoever asked was killed
                super().handle()

        def do_POST(self) -> None:
            body = json.loads(self.rfile.read(int(self.headers["content-length"])))
            with log.lock:
                log.came[json.dumps(body["messages"])] += 1
                delay = log.random.uniform(0.02, 0.08)
            time.sleep(delay)
            message = {"role": "assistant", "content": template.reply(body["messages"])}
            usage = {"prompt_tokens": 11, "completion_tokens": 7, "total_tokens": 18}
            raw = json.dumps(
                {"id": "x", "object": "chat.completion", "created": 1, "model": "m"}
                | {"choices": [{"index": 0, "message": message, "finish_reason": "stop"}]}
                | {"usage": usage}
            ).encode()
            self.send_response(200)
            self.send_header("content-type", "application/json")
            self.send_header("content-length", str(len(raw)))
            self.end_headers()
            self.wfile.write(raw)
            self.wfile.flush()
            with log.lock:
                log.sent += 1

        def log_message(self, format: str, *args: object) -> None:
            """Say nothing."""

    class Server(ThreadingHTTPServer):
        request_queue_size = 128

    with Server(("127.0.0.1", 0), Handler) as served:
        threading.Thread(target=served.serve_forever, args=(0.01,), daemon=True).start()
        yield f"http://127.0.0.1:{served.server_port}/v1"
        served.shutdown()


@dataclass
class Figures:
    """What came of it."""

    kills: int = 0
    requests: int = 0
    sent: int = 0
    answered: int = 0
    acknowledged: int = 0
    lost: int = 0
    duplicates: int = 0
    reasked: int = 0
    under_way: int = 0
    printed: int = 0
    seconds: float = 0.0

    @property
    def bound(self) -> int:
        """How many calls can have been under way at the kills."""
        return self.kills * IN_FLIGHT


class Run:
    """`traces make` in a folder, to be killed and started again.

    Args:
        folder: An empty one.
        base: The server's address.
        questions: How many to ask.
        log: What the server has seen.
    """

    def __init__(self, folder: Path, base: str, questions: int, log: Log) -> None:
        self.acknowledged: dict[str, str] = {}
        self.lost: set[str] = set()
        self.figures = Figures()
        self._folder, self._log = folder, log
        model = {"model": "openai/m", "engine": "openai", "in_flight": IN_FLIGHT}
        model |= {"parameters": {"api_base": base, "max_tokens": 500}}
        model |= {"input_price": 1.0, "output_price": 2.0}
        told = {"questions": questions, "teacher": model, "critics": [model], "balance": "label"}
        self._journal = folder / "journal.sqlite"
        files = {"journal": str(self._journal), "out": str(folder / "traces.parquet")}
        (folder / "traces.yaml").write_text(yaml.safe_dump(told | files))

    def start(self) -> subprocess.Popen[bytes]:
        """Start `make`; what it says goes to a file."""
        command = [sys.executable, "-m", "synthpert", "traces", "make", "--config", "traces.yaml"]
        env = os.environ | {"PYTHONPATH": str(ROOT), "OPENAI_API_KEY": KEY, "COLUMNS": "200"}
        with (self._folder / "said.txt").open("ab") as said:
            return subprocess.Popen(command, cwd=self._folder, env=env, stdout=said, stderr=said)

    def kill(self, child: subprocess.Popen[bytes], after: int, pause: float) -> None:
        """Kill it after so many replies and seconds, and look at the journal before and after."""
        until = self._log.sent + after
        while self._log.sent < until and child.poll() is None:
            time.sleep(0.005)
        time.sleep(pause)
        self.look()
        child.send_signal(signal.SIGKILL)
        if child.wait() != -signal.SIGKILL:
            raise SystemExit(
                f"make ended by itself, with {child.returncode}; see {self.said[-999:]}"
            )
        self.figures.kills += 1
        self.look()

    def end(self) -> None:
        """Let it come to its end, and count."""
        if (code := self.start().wait()) != 0:
            raise SystemExit(f"make ended with {code}: {self.said[-999:]}")
        rows = self.look()
        figures, log = self.figures, self._log
        figures.requests, figures.sent = sum(log.came.values()), log.sent
        figures.reasked = figures.requests - len(log.came)
        figures.answered, figures.acknowledged = sum(rows.values()), len(self.acknowledged)
        figures.duplicates = figures.answered - len(rows)
        figures.lost = len(self.lost)
        # What a run was killed before it could say is in the journal all the same.
        with Journal(self._journal) as journal:
            figures.under_way = sum(row["state"] == State.LOST for row in journal.rows())
        printed = UNDER_WAY.findall(" ".join(self.said.split()))
        figures.printed = sum(int(count.replace(",", "")) for count in printed)

    def look(self) -> Counter[str]:
        """Read the journal; whatever was read in it before must be in it still, word for word."""
        rows: Counter[str] = Counter()
        replies: dict[str, str] = {}
        # Killed before it has made its journal, or just then.
        with contextlib.suppress(InputError), Journal(self._journal) as journal:
            for row in journal.rows():
                if row["state"] == State.ANSWERED:
                    rows[row["key"]] += 1
                    replies.setdefault(row["key"], row["reply"])
        self.lost |= {key for key, text in self.acknowledged.items() if replies.get(key) != text}
        self.acknowledged = replies | self.acknowledged
        return rows

    @property
    def said(self) -> str:
        """What all its runs have written to stdout and stderr."""
        return (self._folder / "said.txt").read_text(errors="replace")


def measure(folder: Path, kills: int, questions: int, seed: int = 0) -> Figures:
    """Kill `make` so many times, then let it come to its end.

    Args:
        folder: An empty one.
        kills: How many times.
        questions: How many questions are asked.
        seed: Of the moments.

    Returns:
        The counts.
    """
    chance = random.Random(seed)
    log = Log(random.Random(seed))
    begin = time.monotonic()
    with server(log) as base:
        run = Run(folder, base, questions, log)
        for left in range(kills, 0, -1):
            # At least one call a question; the last kill must come before the last reply.
            rest = max(0.0, 1.5 * questions - len(run.acknowledged))
            if chance.random() < 0.1:
                run.kill(run.start(), 0, chance.uniform(0, 1.5))  # reading its settings, or opening
            else:
                run.kill(run.start(), chance.randint(0, int(rest / left)), chance.uniform(0, 0.1))
        run.end()
    run.figures.seconds = time.monotonic() - begin
    return run.figures


def main() -> None:
    """Print the figures as a table."""
    kills, questions, seed = [*map(int, sys.argv[1:]), 100, 1000, 0][:3]
    if len(sys.argv) not in (1, 4):
        sys.exit("usage: python benchmarks/journal_kills.py [KILLS QUESTIONS SEED]")
    with tempfile.TemporaryDirectory() as folder:
        figures = measure(Path(folder), kills, questions, seed)
    rows = {
        "kills": figures.kills,
        "questions": questions,
        "requests that came to the server": figures.requests,
        "replies that it sent whole": figures.sent,
        "calls answered in the journal": figures.answered,
        "acknowledged replies": figures.acknowledged,
        "acknowledged replies lost or changed": figures.lost,
        "keys answered twice": figures.duplicates,
        "requests asked again": figures.reasked,
        "calls under way at a kill": figures.under_way,
        "of them printed by `make`": figures.printed,
        f"bound: kills x {IN_FLIGHT} in flight": figures.bound,
        "seconds": round(figures.seconds),
    }
    for name, count in rows.items():
        print(f"| {name:38} | {count:8,} |")


if __name__ == "__main__":
    main()
