"""The page in a real browser: self-contained, searchable, for keyboards, phones and the dark."""

from __future__ import annotations

from itertools import pairwise
from pathlib import Path

import polars as pl
import pytest
from browsing import choose, count, open_page, rows
from playwright.sync_api import Browser, Page, expect

from tools.report import page as page_module

CONTRAST = """() => {
  const parse = (text) => {
    const v = text.match(/[\\d.]+/g).map(Number);
    return v.length > 3 ? v : [...v, 1];
  };
  const light = (c) => {
    const [r, g, b] = c.slice(0, 3).map((v) => v / 255)
      .map((v) => (v <= 0.03928 ? v / 12.92 : ((v + 0.055) / 1.055) ** 2.4));
    return 0.2126 * r + 0.7152 * g + 0.0722 * b;
  };
  const ground = (node) => {
    const layers = [];
    for (let at = node; at; at = at.parentElement) {
      layers.push(parse(getComputedStyle(at).backgroundColor));
    }
    let c = [255, 255, 255];
    for (const l of layers.reverse()) c = c.map((v, i) => l[i] * l[3] + v * (1 - l[3]));
    return c;
  };
  const bad = [];
  for (const node of document.querySelectorAll("body *")) {
    const own = [...node.childNodes].some((c) => c.nodeType === 3 && c.textContent.trim());
    const aside = node.closest("noscript, script, style, :disabled");
    if (!own || aside || !node.getClientRects().length) continue;
    const style = getComputedStyle(node);
    const text = parse(node.closest("svg") ? style.fill : style.color);
    const [a, b] = [light(text), light(ground(node))].sort((x, y) => y - x);
    const ratio = (a + 0.05) / (b + 0.05);
    if (ratio < 4.5) bad.push(`${node.tagName}.${node.className} ${ratio.toFixed(2)}`);
  }
  return [...new Set(bad)];
}"""


def test_it_asks_for_nothing_and_complains_of_nothing(page: Page, report_path: Path) -> None:
    assert page.asked == [report_path.as_uri()]  # type: ignore[attr-defined]
    assert page.said == []  # type: ignore[attr-defined]


def test_every_question_can_be_found(page: Page, student: pl.DataFrame) -> None:
    assert count(page) == len(student)
    gene = student["gene"][7]
    page.fill("#text", f'"{gene}"')
    expected = student.filter((pl.col("gene") == gene) | (pl.col("pert") == gene))
    expect(page.locator("#count")).to_contain_text(f"{len(expected)} predictions")
    assert all(gene in row[:2] for row in rows(page))


@pytest.mark.parametrize("outcome", ["right", "wrong", "unread"])
def test_the_filters_count_as_the_file_does(
    page: Page, student: pl.DataFrame, outcome: str
) -> None:
    right = (student["answer"] == student["label"]).fill_null(False)
    unread = student["answer"].is_null()
    expected = {"right": right, "wrong": ~right & ~unread, "unread": unread}[outcome]
    choose(page, outcome=outcome, line="rpe1")
    assert count(page) == (expected & (student["cell_line"] == "rpe1")).sum()
    assert {row[2] for row in rows(page)} == {"rpe1"}


def test_the_pager_turns_to_the_next_rows(page: Page, student: pl.DataFrame) -> None:
    page.click("#after")
    assert rows(page)[0][:3] == [student[name][25] for name in ("pert", "gene", "cell_line")]
    page.click("#before")
    assert page.is_disabled("#before")


def test_the_surest_wrong_answers_come_first_when_asked(page: Page) -> None:
    choose(page, outcome="wrong", order="surest first")
    sure = [max(map(float, row[5].split(" / "))) for row in rows(page)]
    assert sure == sorted(sure, reverse=True)


def test_reasoning_opens_by_keyboard(page: Page, student: pl.DataFrame) -> None:
    page.focus("#rows button")
    page.keyboard.press("Enter")
    page.wait_for_selector("#rows .told")
    told = page.inner_text("#rows .told")
    assert student["reasoning"][0] in told
    assert "<think>…</think>" in told
    assert "gene-prior: " in told
    assert page.get_attribute("#rows button", "aria-expanded") == "true"
    page.keyboard.press("Enter")
    assert page.query_selector("#rows .told") is None


