"""A real browser, and a page made from the bundled sample with reasoning, a run and traces."""

from __future__ import annotations

import json
import shutil
from collections.abc import Iterator
from pathlib import Path

import numpy as np
import polars as pl
import pytest
from browsing import open_page
from playwright.sync_api import Browser, Page, sync_playwright

from synthpert.predictions import most_probable, write_predictions
from synthpert.questions import read_questions, split_questions
from tools.baseline import answer
from tools.report import main

SAMPLE = Path(__file__).parents[3] / "synthpert" / "sample"
METRICS = """step,train_loss,val_loss,eval_accuracy,eval_majority_accuracy,lr-AdamW
0,2.5,,,,0.001
10,1.5,1.6,,,0.001
20,1.0,1.2,0.7,0.86,0.0005
20,0.9,1.2,0.8,0.86,0.0005
"""
STATUS = {
    "attempts": [
        {
            **{"role": "teacher", "model": "offline/template", "state": "answered"},
            **{"attempts": 12, "prompt_tokens": 100, "completion_tokens": 50},
            **{"cost": 1.25, "no_price": 0},
        }
    ],
    "spent": 1.25,
    "kept": {"grades": ["excellent"], "least_words": 20, "critics": 1},
    "funnel": {"stages": {"sent": 12, "replied": 11, "kept": 7}, "rejected": {"refused": 1}},
}


@pytest.fixture(scope="module")
def browser() -> Iterator[Browser]:
    """Chromium, headless; closed after the module, since it keeps an event loop running."""
    path = shutil.which("chromium")
    if path is None:
        pytest.fail("the report is tested in a browser: apt-get install chromium")
    with sync_playwright() as playwright:
        chromium = playwright.chromium.launch(executable_path=path, args=["--no-sandbox"])
        yield chromium
        chromium.close()


@pytest.fixture(scope="session")
def student() -> pl.DataFrame:
    """A system of the sample: better than the gene prior, with reasoning, some answers unread."""
    train, test = split_questions(read_questions(SAMPLE))
    prior = answer("gene-prior", train, test)
    rng = np.random.default_rng(0)
    p = prior.select("p_not_de", "p_up", "p_down").to_numpy()
    p = p + 0.5 * np.eye(3)[prior["label"].to_physical().to_numpy()] * rng.random((len(p), 1))
    p /= p.sum(axis=1, keepdims=True)
    table = prior.with_columns(p_not_de=p[:, 0], p_up=p[:, 1], p_down=p[:, 2])
    unread = pl.Series(rng.random(len(p)) < 0.02)
    return table.with_columns(
        answer=pl.when(unread).then(None).otherwise(most_probable(table)),
        reasoning="Losing " + pl.col("pert") + " changes " + pl.col("gene") + ".",
        response=pl.lit("<think>…</think>"),
        model=pl.lit("student"),
    )


@pytest.fixture(scope="session")
def report_path(student: pl.DataFrame, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The page."""
    folder = tmp_path_factory.mktemp("report")
    write_predictions(student, folder / "student.parquet")
    run = folder / "run"
    run.mkdir()
    (run / "metrics.csv").write_text(METRICS)
    (run / "config.yaml").write_text("model: {base: tiny, learning_rate: 0.001}\n")
    (folder / "status.json").write_text(json.dumps(STATUS))
    out = folder / "report.html"
    args = [folder / "student.parquet", "--data", SAMPLE, "--rounds", "20", "--run", run]
    assert main([*map(str, args), "--traces", str(folder / "status.json"), "--out", str(out)]) == 0
    return out


@pytest.fixture
def page(browser: Browser, report_path: Path) -> Iterator[Page]:
    """The page, opened."""
    opened = open_page(browser, report_path)
    yield opened
    opened.context.close()
