"""A recipe of seconds on the bundled sample, and what a run of it leaves."""

from __future__ import annotations

import csv
import os
import subprocess
import sys
from copy import deepcopy
from pathlib import Path
from typing import Any

import yaml

HOME = Path(__file__).resolve().parents[1]
STEPS = 6
_RECIPE: dict[str, Any] = {
    "seed_everything": 0,
    "trainer": {
        "accelerator": "cpu",
        "devices": 1,
        "precision": "32-true",
        "max_steps": STEPS,
        "log_every_n_steps": 1,
        "enable_progress_bar": False,
        "callbacks": [
            {
                "class_path": "callbacks.generative_evaluation.GenerativeEvaluation",
                "init_args": {"every_n_steps": 3, "questions": 12},
            },
            {"class_path": "callbacks.prediction_writer.PredictionWriter"},
            {"class_path": "callbacks.run_facts.RunFacts"},
            {"class_path": "lightning.pytorch.callbacks.LearningRateMonitor"},
            {
                "class_path": "lightning.pytorch.callbacks.ModelCheckpoint",
                "init_args": {
                    "save_last": True,
                    "save_top_k": 0,
                    "every_n_train_steps": 3,
                    "save_on_exception": True,
                },
            },
        ],
    },
    "model": {
        "base": "bases/scratch",
        "prompts": "compact",
        "max_tokens": 64,
        "dtype": "float32",
        "learning_rate": 1e-2,
        "warmup_steps": 2,
        "decoding": {"max_new_tokens": 4, "batch_size": 512},
        "scratch": {
            "hidden_size": 16,
            "layers": 1,
            "heads": 2,
            "intermediate_size": 32,
            "max_positions": 64,
        },
    },
    "data": {
        "class_path": "data_modules.tuples.TupleDataModule",
        "init_args": {"cell_lines": ["k562"], "batch_size": 8, "validation_share": 0.1},
    },
    "watch": {"mode": "disabled"},
}


def recipe() -> dict[str, Any]:
    """A recipe to change."""
    return deepcopy(_RECIPE)


def write(path: Path, settings: dict[str, Any]) -> str:
    """Write a recipe; its path."""
    path.write_text(yaml.safe_dump(settings, sort_keys=False), encoding="utf-8")
    return str(path)


def column(run: Path, name: str) -> list[str]:
    """The logged values of a metric, exactly."""
    with (run / "metrics.csv").open(newline="") as file:
        rows = [row[name] for row in csv.DictReader(file)]
    return [float(value).hex() for value in rows if value]


def environment() -> dict[str, str]:
    """That of a child process: this project, one thread, nothing of this process's run."""
    kept = {name: value for name, value in os.environ.items() if name != "SYNTHPERT_RUN"}
    return {**kept, "PYTHONPATH": str(HOME), "OMP_NUM_THREADS": "1"}


def child(cwd: Path, *args: str) -> subprocess.CompletedProcess[str]:
    """Run `python -m synthpert` in a process of its own."""
    return subprocess.run(
        [sys.executable, "-m", "synthpert", *args],
        capture_output=True,
        text=True,
        cwd=cwd,
        env=environment(),
        timeout=120,
        check=False,
    )