def test_the_first_stop_of_the_keyboard_leads_past_the_menu_and_is_seen(page: Page) -> None:
    page.keyboard.press("Tab")
    focused = page.evaluate("document.activeElement.textContent")
    assert focused == "Skip to the results"
    assert page.evaluate("getComputedStyle(document.activeElement).outlineStyle") == "solid"
    assert page.evaluate("document.activeElement.getBoundingClientRect().left") >= 0


def test_a_printed_page_is_unfolded_and_offers_no_search(page: Page) -> None:
    assert page.eval_on_selector_all("details", "all => all.some(each => !each.open)")
    page.evaluate("window.dispatchEvent(new Event('beforeprint'))")
    page.emulate_media(media="print")
    assert page.eval_on_selector_all("details", "all => all.every(each => each.open)")
    assert not page.is_visible("#filters")
    assert not page.is_visible("text=questions are here")
    assert page.is_visible("text=They can be searched")


def test_headings_go_down_one_level_at_a_time(page: Page) -> None:
    levels = page.eval_on_selector_all(
        "h1, h2, h3, h4", "all => all.map(each => Number(each.tagName[1]))"
    )
    assert levels[0] == 1
    assert levels.count(1) == 1
    assert all(after - before <= 1 for before, after in pairwise(levels))


def test_everything_has_a_name_for_who_cannot_see_it(page: Page) -> None:
    pictures = page.eval_on_selector_all(
        'svg[role="img"]',
        "all => all.map(s => s.getAttribute('aria-labelledby'))"
        ".map(id => document.getElementById(id)?.textContent)",
    )
    assert len(pictures) > 20
    assert all(pictures)
    unnamed = "all => all.filter(e => !e.labels?.length).length"
    assert page.eval_on_selector_all("input, select", unnamed) == 0
    assert page.eval_on_selector_all("table", "all => all.filter(t => !t.caption).length") == 0
    assert page.eval_on_selector_all("th", "all => all.filter(t => !t.scope).length") == 0


def test_no_two_elements_share_an_id(page: Page) -> None:
    ids = page.eval_on_selector_all("[id]", "all => all.map(each => each.id)")
    assert len(ids) == len(set(ids))


@pytest.mark.parametrize("scheme", ["light", "dark"])
def test_every_text_stands_out_from_its_ground(
    browser: Browser, report_path: Path, scheme: str
) -> None:
    opened = open_page(browser, report_path, scheme=scheme)
    opened.eval_on_selector_all("details", "all => all.forEach(each => { each.open = true; })")
    assert opened.evaluate(CONTRAST) == []
    opened.context.close()


def test_the_dark_page_is_dark(browser: Browser, report_path: Path) -> None:
    grounds = []
    for scheme in ("light", "dark"):
        opened = open_page(browser, report_path, scheme=scheme)
        grounds.append(opened.evaluate("getComputedStyle(document.body).backgroundColor"))
        opened.context.close()
    assert grounds == ["rgb(253, 253, 251)", "rgb(20, 23, 26)"]


def test_a_phone_need_not_scroll_sideways(browser: Browser, report_path: Path) -> None:
    phone = open_page(browser, report_path, width=390)
    phone.eval_on_selector_all("details", "all => all.forEach(each => { each.open = true; })")
    assert phone.evaluate("document.documentElement.scrollWidth") == 390
    inside = "all => all.every(box => box.getBoundingClientRect().right <= 390)"
    assert phone.eval_on_selector_all(".scroll", inside)
    phone.context.close()


def test_it_prints_without_the_controls(page: Page) -> None:
    page.emulate_media(media="print")
    assert not page.is_visible("#filters")
    assert page.is_visible("#headline")


def test_the_policy_lets_nothing_else_run(page: Page) -> None:
    policy = page.get_attribute('meta[http-equiv="Content-Security-Policy"]', "content")
    assert policy is not None
    assert policy.startswith("default-src 'none'; style-src 'sha256-")
    assert "unsafe" not in policy
    assert policy == page_module.policy(
        page.inner_html("style"), page.locator("script:not([type])").inner_html()
    )
