"""The site is built strictly, holds every module and recipe, and asks no other host."""

from __future__ import annotations

import os
import re
import subprocess
import sys
from collections.abc import Iterator
from functools import partial
from html.parser import HTMLParser
from http.server import SimpleHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from threading import Thread

import pytest
from repository import ROOT, repository_files

PACKAGES = ("synthpert", "callbacks", "data_modules", "tools")
# What a browser fetches by itself; a link that a reader follows is none of these.
FETCHED = {"script": "src", "img": "src", "link": "href", "iframe": "src", "source": "src"}


@pytest.fixture(scope="module")
def site(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The site, as `make docs` builds it."""
    folder = tmp_path_factory.mktemp("site")
    built = subprocess.run(
        [sys.executable, "-m", "mkdocs", "build", "--strict", "--site-dir", str(folder)],
        cwd=ROOT,
        env={**os.environ, "NO_MKDOCS_2_WARNING": "1", "PYTHONPATH": str(ROOT)},
        capture_output=True,
        text=True,
        check=False,
    )
    assert built.returncode == 0, built.stdout + built.stderr
    return folder


class Fetches(HTMLParser):
    """Collects what a page fetches."""

    def __init__(self) -> None:
        super().__init__()
        self.found: list[str] = []

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.found += [value or "" for name, value in attrs if name == FETCHED.get(tag)]


def test_every_module_is_in_the_reference(site: Path) -> None:
    pages = "".join(page.read_text(encoding="utf-8") for page in (site / "api").glob("*.html"))
    anchors = set(re.findall(r'id="([\w.]+)"', pages))
    files = [path.relative_to(ROOT).with_suffix("") for path in repository_files(ROOT)]
    wanted = {".".join(path.parts) for path in files if path.parts[0] in PACKAGES}
    wanted = {name.removesuffix(".__init__") for name in wanted if is_module(name)}
    assert len(wanted) > 150
    assert wanted - anchors == set()


def is_module(name: str) -> bool:
    return (ROOT / name.replace(".", "/")).with_suffix(".py").exists()


def test_every_recipe_is_on_its_page(site: Path) -> None:
    page = (site / "recipes.html").read_text(encoding="utf-8")
    names = [path.relative_to(ROOT).as_posix() for path in (ROOT / "configs").rglob("*.yaml")]
    assert len(names) >= 25
    assert [name for name in names if name not in page] == []


def test_no_page_fetches_from_another_host(site: Path) -> None:
    for page in site.rglob("*.html"):
        reader = Fetches()
        reader.feed(page.read_text(encoding="utf-8"))
        assert [found for found in reader.found if "//" in found] == [], page


def test_no_style_sheet_fetches_from_another_host(site: Path) -> None:
    for sheet in site.rglob("*.css"):
        text = sheet.read_text(encoding="utf-8")
        assert not re.search(r"(?:url\(|@import)\s*[\"']?(?:https?:)?//", text), sheet


@pytest.fixture(scope="module")
def address(site: Path) -> Iterator[str]:
    """Where the site is read."""

    class Quiet(SimpleHTTPRequestHandler):
        def log_message(self, *_: object) -> None:
            """Say nothing."""

    with ThreadingHTTPServer(("127.0.0.1", 0), partial(Quiet, directory=str(site))) as server:
        Thread(target=server.serve_forever, args=(0.01,), daemon=True).start()
        yield f"http://127.0.0.1:{server.server_port}"
        server.shutdown()


def test_a_browser_asks_no_other_host_and_the_search_finds(address: str) -> None:
    from playwright.sync_api import sync_playwright

    asked: list[str] = []
    with sync_playwright() as play:
        browser = play.chromium.launch(executable_path="/usr/bin/chromium", args=["--no-sandbox"])
        page = browser.new_page()
        page.on("request", lambda request: asked.append(request.url))
        for name in ("index", "flow", "recipes", "api/synthpert.losses"):
            page.goto(f"{address}/{name}.html")
        page.locator("input.md-search__input").first.fill("FocalLoss")
        page.locator(".md-search-result__item").first.wait_for()
        browser.close()
    assert [url for url in asked if not url.startswith((address, "data:", "blob:"))] == []


def test_the_picture_is_what_its_script_draws() -> None:
    script = ROOT / "docs" / "pictures" / "draw_flow.py"
    code = f"import runpy, sys; sys.stdout.write(runpy.run_path({str(script)!r})['draw']())"
    drawn = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert script.with_name("flow.svg").read_text(encoding="utf-8") == drawn.stdout


def test_a_link_that_leads_nowhere_fails_the_build(tmp_path: Path) -> None:
    (tmp_path / "docs").mkdir()
    (tmp_path / "docs" / "index.md").write_text("# A\n\n[nowhere](missing.md)\n")
    settings = (ROOT / "mkdocs.yml").read_text(encoding="utf-8")
    kept = settings[settings.index("validation:") : settings.index("hooks:")]
    (tmp_path / "mkdocs.yml").write_text(f"site_name: A\n{kept}")
    built = subprocess.run(
        [sys.executable, "-m", "mkdocs", "build", "--strict"],
        cwd=tmp_path,
        capture_output=True,
        text=True,
        check=False,
    )
    assert built.returncode == 1
    assert "missing.md" in built.stderr
