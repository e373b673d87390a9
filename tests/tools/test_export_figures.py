"""The figures of a run, for its card and its page."""

from __future__ import annotations

import json
from pathlib import Path
from types import SimpleNamespace

from tools.export.figures import logged, scores


def trained(run: Path) -> SimpleNamespace:
    data = SimpleNamespace(data=None, cell_lines=None, split="default")
    return SimpleNamespace(run=run, built=SimpleNamespace(data=data))


def test_the_last_value_of_a_metric_comes_with_its_step(tmp_path: Path) -> None:
    (tmp_path / "metrics.csv").write_text("step,train_loss,val_loss\n1,3.0,\n2,2.0,\n2,,2.5\n")
    found = logged(tmp_path / "metrics.csv")
    assert found == [("train_loss", "2", 2.0), ("val_loss", "2", 2.5)]


def test_a_run_without_a_log_or_predictions_has_no_figures(tmp_path: Path) -> None:
    assert logged(tmp_path / "metrics.csv") == []
    assert scores(trained(tmp_path))[1] == []  # type: ignore[arg-type]


def test_a_broken_score_file_gives_no_figures(tmp_path: Path) -> None:
    (tmp_path / "score.json").write_text(json.dumps({"files": {"a": {}}}))
    assert scores(trained(tmp_path)) == ("", [])  # type: ignore[arg-type]
