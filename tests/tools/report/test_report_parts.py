"""The parts of a page: tables, sentences, methods, runs, traces, checksums."""

from __future__ import annotations

import hashlib
import json
from pathlib import Path

import polars as pl
import pytest

from synthpert.errors import InputError
from synthpert.questions import LABELS
from synthpert.traces import write_traces
from tools.report import findings, methods, provenance
from tools.report.tables import (
    DASH,
    Figure,
    cell,
    figure_cell,
    marks,
    plain_number,
    plain_table,
    read_figure,
)
from tools.report.teaching import read_teaching
from tools.report.training import read_run
from tools.traces.journal import Journal


def test_a_figure_is_read_with_and_without_its_interval() -> None:
    assert read_figure({"value": 0.5, "low": 0.4, "high": 0.6}).interval == "0.400–0.600"
    assert read_figure(0.5) == Figure(0.5)
    assert str(read_figure(None)) == DASH
    assert read_figure(float("nan")).value is None


def test_a_minus_is_no_dash_and_nought_has_no_sign() -> None:
    assert Figure(-0.023, -0.071, 0.025).interval == "−0.071 to 0.025"
    shown = [plain_number(each, signed=True) for each in (0.1, -0.1, -0.0004, 0.0004)]
    assert shown == ["+0.100", "−0.100", "0.000", "0.000"]


def test_values_are_shown_for_reading() -> None:
    shown = [cell(each).text for each in (12345, 0.12349, None, "x", float("nan"), True)]
    assert shown == ["12,345", "0.123", DASH, "x", DASH, "True"]
    assert cell(Figure(0.5, 0.4, 0.6)) == figure_cell(Figure(0.5, 0.4, 0.6))
    assert plain_table("t", ["a"], [[1]]).rows[0].cells[0].number


def test_marks_share_one_strip() -> None:
    low, missing, high = marks([Figure(0.2, 0.1, 0.3), Figure(None), Figure(0.9, 0.8, 1.0)])
    assert missing is None
    assert low is not None
    assert high is not None
    assert low.low == 4.0
    assert high.high == 116.0
    assert low.low < low.x < low.high < high.low


def test_equal_figures_have_marks_too() -> None:
    assert all(mark is not None for mark in marks([Figure(0.5), Figure(0.5)]))


@pytest.mark.parametrize(
    ("difference", "told"),
    [
        ({"difference": 0.1, "low": 0.05, "high": 0.2}, "(+0.050 to +0.200)"),
        ({"difference": 0.1, "low": -0.05, "high": 0.2}, "which may be none"),
        ({"difference": 0.1, "low": None, "high": None}, ": a difference of +0.100"),
        ({"difference": None}, ""),
    ],
)
def test_a_difference_is_told_with_its_doubt(difference: dict[str, float], told: str) -> None:
    assert findings._stands(difference).endswith(told)


def test_every_headline_metric_names_its_protocol() -> None:
    for metric in (*findings.HEADLINE, *findings.MORE):
        if metric.group.endswith("auroc"):
            named = ("per gene (PerturbQA, official)", "pooled (not official)", "per perturbation")
            assert metric.title.endswith(named)


def test_a_held_out_line_is_told() -> None:
    assert methods.split_name("held_out:rpe1").startswith("rpe1 held out")
    assert "own split" in methods.split_name("default")
    assert methods.intervals(0) == "Intervals were switched off."


def test_a_file_is_told_by_its_checksum_and_without_its_path(tmp_path: Path) -> None:
    (tmp_path / "p.csv").write_bytes(b"abc")
    told = provenance.describe("predictions", [tmp_path / "p.csv"])[0]
    assert told.sha256 == hashlib.sha256(b"abc").hexdigest()
    assert told.name == f"{tmp_path.name}/p.csv"
    assert provenance.versions()["synthpert"]
    assert provenance.benchmark_files(tmp_path, ["k562"]) == []


def test_knowledge_that_nothing_rests_on_is_no_input(tmp_path: Path) -> None:
    assert provenance.files_of_knowledge(str(tmp_path), used=False) == []
    with pytest.raises(InputError):
        provenance.files_of_knowledge(str(tmp_path), used=True)


def run_folder(folder: Path, text: str, config: str | None = None) -> Path:
    (folder / "metrics.csv").write_text(text)
    if config is not None:
        (folder / "config.yaml").write_text(config)
    return folder


def test_a_step_taken_twice_counts_the_last_time(tmp_path: Path) -> None:
    run = read_run(run_folder(tmp_path, "step,train_loss\n0,3.0\n1,2.0\n1,1.5\n2,\n"))
    line = run.panels["Loss per token"][0]
    assert line.steps == [0, 1]
    assert line.values == [3.0, 1.5]
    assert run.settings == {"optimiser steps": "3"}


def test_the_settings_of_a_run_hold_no_secret(tmp_path: Path) -> None:
    config = "model: {base: tiny, lora: {r: 8, api_key: sk-aaaaaaaaaaaaaaaaaaaaaaaa}}\n"
    run = read_run(run_folder(tmp_path, "step,train_loss\n0,1.0\n", config))
    assert run.settings["base model"] == "tiny"
    assert "sk-" not in run.settings["LoRA"]


@pytest.mark.parametrize("text", ["step,other\n0,1\n", "step,train_loss\n0,nan\n"])
def test_a_run_that_measured_nothing_is_refused(tmp_path: Path, text: str) -> None:
    with pytest.raises(InputError, match="nothing was measured"):
        read_run(run_folder(tmp_path, text))


def test_a_broken_config_is_refused(tmp_path: Path) -> None:
    with pytest.raises(InputError, match=r"config\.yaml: unreadable YAML"):
        read_run(run_folder(tmp_path, "step,train_loss\n0,1.0\n", "a: [1\n"))


def test_traces_tell_who_made_them(tmp_path: Path) -> None:
    traces = pl.DataFrame(
        {
            **{"cell_line": ["k562"], "pert": ["A"], "gene": ["B"], "label": [LABELS[1].value]},
            **{"reasoning": ["x"], "answer": [LABELS[1].value], "teacher": ["t"]},
        }
    )
    write_traces(traces, tmp_path / "traces.parquet")
    told = read_teaching(tmp_path / "traces.parquet")
    assert told.kept == [("k562", LABELS[1].value, 1)]
    assert told.made_by == {"teacher": "t"}
    assert told.spent is None


def test_a_journal_tells_what_was_spent(tmp_path: Path) -> None:
    path = tmp_path / "journal.sqlite"
    Journal(path, write=True).close()
    told = read_teaching(path)
    assert told.spent == 0
    assert told.attempts == []
    assert told.rule == "grades kept: excellent; critics: 1"


@pytest.mark.parametrize("text", ["[1]", "{", '{"attempts": []}'])
def test_another_json_is_refused(tmp_path: Path, text: str) -> None:
    (tmp_path / "status.json").write_text(text)
    with pytest.raises(InputError, match=r"status\.json: unreadable"):
        read_teaching(tmp_path / "status.json")


def test_another_kind_of_file_is_no_trace(tmp_path: Path) -> None:
    (tmp_path / "traces.txt").write_text(json.dumps({}))
    with pytest.raises(InputError, match="neither traces nor a journal"):
        read_teaching(tmp_path / "traces.txt")
