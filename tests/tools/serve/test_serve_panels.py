"""The panels: every value is escaped, and the notes say what an answer is worth."""

from __future__ import annotations

from html.parser import HTMLParser

import pytest
from serve_pages import HOSTILE, PAYLOADS, prediction

from synthpert.questions import Question
from tools.serve import drawing
from tools.serve.alike import Alike
from tools.serve.desk import Desk
from tools.serve.pasted import Problem

QUESTION = Question("k562", "T0", "G0")
SAFE = {"section", "p", "h1", "h2", "table", "thead", "tbody", "tr", "th", "td", "span", "i", "b"}
SAFE |= {"abbr", "ul", "li", "details", "summary", "div", "code", "header"}


class Reader(HTMLParser):
    """Collects the elements and the text of a page."""

    def __init__(self, html: str) -> None:
        super().__init__()
        self.tags: set[str] = set()
        self.names: set[str] = set()
        self.text = ""
        self.feed(html)

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.tags.add(tag)
        self.names |= {name for name, _ in attrs}

    def handle_data(self, data: str) -> None:
        self.text += data


@pytest.mark.parametrize("payload", PAYLOADS)
def test_no_value_becomes_markup(desk: Desk, payload: str) -> None:
    hostile = Question(payload, payload, payload)
    beside = desk.benchmark.beside(QUESTION)
    row = prediction(hostile, payload).row(0, named=True) | {"answer": None, "mode": payload}
    alike = Alike(payload, payload, payload, payload, payload, payload, payload)
    for html in (
        drawing.answer(hostile, row, beside),
        drawing.known(hostile, beside),
        drawing.traces([alike], payload, 1),
        drawing.problems([Problem(1, payload, payload)]),
        drawing.answers([row], 1),
        drawing.about([(payload, payload), (payload, [(payload, payload)])]),
        drawing.header(payload, [(payload, payload)]),
        drawing.status(payload),
    ):
        read = Reader(html)
        assert read.tags <= SAFE
        assert not any(name.startswith("on") for name in read.names)
        assert payload in read.text


def test_bars_are_as_long_as_the_probabilities(desk: Desk) -> None:
    beside = desk.benchmark.beside(QUESTION)
    html = drawing.answer(QUESTION, prediction(QUESTION, "x").row(0, named=True), beside)
    assert [f'style="width: {width}%"' in html for width in ("25.0", "50.0")] == [True, True]
    assert "upregulated" in html


@pytest.mark.parametrize(
    ("changed", "note"),
    [
        ({"mode": "vote", "n_samples": 5}, "vote of 5 samples"),
        ({"mode": "direct"}, "without reasoning"),
        ({"finish_reason": "length"}, "cut at the most tokens"),
        ({"parse_status": "several", "answer": None}, "the text: several"),
        ({"answer": "downregulated"}, "the probabilities after it favour upregulated"),
    ],
)
def test_a_note_says_what_an_answer_is_worth(
    desk: Desk, changed: dict[str, object], note: str
) -> None:
    row = prediction(QUESTION, "x").row(0, named=True) | changed
    assert note in drawing.answer(QUESTION, row, desk.benchmark.beside(QUESTION))


def test_an_answer_that_was_not_read_has_no_bars(desk: Desk) -> None:
    none = {"answer": None, "p_not_de": None, "p_up": None, "p_down": None}
    row = prediction(QUESTION, HOSTILE).row(0, named=True) | none
    html = drawing.answer(QUESTION, row, desk.benchmark.beside(QUESTION))
    assert "no answer that could be read" in html
    assert "no probabilities without an answer" in html
