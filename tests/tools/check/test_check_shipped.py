"""Every shipped configuration is well-formed: each as it is used."""

from __future__ import annotations

from pathlib import Path

import polars as pl
import pytest
from repository import ROOT

from synthpert.questions import read_questions, split_questions
from synthpert.traces import write_traces
from tools.check import check
from tools.check.draft import Draft

CONFIGS = ROOT / "configs"
EVERY = sorted(CONFIGS.rglob("*.yaml"))
OVERLAYS = [file for file in EVERY if file.read_text().startswith("# Overlay")]
ALONE = [file for file in EVERY if file not in OVERLAYS]


@pytest.fixture(scope="module")
def traces(tmp_path_factory: pytest.TempPathFactory) -> str:
    """Traces of the bundled sample's train split."""
    train, _ = split_questions(read_questions())
    told = pl.concat_str([pl.col("pert"), pl.col("gene")], separator=" acts on ")
    table = train.head(50).select("cell_line", "pert", "gene", "label")
    file = tmp_path_factory.mktemp("traces") / "traces.parquet"
    made = table.with_columns(answer="label", reasoning=told, grade=pl.lit("excellent"))
    write_traces(made, file)
    return str(file)


@pytest.fixture(autouse=True)
def _there(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("HF_HUB_OFFLINE", "0")


def flags(file: Path, traces: str) -> list[str]:
    return ["--data.init_args.traces", traces] if "TraceDataModule" in file.read_text() else []


def test_every_shipped_yaml_is_looked_at() -> None:
    assert (len(ALONE), len(OVERLAYS)) == (15, 10)
    assert len(ALONE) + len(OVERLAYS) == len(EVERY)


@pytest.mark.parametrize("file", ALONE, ids=lambda file: file.stem)
def test_a_shipped_file_is_well_formed(file: Path, traces: str) -> None:
    told = check(Draft([file], flags(file, traces)))
    assert told.lines() == []
    assert told.facts


@pytest.mark.parametrize("file", OVERLAYS, ids=lambda file: file.stem)
def test_a_shipped_overlay_is_well_formed_over_a_recipe(file: Path, traces: str) -> None:
    tiny = CONFIGS / "tiny.yaml"
    more = ["--data.init_args.test_traces", "drop"]
    told = check(Draft([tiny, file], [*flags(tiny, traces), *more])).lines()
    # The fifty traces are of k562 alone: held out, none of them is left to train on.
    assert [line for line in told if "k562_held_out" not in str(file)] == []


@pytest.mark.parametrize("file", OVERLAYS, ids=lambda file: file.stem)
def test_a_shipped_overlay_by_itself_is_no_recipe(file: Path) -> None:
    (line,) = check(Draft([file], [])).lines()
    assert line.startswith(f"{file}: an overlay, which is no recipe by itself")
