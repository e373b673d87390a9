"""Thirty hostile texts in every place that a file can fill: all of them stay text."""

from __future__ import annotations

from pathlib import Path

import polars as pl
import pytest
from browsing import open_page
from playwright.sync_api import Browser, Page, expect

from synthpert.predictions import write_predictions
from synthpert.questions import LABELS
from tools.report import main

PAYLOADS = (
    "<script>alert(1)</script>",
    "</script><script>alert(2)</script>",
    "<img src=x onerror=alert(3)>",
    '"><svg onload=alert(4)>',
    "'><iframe src=javascript:alert(5)>",
    "<a href=javascript:alert(6)>x</a>",
    "<body onload=alert(7)>",
    "<input autofocus onfocus=alert(8)>",
    "<details open ontoggle=alert(9)>",
    "<video><source onerror=alert(10)>",
    "<math><mtext><style><img src=x onerror=alert(11)>",
    "<style>@import 'http://evil.example/x.css';</style>",
    "<link rel=stylesheet href=http://evil.example/y.css>",
    "<meta http-equiv=refresh content=0;url=http://evil.example>",
    "<base href=http://evil.example/>",
    "<object data=http://evil.example/z></object>",
    "<form action=http://evil.example><button>go</button></form>",
    "{{ 7 * 7 }}{% for x in (1).__class__.__base__.__subclasses__() %}{% endfor %}",
    "${alert(14)}`${alert(15)}`",
    "&lt;script&gt;alert(16)&lt;/script&gt;",
    "&#60;img src=x onerror=alert(17)&#62;",
    "<!--<img src=x onerror=alert(18)>-->",
    "]]><img src=x onerror=alert(19)>",
    '" onmouseover="alert(20)" x="',
    "' style='background:url(http://evil.example/b)' x='",
    "</title><script>alert(22)</script>",
    "</textarea><script>alert(23)</script>",
    "</template><script>alert(24)</script>",
    "\u202e<script>alert(25)</script>\u202c",
    "javascript:alert(26)//http://evil.example/%0a<x>",
)
# A file's name cannot hold a slash.
NAMES = tuple(payload.replace("/", "∕") for payload in PAYLOADS)
LINE = '<img src=x onerror=alert("line")>'


def benchmark(folder: Path) -> pl.DataFrame:
    """A benchmark whose genes and perturbations are the payloads, and whose line is one too."""
    rows = [
        {"pert": f"{pert} {part}", "gene": gene, "label": i % 2, "split": part}
        for part in ("train", "test")
        for pert in PAYLOADS[:3]
        for i, gene in enumerate(PAYLOADS)
    ]
    de = pl.DataFrame(rows)
    folder.mkdir()
    de.write_csv(folder / f"{LINE}-de.csv")
    changed = de.filter(pl.col("label") == 1).with_columns(label=pl.int_range(pl.len()) % 2)
    changed.write_csv(folder / f"{LINE}-dir.csv")
    return de.filter(pl.col("split") == "test")


def predictions(test: pl.DataFrame) -> pl.DataFrame:
    texts = pl.Series([PAYLOADS[i % len(PAYLOADS)] for i in range(len(test))])
    answers = pl.Series([LABELS[i % 3].value for i in range(len(test))])
    return test.select("pert", "gene").with_columns(
        cell_line=pl.lit(LINE),
        answer=answers,
        **dict.fromkeys(("reasoning", "response", "parse_status", "finish_reason"), texts),
        **dict.fromkeys(("model", "prompt_id", "run"), texts),
    )


@pytest.fixture(scope="module")
def hostile(
    tmp_path_factory: pytest.TempPathFactory, browser: Browser
) -> tuple[Page, pl.DataFrame]:
    """A page of payloads: in genes, texts, the records, and the names of files, run and line."""
    folder = tmp_path_factory.mktemp("hostile")
    data = folder / NAMES[0]
    test = benchmark(data)
    told = predictions(test)
    files = [folder / f"{name}.parquet" for name in NAMES[2:5]]
    for file in files:
        write_predictions(told, file)
    run = folder / NAMES[3]
    run.mkdir()
    (run / "metrics.csv").write_text("step,train_loss\n0,1.0\n5,0.5\n")
    (run / "config.yaml").write_text(
        f"model: {{base: {PAYLOADS[0]!r}, prompts: {PAYLOADS[3]!r}}}\n"
    )
    args = [*files, "--data", data, "--rounds", 0, "--run", run, "--out", folder / "r.html"]
    assert main([*map(str, args)]) == 0
    return open_page(browser, folder / "r.html"), told


def test_nothing_of_it_runs_loads_or_asks(hostile: tuple[Page, pl.DataFrame]) -> None:
    page, told = hostile
    seen = set()
    for _ in range(len(told) // 25 + 1):
        buttons = page.query_selector_all("#rows button")
        for button in buttons:
            button.click()
        expect(page.locator("#rows .told")).to_have_count(len(buttons))
        seen |= set(page.eval_on_selector_all("#rows .told div", "a => a.map(d => d.textContent)"))
        if not page.is_disabled("#after"):
            page.click("#after")
    assert seen >= set(PAYLOADS)
    assert page.said == []  # type: ignore[attr-defined]
    assert page.asked == [page.url]  # type: ignore[attr-defined]


def test_no_node_of_it_is_made(hostile: tuple[Page, pl.DataFrame]) -> None:
    page, _ = hostile
    assert page.eval_on_selector_all("script:not([type])", "all => all.length") == 1
    assert page.eval_on_selector_all("style, meta[http-equiv]", "all => all.length") == 2
    foreign = "img, iframe, object, embed, link, base, video, math, textarea, a[href^='javascript']"
    assert page.query_selector(foreign) is None
    events = "all => all.flatMap(e => e.getAttributeNames()).filter(n => /^on|^style$/.test(n))"
    assert page.eval_on_selector_all("*", events) == []


def test_it_is_shown_as_it_is(hostile: tuple[Page, pl.DataFrame]) -> None:
    page, _ = hostile
    text = page.evaluate("document.body.textContent")
    for shown in (*NAMES[2:5], PAYLOADS[0], LINE, f"{PAYLOADS[0]} test"):
        assert shown in text


def test_templates_in_a_name_are_not_filled(hostile: tuple[Page, pl.DataFrame]) -> None:
    page, _ = hostile
    genes = page.evaluate("[...document.querySelectorAll('#rows td')].map(td => td.textContent)")
    assert any("{{ 7 * 7 }}" in each for each in genes)
