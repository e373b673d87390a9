"""The training curves and the settings of a run, from its folder."""

from __future__ import annotations

import csv
import math
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final, NamedTuple

from synthpert.errors import InputError
from synthpert.redaction import redact
from synthpert.tables import check_file

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

PANELS: Final = {
    "Loss per token": {"train_loss": "train", "val_loss": "validation"},
    "Accuracy of generated answers": {
        "eval_accuracy": "student",
        "eval_majority_accuracy": "majority class",
    },
    "Macro-F1 of generated answers": {"eval_macro_f1": "student"},
    "Share of answers that could be read": {"eval_parse_rate": "student"},
    "Learning rate": {"lr-AdamW": "learning rate"},
    "Gradient norm": {"grad_norm": "gradient norm"},
}
"""Panel to the columns of metrics.csv drawn in it, and their names."""
SHARES: Final = ("Share of answers that could be read",)
"""Panels that are drawn from 0 to 1."""

_SETTINGS: Final = {
    "base model": ("model", "base"),
    "prompts": ("model", "prompts"),
    "learning rate": ("model", "learning_rate"),
    "LoRA": ("model", "lora"),
    "loss": ("model", "loss"),
    "data": ("data", "class_path"),
    "epochs": ("trainer", "max_epochs"),
    "precision": ("trainer", "precision"),
    "seed": ("seed_everything",),
}
_TOTALS: Final = {
    "tokens_per_second": "tokens a second (median)",
    "peak_memory_gb": "peak memory, GB",
}


class Line(NamedTuple):
    """One measured quantity.

    Attributes:
        name: As in `PANELS`.
        steps: Optimiser steps.
        values: As many.
    """

    name: str
    steps: list[float]
    values: list[float]


@dataclass(frozen=True)
class Run:
    """What a run's folder tells.

    Attributes:
        name: The folder's name.
        files: Those that were read.
        panels: Title to its lines; no line is empty.
        settings: Setting to its value, as text, without secrets.
    """

    name: str
    files: list[Path]
    panels: dict[str, list[Line]]
    settings: dict[str, str]


def read_run(folder: Path) -> Run:
    """Read metrics.csv, and config.yaml where it is there.

    Args:
        folder: A run's folder.

    Raises:
        InputError: If there is no metrics.csv or one of the two is unreadable.
    """
    path = folder / "metrics.csv"
    check_file(path)
    try:
        with path.open(newline="", encoding="utf-8") as file:
            rows = list(csv.DictReader(file))
    except (UnicodeDecodeError, csv.Error) as error:
        raise InputError(f"unreadable table: {error}", file=path) from None
    panels = {
        title: [line for column, name in columns.items() if (line := _line(name, column, rows))]
        for title, columns in PANELS.items()
    }
    told = {title: lines for title, lines in panels.items() if lines}
    if not told:
        raise InputError("nothing was measured", file=path, expected="a column train_loss")
    config = folder / "config.yaml"
    settings = _settings(config) if config.is_file() else {}
    files = [path, *([config] if config.is_file() else [])]
    return Run(folder.resolve().name, files, told, settings | _totals(rows))


def _line(name: str, column: str, rows: Sequence[Mapping[str, str]]) -> Line | None:
    """The rows in which a column has a number; a step that was taken twice counts the last time."""
    found: dict[float, float] = {}
    for row in rows:
        step, value = _number(row.get("step")), _number(row.get(column))
        if step is not None and value is not None:
            found[step] = value
    steps = sorted(found)
    return Line(name, steps, [found[step] for step in steps]) if steps else None


def _number(text: str | None) -> float | None:
    try:
        value = float(text or "")
    except ValueError:
        return None
    return value if math.isfinite(value) else None


def _totals(rows: Sequence[Mapping[str, str]]) -> dict[str, str]:
    told = {}
    for column, name in _TOTALS.items():
        values = sorted(v for row in rows if (v := _number(row.get(column))) is not None)
        if values:
            value = values[-1] if column.startswith("peak") else values[len(values) // 2]
            told[name] = f"{value:,.0f}" if value >= 100 else f"{value:.2f}"
    steps = [v for row in rows if (v := _number(row.get("step"))) is not None]
    return {"optimiser steps": f"{max(steps) + 1:,.0f}", **told} if steps else told


def _settings(path: Path) -> dict[str, str]:
    """The settings a reader asks for first, without secrets."""
    import yaml

    try:
        config = yaml.safe_load(path.read_text(encoding="utf-8"))
    except (yaml.YAMLError, UnicodeDecodeError) as error:
        raise InputError(f"unreadable YAML: {str(error).splitlines()[0]}", file=path) from None
    config = redact(config) if isinstance(config, dict) else {}
    told = {}
    for name, keys in _SETTINGS.items():
        value: Any = config
        for key in keys:
            value = value.get(key) if isinstance(value, dict) else None
        if value is not None:
            told[name] = _plain(value)
    return told


def _plain(value: Any) -> str:  # noqa: ANN401 - any YAML value
    if isinstance(value, dict):
        return ", ".join(f"{key} {_plain(inner)}" for key, inner in value.items())
    if isinstance(value, list):
        return ", ".join(map(_plain, value))
    return str(value)
