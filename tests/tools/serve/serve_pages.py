"""Pages served on this machine, and students written out to be hostile or slow."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from tempfile import TemporaryDirectory
from threading import Event, Thread
from time import sleep

import polars as pl
from playwright.sync_api import Browser
from playwright.sync_api import Page as Tab

from synthpert.predictions import PREDICTION_SCHEMA
from synthpert.questions import Label, Question
from synthpert.traces import TRACE_SCHEMA, write_traces
from tools.serve.address import listen, url
from tools.serve.asking import Words
from tools.serve.desk import Desk
from tools.serve.page import Page
from tools.serve.serving import server

PAYLOADS = (
    "<img src=x onerror=\"document.title='taken'\">",
    "<script>document.title='taken'</script>",
    "</textarea><svg onload=\"document.title='taken'\">",
    "[a link](http://example.org) ![an image](http://example.org/a.png)",
    "${document.title='taken'} {{constructor.constructor('return 1')()}} {{{value}}}",
    "$$x^2$$ `code` **bold** <b>bold</b> &lt;i&gt;",
)
HOSTILE = "\n".join(PAYLOADS)


def write_hostile_traces(path: Path) -> None:
    """Two traces, one of them of model text that wants to be markup."""
    rows = [
        {"cell_line": "k562", "pert": "T0", "gene": "G0", "reasoning": HOSTILE},
        {"cell_line": "rpe1", "pert": "P3", "gene": "G3", "reasoning": "G3 rises without P3."},
    ]
    known = {"label": Label.UP, "answer": Label.UP, "grade": "excellent"}
    table = pl.DataFrame([{**row, **known} for row in rows])
    write_traces(table.cast({n: TRACE_SCHEMA[n] for n in table.columns}), path)


def prediction(question: Question, response: str) -> pl.DataFrame:
    """A table of one prediction."""
    row = dict.fromkeys(PREDICTION_SCHEMA, None) | {
        **{"cell_line": question.cell_line, "pert": question.pert, "gene": question.gene},
        **{"answer": Label.UP, "p_not_de": 0.25, "p_up": 0.5, "p_down": 0.25},
        **{"reasoning": response, "response": response, "parse_status": "ok"},
        **{"finish_reason": "stop", "n_samples": 1, "mode": "reason", "model": "fake"},
    }
    return pl.DataFrame([row], schema=PREDICTION_SCHEMA)


class HostileAsker:
    """A student whose text wants to be markup."""

    def stream(
        self, question: Question, label: Label | None, mode: str, stop: Event
    ) -> Iterator[Words | pl.DataFrame]:
        yield Words(HOSTILE, 1, 1)
        yield prediction(question, HOSTILE)


class SlowAsker:
    """A student that writes a word every 20 ms until it is stopped, a list without an end too."""

    def stream(
        self, question: Question, label: Label | None, mode: str, stop: Event
    ) -> Iterator[Words | pl.DataFrame]:
        text = ""
        while not stop.is_set():
            sleep(0.02)
            text += "word "
            yield Words(text, 1, 1)

    def tables(
        self, questions: Sequence[Question], labels: Sequence[object], mode: str, stop: Event
    ) -> Iterator[pl.DataFrame]:
        yield prediction(questions[0], "first")
        stop.wait()


class FailingAsker:
    """A student whose GPU has no memory left."""

    def stream(
        self, question: Question, label: Label | None, mode: str, stop: Event
    ) -> Iterator[Words | pl.DataFrame]:
        yield Words("begun", 1, 1)
        raise RuntimeError("CUDA out of memory.\nTried to allocate <b>2 GiB</b>")


def page_of(asker: object, desk: Desk) -> Page:
    """A page on which another student answers."""
    other = Desk(asker, desk.benchmark, desk.traces)  # type: ignore[arg-type]
    return Page(other, "fake", [], [], {}, TemporaryDirectory())


@contextmanager
def served(page: Page, host: str = "127.0.0.1", token: str | None = None) -> Iterator[str]:
    """Serve a page on a free port; its address."""
    listening = listen(host, 0)
    answering = server(page, host, token)
    thread = Thread(target=answering.run, kwargs={"sockets": [listening]})
    thread.start()
    try:
        while not answering.started:
            sleep(0.01)
        yield url(host, listening)
    finally:
        answering.should_exit = True
        thread.join()
        listening.close()


@contextmanager
def visit(browser: Browser, address: str, **options: object) -> Iterator[Tab]:
    """Open a page and wait until it can be used; `asked` holds every request that it made."""
    context = browser.new_context(accept_downloads=True, **options)  # type: ignore[arg-type]
    tab = context.new_page()
    tab.set_default_timeout(30_000)
    tab.asked = []  # type: ignore[attr-defined]
    tab.said = []  # type: ignore[attr-defined]
    context.on("request", lambda request: tab.asked.append(request.url))  # type: ignore[attr-defined]
    tab.on("pageerror", lambda error: tab.said.append(str(error)))  # type: ignore[attr-defined]
    tab.on("console", lambda message: tab.said.append(message.text))  # type: ignore[attr-defined]
    tab.on("dialog", lambda dialog: dialog.dismiss())
    tab.goto(address)
    tab.wait_for_selector("#ask, form, input[type=password]")
    yield tab
    context.close()


def fill(tab: Tab, cell_line: str, pert: str, gene: str) -> None:
    """Type a question as a person does."""
    for name, value in (("cell-line", cell_line), ("pert", pert), ("gene", gene)):
        box = tab.locator(f"#{name} input")
        box.fill(value)
        box.press("Enter")
