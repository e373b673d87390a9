"""A warm SynthPert: one process imports what is slow once, and forks for every command.

`warm.py SOCKET` serves; `client` in a script asks it. A command runs the front door in a process of
its own, with the caller's folder, environment and standard streams, without two seconds of imports.
"""

from __future__ import annotations

import contextlib
import functools
import hashlib
import http.server
import importlib
import json
import os
import runpy
import signal
import socket
import sys
import threading
import time
import traceback
import urllib.request
from pathlib import Path

TESTS = Path(__file__).resolve().parents[1]
# Slow to import and safe to share over a fork: none of them starts a thread when it is imported.
SLOW = (
    "torch",
    "lightning.pytorch.cli",
    "transformers.models.llama.modeling_llama",
    "peft",
    "polars",
    "sklearn.ensemble",
    "matplotlib.pyplot",
    "litellm",
    "openai",
    "synthpert.cli",
    "tools.baseline",
    "tools.report",
    "tools.score",
    "tools.traces",
    "tools.ask",
    "tools.export",
)
# Plain Python without site-packages: it starts in a few milliseconds.
CLIENT = """\
import json, os, socket, sys
with socket.socket(socket.AF_UNIX) as link:
    link.connect({address!r})
    told = {{"args": sys.argv[1:], "cwd": os.getcwd(), "env": dict(os.environ)}}
    told = json.dumps(told).encode()
    socket.send_fds(link, [len(told).to_bytes(8)], [0, 1, 2])
    link.sendall(told)
    sys.exit(int.from_bytes(link.recv(4)))
"""


def serve(address: str) -> None:
    """Answer one caller after the other, each in a fork, until this process is ended."""
    runpy.run_path(str(TESTS / "conftest.py"))  # no network, no keys, one thread
    os.environ["HF_HUB_OFFLINE"] = "0"  # a push is tried, against a server on this machine
    for name in SLOW:
        importlib.import_module(name)
    signal.signal(signal.SIGCHLD, _bury)
    with socket.socket(socket.AF_UNIX) as server:
        server.bind(address)
        server.listen(16)
        while True:
            link, _ = server.accept()
            if os.fork() == 0:
                server.close()
                os._exit(_answer(link))
            link.close()


def _bury(*_: object) -> None:
    """Wait for every fork that has ended; so their CPU time counts as this process's."""
    with contextlib.suppress(ChildProcessError):
        while os.waitpid(-1, os.WNOHANG)[0]:
            continue


def _answer(link: socket.socket) -> int:
    """Run one command in this fork and tell its exit code."""
    signal.signal(signal.SIGCHLD, signal.SIG_DFL)
    size, streams, _, _ = socket.recv_fds(link, 8, 3)
    data = b""
    while len(data) < int.from_bytes(size):
        data += link.recv(1 << 16)
    asked = json.loads(data)
    for number, stream in enumerate(streams):
        os.dup2(stream, number)
    os.chdir(asked["cwd"])
    os.environ.clear()
    os.environ.update(asked["env"])
    code = _run(asked["args"])
    with contextlib.suppress(BrokenPipeError):
        sys.stdout.flush()
    sys.stderr.flush()
    link.sendall(code.to_bytes(4))
    return 0


def _run(words: list[str]) -> int:
    import smaller

    from synthpert.__main__ import main

    home = Path(os.environ["DOCS_WORLD"])
    as_typed = os.environ.get("DOCS_AS_TYPED") == "1"
    args = words if as_typed else smaller.synthpert(words, home / "bases")
    if "vllm" in words:
        sys.path.insert(0, str(TESTS / "synthpert" / "generation" / "without_gpu"))
    if words[:2] == ["data", "fetch"]:
        args += _download(home / "benchmark")
    sys.argv = ["synthpert", *args]
    try:
        return _visit(args) if args[:1] == ["serve"] and "--port" in args else main(args)
    except BaseException:  # noqa: BLE001 - the caller sees what a process would have shown
        traceback.print_exc()
        return 1


def _visit(args: list[str]) -> int:
    """Start the page as it is typed, open it once, and press Ctrl-C."""
    from synthpert.__main__ import main

    if (server := os.fork()) == 0:
        os._exit(main(args))
    address = f"http://127.0.0.1:{args[args.index('--port') + 1]}/"
    for _ in range(600):
        time.sleep(0.1)
        if os.waitpid(server, os.WNOHANG)[0]:
            return 1  # it has said why
        with contextlib.suppress(OSError), urllib.request.urlopen(address, timeout=30) as page:
            os.kill(server, signal.SIGINT)
            os.waitpid(server, 0)
            return 0 if page.status == 200 else 1
    os.kill(server, signal.SIGKILL)
    return 1


def _download(folder: Path) -> list[str]:
    """Take the small benchmark for the one that is downloaded: its checksums, its address."""
    from tools import data

    files = [path for path in folder.rglob("*") if path.is_file()]
    sums = {
        path.relative_to(folder).as_posix(): hashlib.sha256(path.read_bytes()).hexdigest()
        for path in files
    }
    data.CHECKSUMS = sums  # type: ignore[misc]
    handler = functools.partial(http.server.SimpleHTTPRequestHandler, directory=str(folder))
    server = http.server.ThreadingHTTPServer(("127.0.0.1", 0), handler)
    threading.Thread(target=server.serve_forever, daemon=True).start()
    return ["--url", f"http://127.0.0.1:{server.server_port}"]


if __name__ == "__main__":
    serve(str(Path(sys.argv[1])))
