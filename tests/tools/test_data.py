"""The verb `data`: the audit's two tables, and downloads from a real server on loopback."""

from __future__ import annotations

import hashlib
import http.server
import logging
import socket
import subprocess
import sys
import threading
from pathlib import Path
from typing import TYPE_CHECKING

import pytest

from synthpert import __main__ as front_door
from synthpert.errors import InputError
from tools import data

if TYPE_CHECKING:
    from collections.abc import Iterator

FILES = {
    "LICENSE.txt": b"no commercial use\n",
    "perturbqa/datasets/k562-de.csv": b"pert,gene,label,split\nA,B,0,train\n" * 9000,
    "perturbqa/datasets/k562-dir.csv": b"pert,gene,label,split\n",
}


class Server(http.server.ThreadingHTTPServer):
    """Serves `files` by path, and remembers what was asked for."""

    def __init__(self) -> None:
        super().__init__(("127.0.0.1", 0), Handler)
        self.files = dict(FILES)
        self.asked: list[str] = []
        self.cut: set[str] = set()

    @property
    def url(self) -> str:
        return f"http://127.0.0.1:{self.server_port}"


class Handler(http.server.BaseHTTPRequestHandler):
    """Answers GET; a path in the server's `cut` breaks off half-way."""

    server: Server

    def do_GET(self) -> None:
        path = self.path.lstrip("/")
        self.server.asked.append(path)
        if path not in self.server.files:
            self.send_error(404)
            return
        content = self.server.files[path]
        self.send_response(200)
        self.send_header("Content-Length", str(len(content)))
        self.end_headers()
        self.wfile.write(content[: len(content) // 2] if path in self.server.cut else content)

    def log_message(self, format: str, *args: object) -> None:
        """Say nothing."""


@pytest.fixture
def server(monkeypatch: pytest.MonkeyPatch) -> Iterator[Server]:
    sums = {path: hashlib.sha256(content).hexdigest() for path, content in FILES.items()}
    monkeypatch.setattr(data, "CHECKSUMS", sums)
    monkeypatch.setenv("no_proxy", "127.0.0.1")
    with Server() as running:
        thread = threading.Thread(target=running.serve_forever, kwargs={"poll_interval": 0.01})
        thread.start()
        yield running
        running.shutdown()
        thread.join()


def fetch(url: str, out: Path) -> int:
    return data.main(["fetch", "--out", str(out), "--url", url])


def refusal(url: str, out: Path) -> str:
    with pytest.raises(InputError) as caught:
        fetch(url, out)
    assert "\n" not in str(caught.value)
    return str(caught.value)


def test_fetch_writes_every_file_and_nothing_else(server: Server, tmp_path: Path) -> None:
    out = tmp_path / "new" / "folder"
    assert fetch(server.url + "/", out) == 0
    there = {path.name: path.read_bytes() for path in out.iterdir()}
    assert there == {path.rpartition("/")[2]: content for path, content in FILES.items()}


def test_fetch_again_asks_for_nothing(server: Server, tmp_path: Path) -> None:
    fetch(server.url, tmp_path)
    server.asked.clear()
    assert fetch(server.url, tmp_path) == 0
    assert server.asked == []


def test_fetch_resumes_with_what_is_missing_or_wrong(
    server: Server, tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    caplog.set_level(logging.INFO, "tools.data")
    (tmp_path / "LICENSE.txt").write_bytes(FILES["LICENSE.txt"])
    (tmp_path / "k562-de.csv").write_bytes(b"half a file")
    fetch(server.url, tmp_path)
    assert server.asked == ["perturbqa/datasets/k562-de.csv", "perturbqa/datasets/k562-dir.csv"]
    assert "k562-de.csv is not the released file and is replaced" in caplog.text
    assert "(2 files fetched, 1 were there)" in caplog.text


def test_a_wrong_checksum_keeps_nothing_of_that_file(server: Server, tmp_path: Path) -> None:
    server.files["perturbqa/datasets/k562-de.csv"] = b"another file"
    text = refusal(server.url, tmp_path)
    assert text.startswith(f"{server.url}/perturbqa/datasets/k562-de.csv: wrong checksum")
    assert [path.name for path in tmp_path.iterdir()] == ["LICENSE.txt"]


def test_a_file_there_survives_a_download_that_fails(server: Server, tmp_path: Path) -> None:
    (tmp_path / "k562-de.csv").write_bytes(b"mine")
    server.cut.add("perturbqa/datasets/k562-de.csv")
    assert "k562-de.csv: was cut off; the same command resumes (got" in refusal(
        server.url, tmp_path
    )
    assert (tmp_path / "k562-de.csv").read_bytes() == b"mine"


def test_a_missing_file_is_named_with_its_status(server: Server, tmp_path: Path) -> None:
    del server.files["LICENSE.txt"]
    assert refusal(server.url, tmp_path) == (
        f"{server.url}/LICENSE.txt: cannot be fetched (got 'HTTP 404 Not Found'; expected HTTP 200)"
    )


def test_no_server_is_one_line(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("no_proxy", "127.0.0.1")
    with socket.socket() as bound:  # to a port on which nobody listens
        bound.bind(("127.0.0.1", 0))
        text = refusal(f"http://127.0.0.1:{bound.getsockname()[1]}", tmp_path)
    assert "/LICENSE.txt: cannot be reached; the same command resumes (got '" in text
    assert "Connection refused'; expected a network)" in text


def test_an_address_that_is_none_is_refused(tmp_path: Path) -> None:
    assert refusal("ftp://host", tmp_path).startswith("--url: unknown kind of address")


def test_a_file_in_place_of_the_folder_is_refused(server: Server, tmp_path: Path) -> None:
    (tmp_path / "file").touch()
    assert "cannot be written: File exists" in refusal(server.url, tmp_path / "file")


def test_the_checksums_are_of_four_cell_lines_and_the_licence() -> None:
    assert len(data.CHECKSUMS) == 9
    assert all(len(checksum) == 64 for checksum in data.CHECKSUMS.values())
    licence = Path(data.__file__).parents[1] / "synthpert" / "sample" / "LICENSE.txt"
    assert hashlib.sha256(licence.read_bytes()).hexdigest() == data.CHECKSUMS["LICENSE.txt"]


def audit_rows(capsys: pytest.CaptureFixture[str]) -> dict[str, list[list[str]]]:
    """The cells of each Markdown table on stdout, by its title."""
    tables: dict[str, list[list[str]]] = {}
    for line in capsys.readouterr().out.splitlines():
        if line.startswith("**"):
            rows = tables.setdefault(line.strip("*"), [])
        elif line.startswith("| "):
            rows.append([cell.strip() for cell in line.strip("|").split("|")])
    return tables


def write_line(folder: Path, line: str, de: str, direction: str = "") -> None:
    header = "pert,gene,label,split\n"
    (folder / f"{line}-de.csv").write_text(header + de)
    (folder / f"{line}-dir.csv").write_text(header + direction)


def test_audit_counts_rows_classes_and_leaks(
    tmp_path: Path, capsys: pytest.CaptureFixture[str], caplog: pytest.LogCaptureFixture
) -> None:
    caplog.set_level(logging.INFO, "synthpert.questions")
    write_line(tmp_path, "k562", "A,x,1,train\nB,x,0,test\n", "A,x,1,train\n")
    write_line(tmp_path, "rpe1", "A,x,1,test\nC,y,0,test\n", "A,x,0,test\n")
    assert data.main(["audit", "--data", str(tmp_path)]) == 0
    contents, leaks = audit_rows(capsys).values()
    assert contents[-1] == ["all", "4", "2", "1", "1", "1", "3", "0", "1", "3", "2"]
    assert leaks[3] == [
        "rpe1", "2", "2", "1 (50.0%)", "0 (0.0%)", "1 (50.0%)", "1 (50.0%)", "1", "1 (100.0%)",
    ]  # fmt: skip
    assert caplog.messages == [f"questions from {tmp_path} (as asked)"]


def test_audit_says_how_many_rows_a_strict_split_leaves_out(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    write_line(tmp_path, "k562", "A,x,0,train\nB,x,0,test\n")
    write_line(tmp_path, "rpe1", "A,x,0,test\nB,y,0,train\n")
    data.main(["audit", "--data", str(tmp_path), "--split", "strict"])
    contents = next(iter(audit_rows(capsys).values()))
    assert dict(zip(contents[0], contents[-1], strict=True))["left out"] == "2"


def test_audit_refuses_an_unknown_split(tmp_path: Path) -> None:
    write_line(tmp_path, "k562", "A,x,0,train\n")
    with pytest.raises(InputError, match="unknown split"):
        data.main(["audit", "--data", str(tmp_path), "--split", "mine"])


def test_audit_of_a_split_without_test_rows_shows_no_shares(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    write_line(tmp_path, "k562", "A,x,0,train\n")
    data.main(["audit", "--data", str(tmp_path)])
    leaks = list(audit_rows(capsys).values())[1]
    assert leaks[2:] == [["all", "0", "0", "0", "0", "0", "0", "0", "0"]]


@pytest.mark.parametrize(
    "args", [["data", "audit"], ["score", "p.csv"], ["baseline", "majority"]], ids=lambda a: a[0]
)
@pytest.mark.parametrize("bad", ["nowhere", "file", "empty", "wrong"])
def test_wrong_data_is_one_line_on_stderr(
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
    args: list[str],
    bad: str,
) -> None:
    monkeypatch.chdir(tmp_path)
    Path("p.csv").write_text("cell_line,pert,gene,answer\nk562,A,x,upregulated\n")
    Path("file").touch()
    for name in ("empty", "wrong"):
        Path(name).mkdir()
    write_line(Path("wrong"), "k562", "A,x,2,train\n")
    assert front_door.main([*args, "--data", bad]) == 2
    (line,) = capsys.readouterr().err.splitlines()
    assert line.startswith(bad)


def test_wrong_predictions_are_one_line_on_stderr(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.chdir(tmp_path)
    write_line(tmp_path, "k562", "A,x,0,train\n")
    assert front_door.main(["score", "gone.csv", "--data", "."]) == 2
    assert capsys.readouterr().err == "gone.csv: no such file\n"


def test_an_unknown_verb_lists_those_there_are() -> None:
    with pytest.raises(InputError) as caught:
        data.main(["download"])
    assert str(caught.value) == (
        "synthpert data: unknown verb (got 'download'; expected one of fetch, audit)"
    )


def test_help_shows_an_example_of_each_and_imports_nothing_heavy() -> None:
    code = (
        "import sys; from tools import data; data.main(['--help']); "
        "heavy = {'torch', 'sklearn', 'matplotlib', 'lightning', 'litellm'}; "
        "print(sorted(heavy & set(sys.modules)))"
    )
    root = Path(data.__file__).parents[1]
    run = subprocess.run(
        [sys.executable, "-c", code], cwd=root, capture_output=True, text=True, check=True
    )
    assert run.stdout.endswith("\n[]\n")
    assert "synthpert data fetch --out data/perturbqa" in run.stdout
    assert "synthpert data audit --data data/perturbqa" in run.stdout
