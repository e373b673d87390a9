"""The benchmark of training on a GPU, end to end at a shape that any machine trains."""

from __future__ import annotations

import json
import subprocess
import sys
from typing import Any

import pytest
from cli_recipe import HOME, environment

OURS = ("padded, all logits, full checkpointing", "+ no checkpointing: the default")
ABSENT = "unsloth, default"


@pytest.fixture(scope="module")
def measured(tmp_path_factory: pytest.TempPathFactory) -> tuple[str, dict[str, Any]]:
    """The table and the raw figures of two ways of ours, and of one that is not installed."""
    figures = tmp_path_factory.mktemp("gpu") / "figures.json"
    command = [sys.executable, str(HOME / "benchmarks" / "gpu_training.py"), "--shape", "tiny"]
    command += ["--steps", "2", "--json", str(figures), "--ways", *OURS, ABSENT]
    told = subprocess.run(command, capture_output=True, text=True, env=environment(), check=False)
    assert told.returncode == 0, told.stderr
    return told.stdout, json.loads(figures.read_text())


@pytest.mark.slow
@pytest.mark.parametrize("way", OURS)
def test_a_way_of_ours_is_measured(measured: tuple[str, dict[str, Any]], way: str) -> None:
    row = measured[1]["ways"][way]
    assert row["status"] == "ok", row
    assert row["steps"] == 2
    assert row["tokens_per_second"] > row["supervised_per_second"] > 0
    assert row["matmul_flops"] > 0


@pytest.mark.slow
def test_a_way_that_is_not_installed_is_a_row_that_says_so(
    measured: tuple[str, dict[str, Any]],
) -> None:
    assert "not installed: " in measured[1]["ways"][ABSENT]["status"]


@pytest.mark.slow
def test_the_table_has_a_row_a_way_and_the_matrix_product(
    measured: tuple[str, dict[str, Any]],
) -> None:
    lines = measured[0].splitlines()
    assert [line.split(" | ")[0].strip("| ") for line in lines[2:5]] == [*OURS, ABSENT]
    assert "TFLOP/s" in lines[-1]
