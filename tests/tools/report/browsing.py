"""Opening a page in a real browser, and reading what it shows."""

from __future__ import annotations

from pathlib import Path

from playwright.sync_api import Browser, Dialog, Page


def open_page(browser: Browser, path: Path, width: int = 1280, scheme: str = "light") -> Page:
    """Open a page, wait until its browser of predictions is there, and note what it asked for."""
    context = browser.new_context(
        viewport={"width": width, "height": 900},
        color_scheme=scheme,  # type: ignore[arg-type]
    )
    page = context.new_page()
    page.set_default_timeout(60_000)
    page.asked = []  # type: ignore[attr-defined]
    page.said = []  # type: ignore[attr-defined]
    page.on("request", lambda request: page.asked.append(request.url))  # type: ignore[attr-defined]
    page.on("console", lambda message: page.said.append(message.text))  # type: ignore[attr-defined]
    page.on("pageerror", lambda error: page.said.append(str(error)))  # type: ignore[attr-defined]
    page.on("dialog", lambda dialog: _dismiss(page, dialog))
    page.goto(path.as_uri())
    page.wait_for_selector("#browser[data-ready]")
    return page


def _dismiss(page: Page, dialog: Dialog) -> None:
    page.said.append(dialog.message)  # type: ignore[attr-defined]
    dialog.dismiss()


def rows(page: Page) -> list[list[str]]:
    """The cells of the rows shown."""
    return page.eval_on_selector_all(
        "#rows > tr:not(.detail)", "trs => trs.map(tr => [...tr.cells].map(td => td.textContent))"
    )


def count(page: Page) -> int:
    """How many predictions the filters leave."""
    text = page.inner_text("#count").removesuffix(" predictions")
    return int(text.split(" of ")[-1].replace(",", ""))


def choose(page: Page, **options: str) -> None:
    """Choose options by their labels."""
    for name, label in options.items():
        page.select_option(f"#{name}", label=label)
