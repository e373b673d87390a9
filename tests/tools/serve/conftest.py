"""A tiny trained run, its page, and a real browser that looks at it."""

from __future__ import annotations

import os
import shutil
from argparse import Namespace
from collections.abc import Iterator
from pathlib import Path

import pytest
from cli_recipe import recipe, write
from playwright.sync_api import Browser, sync_playwright
from serve_pages import served, write_hostile_traces
from tiny import tiny_base, write_benchmark

from synthpert.__main__ import main
from tools.serve.desk import Desk
from tools.serve.opening import open_page
from tools.serve.page import Page

STEPS = 30
KNOWLEDGE = "\n".join(
    (
        "SMALL\t\tP3\tT0\tG1",
        "MIDDLE\t\tP0\tP1\tP2\tT0\tG0",
        "LARGE\t\tP4\tP5\tP6\tP7\tP8\tP9\tP10\tP11\tT1\tT2",
    )
)


@pytest.fixture(scope="session")
def lab(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder with a run of adapters on a tiny base, a benchmark, knowledge and hostile traces."""
    folder = tmp_path_factory.mktemp("serve")
    write_benchmark(folder / "data")
    (folder / "knowledge").mkdir()
    (folder / "knowledge" / "sets.gmt").write_text(KNOWLEDGE)
    write_hostile_traces(folder / "traces.parquet")
    settings = recipe()
    del settings["model"]["scratch"]
    lora = {"r": 4, "alpha": 8, "dropout": 0.1}
    settings["model"] |= {"base": "base", "max_tokens": 256, "learning_rate": 0.02, "lora": lora}
    settings["model"]["decoding"] = {"max_new_tokens": 24, "batch_size": 64}
    settings["data"]["init_args"]["data"] = "data"
    # Enough to learn to write an answer, and nothing besides.
    settings["trainer"]["max_steps"] = STEPS
    settings["trainer"]["callbacks"] = settings["trainer"]["callbacks"][-1:]
    settings["trainer"]["callbacks"][0]["init_args"]["every_n_train_steps"] = STEPS
    before = Path.cwd()
    os.chdir(folder)
    tiny_base(Path("base"))
    try:
        assert main(["fit", "--config", write(Path("run.yaml"), settings), "--run", "run"]) == 0
    finally:
        os.chdir(before)
    return folder


@pytest.fixture(autouse=True)
def _there(lab: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(lab)


def flags(**changed: object) -> Namespace:
    """The flags of `serve` for the run of the lab."""
    known: dict[str, object] = {
        "run": Path("run"),
        "ckpt": "last",
        "base": None,
        "data": None,
        "split": None,
        "traces": Path("traces.parquet"),
        "knowledge": Path("knowledge"),
        "device": "cpu",
    }
    return Namespace(**{**known, **changed})


@pytest.fixture(scope="session")
def opened(lab: Path) -> Page:
    """The page of the run, not served."""
    with pytest.MonkeyPatch.context() as patch:
        patch.chdir(lab)
        return open_page(flags(), [])


@pytest.fixture
def desk(opened: Page) -> Desk:
    """What stands behind the page."""
    return opened.desk


@pytest.fixture(scope="module")
def address(opened: Page) -> Iterator[str]:
    """Where the page is served."""
    with served(opened) as place:
        yield place


@pytest.fixture(scope="module")
def browser() -> Iterator[Browser]:
    """Chromium, headless; closed after the module, since it keeps an event loop running."""
    path = shutil.which("chromium")
    if path is None:
        pytest.fail("the page is tested in a browser: apt-get install chromium")
    with sync_playwright() as playwright:
        chromium = playwright.chromium.launch(executable_path=path, args=["--no-sandbox"])
        yield chromium
        chromium.close()
