"""What stands before the page: other pages, other hosts, uploads and long requests are refused."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import httpx
import pytest
from gradio import Request
from serve_pages import served

from tools.serve.guard import MOST_BYTES, Guard
from tools.serve.page import Page


@pytest.fixture(scope="module")
def client(opened: Page) -> Iterator[httpx.Client]:
    with served(opened) as address, httpx.Client(base_url=address, trust_env=False) as client:
        yield client


def test_the_page_itself_is_shown_with_its_policy(client: httpx.Client) -> None:
    answer = client.get("/")
    assert answer.status_code == 200
    assert "default-src 'self'" in answer.headers["content-security-policy"]
    assert "frame-ancestors 'none'" in answer.headers["content-security-policy"]
    assert answer.headers["referrer-policy"] == "no-referrer"


@pytest.mark.parametrize(
    "headers",
    [
        {"origin": "http://example.org"},
        {"origin": "null"},
        {"host": "example.org"},
        {"host": "example.org:7860", "origin": "http://example.org:7860"},
        {"sec-fetch-site": "cross-site"},
    ],
)
def test_a_request_of_another_page_is_refused(
    client: httpx.Client, headers: dict[str, str]
) -> None:
    answer = client.post("/gradio_api/queue/join", json={}, headers=headers)
    assert answer.status_code == 403
    assert "page" in answer.text


@pytest.mark.parametrize(
    "path", ["/gradio_api/upload", "/gradio_api/proxy=https://example.org/x", "/monitoring"]
)
def test_nothing_is_uploaded_or_fetched_from_elsewhere(client: httpx.Client, path: str) -> None:
    assert client.post(path, files={"files": b"x"}).status_code == 403


def test_a_long_request_is_refused(client: httpx.Client) -> None:
    answer = client.post("/gradio_api/queue/join", content=b"x" * (MOST_BYTES + 1))
    assert answer.status_code == 403


@pytest.mark.parametrize("path", ["run/config.yaml", "/etc/hostname", "../run/config.yaml"])
def test_no_file_of_the_machine_is_given_out(client: httpx.Client, path: str) -> None:
    answer = client.get(f"/gradio_api/file={path}")
    assert answer.status_code in (403, 404)
    assert "trainer" not in answer.text


def test_no_endpoint_is_offered_to_programs(client: httpx.Client) -> None:
    told = client.get("/gradio_api/info").json()
    assert told["named_endpoints"] == {}
    assert client.get("/docs").status_code == 404
    assert client.post("/gradio_api/call/_ask", json={"data": []}).status_code == 403
    assert client.get("/openapi.json").status_code == 403


@pytest.mark.parametrize("headers", [{"host": "["}, {"origin": "http://["}])
def test_an_address_that_is_none_is_refused(client: httpx.Client, headers: dict[str, str]) -> None:
    assert client.get("/", headers=headers).status_code == 403


def test_an_address_of_the_network_takes_any_host_name() -> None:
    scope = {"headers": [(b"host", b"lab.example.org")], "path": "/", "method": "GET"}
    assert Guard(None, ())._wrong(scope) == ""  # type: ignore[arg-type]


def test_what_a_session_could_download_goes_with_it(opened: Page) -> None:
    request = Request(session_hash="../abc")
    folder = opened._folder_of(request)
    assert folder.parent == Path(opened.folder.name)
    folder.mkdir()
    (folder / "predictions.csv").touch()
    opened._leave(request)
    assert not folder.exists()
