"""The page in a real browser: it streams, draws, lists, keeps, and shows text as text."""

from __future__ import annotations

import re
from collections.abc import Iterator
from pathlib import Path

import pytest
from playwright.sync_api import Browser, expect
from playwright.sync_api import Page as Tab
from serve_pages import (
    HOSTILE,
    FailingAsker,
    HostileAsker,
    SlowAsker,
    fill,
    page_of,
    served,
    visit,
)

from synthpert.predictions import read_predictions
from synthpert.scoring import answer_questions
from tools.serve.desk import Desk


@pytest.fixture(scope="module")
def tab(browser: Browser, address: str) -> Iterator[Tab]:
    """The page, opened once."""
    with visit(browser, address, viewport={"width": 1280, "height": 900}) as opened:
        yield opened


def test_a_question_brings_text_bars_neighbours_and_traces(tab: Tab) -> None:
    fill(tab, "k562", "T0", "G0")
    tab.click("#ask")
    expect(tab.locator("#status")).to_contain_text("Answered in")
    assert tab.input_value("#one-text textarea")
    rows = tab.locator("#one-answer .shares tbody tr")
    expect(rows.locator("th")).to_have_text(["student", "gene prior", "neighbours"])
    expect(rows.nth(1).locator(".bar")).to_have_count(3)
    expect(tab.locator("#one-answer .measured").first).to_contain_text("a row of the test split")
    expect(tab.locator("#one-known tbody th").first).to_have_text("P3")
    expect(tab.locator("#one-traces summary").first).to_contain_text("this very question")


def test_text_of_a_trace_stays_text(tab: Tab) -> None:
    tab.locator("#one-traces summary").first.click()
    expect(tab.locator("#one-traces .trace").first).to_have_text(HOSTILE, use_inner_text=True)
    assert tab.locator("#one-traces").locator("img, a, script, svg, b b").count() == 0
    assert tab.title() == "SynthPert: run"


def test_a_list_is_answered_and_its_bad_lines_are_told(tab: Tab) -> None:
    tab.get_by_role("tab", name="List").click()
    tab.fill("#list textarea", "k562,T0,G0\nk562,<img src=x onerror=alert(1)>,G1\nrpe1 T1 G2\n")
    tab.click("#ask-list")
    expect(tab.locator("#list-status")).to_contain_text("3 lines: 2 to ask, 1 not asked (below); 2")
    expect(tab.locator("#problems tbody tr")).to_have_count(1)
    expect(tab.locator("#problems code")).to_have_text("k562,<img src=x onerror=alert(1)>,G1")
    expect(tab.locator("#results tbody th")).to_have_text(["T0", "T1"])
    tab.click("#results-choice input")
    tab.get_by_role("option", name="T1 → G2 in rpe1").click()
    expect(tab.locator("#results-one-answer .asked")).to_contain_text("T1 knocked down in rpe1")


def test_the_history_is_downloaded_as_a_predictions_file(tab: Tab, tmp_path: Path) -> None:
    tab.get_by_role("tab", name="History").click()
    with tab.expect_download() as caught:
        tab.click("#download")
    assert caught.value.suggested_filename == "predictions.csv"
    caught.value.save_as(tmp_path / "mine.csv")
    table = read_predictions(tmp_path / "mine.csv")
    # The first question was asked twice, the second time without a thought.
    assert table.select("pert", "mode").rows() == [("T0", "direct"), ("T1", "direct")]
    assert set(table["run"]) == {"run"}
    assert len(answer_questions(table, table, tmp_path / "mine.csv")) == 2


def test_it_says_which_student_it_is(tab: Tab) -> None:
    tab.get_by_role("tab", name="About").click()
    expect(tab.locator("#about")).to_contain_text("Lora(r=4")
    for told in ("last.ckpt, step 30", "base+lora", "compact-"):
        expect(tab.locator("#head")).to_contain_text(told)


def test_nothing_was_asked_of_another_machine_and_nothing_failed(tab: Tab, address: str) -> None:
    assert len(tab.asked) > 10  # type: ignore[attr-defined]
    elsewhere = [url for url in tab.asked if not url.startswith((address, "blob:", "data:"))]  # type: ignore[attr-defined]
    assert elsewhere == []
    assert tab.said == []  # type: ignore[attr-defined]


def test_an_example_fills_the_question_by_keyboard(browser: Browser, address: str) -> None:
    with visit(browser, address) as tab:
        example = tab.get_by_role("button", name="in rpe1").first
        example.focus()
        tab.keyboard.press("Enter")
        expect(tab.locator("#cell-line input")).to_have_value("rpe1")


def test_a_phone_shows_all_without_scrolling_sideways(browser: Browser, address: str) -> None:
    with visit(browser, address, viewport={"width": 390, "height": 800}) as tab:
        tab.click("#ask")
        expect(tab.locator("#status")).to_contain_text("Answered in")
        assert tab.evaluate("document.documentElement.scrollWidth") <= 390
        places = [tab.locator(f"#one-{x}").bounding_box() for x in ("text", "answer", "traces")]
        assert sorted(places, key=lambda box: box["y"]) == places  # type: ignore[index]


def test_what_is_no_symbol_is_one_line(browser: Browser, address: str) -> None:
    with visit(browser, address) as tab:
        fill(tab, "k562", "T0 and <b>all</b>", "G0")
        tab.click("#ask")
        expect(tab.locator("#status .error")).to_contain_text("'T0 and <b>all</b>'")


def test_text_of_a_student_stays_text(browser: Browser, desk: Desk) -> None:
    with served(page_of(HostileAsker(), desk)) as place, visit(browser, place) as tab:
        tab.click("#ask")
        expect(tab.locator("#status")).to_contain_text("Answered in")
        assert tab.input_value("#one-text textarea") == HOSTILE
        assert tab.locator("#one-text").locator("img, script, a").count() == 0
        assert tab.title() == "SynthPert: fake"
        assert [url for url in tab.asked if "example.org" in url] == []  # type: ignore[attr-defined]


def test_stop_ends_the_writing_and_keeps_the_text(browser: Browser, desk: Desk) -> None:
    with served(page_of(SlowAsker(), desk)) as place, visit(browser, place) as tab:
        tab.click("#ask")
        expect(tab.locator("#one-text textarea")).to_have_value(re.compile("word word"))
        tab.click("#stop")
        expect(tab.locator("#status")).to_contain_text("Stopped")
        expect(tab.locator("#stop")).to_be_disabled()


def test_trouble_of_the_student_is_one_line(browser: Browser, desk: Desk) -> None:
    with served(page_of(FailingAsker(), desk)) as place, visit(browser, place) as tab:
        tab.click("#ask")
        line = "CUDA out of memory. Tried to allocate <b>2 GiB</b>"
        expect(tab.locator("#status .error")).to_have_text(line)


def test_another_host_shows_nothing_without_the_token(browser: Browser, desk: Desk) -> None:
    token = "a-token-of-a-test"
    with served(page_of(SlowAsker(), desk), token=token) as place, visit(browser, place) as tab:
        assert tab.locator("#ask").count() == 0
        for word, seen in (("another-token-here", 0), (token, 1)):
            tab.locator("input").first.fill("synthpert")
            tab.locator("input[type=password]").fill(word)
            tab.get_by_role("button").first.click()
            tab.wait_for_timeout(300) if not seen else tab.wait_for_selector("#ask")
            assert tab.locator("#ask").count() == seen
