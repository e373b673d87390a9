"""Losses, callbacks and data modules of one's own, from a folder outside the project."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest
from cli_recipe import column, environment, recipe, write

from synthpert.__main__ import main

PACKAGE = {
    "__init__.py": "",
    "losses.py": '''
from torch import Tensor
from torch.nn.functional import cross_entropy

from synthpert.losses import Supervised, TokenLoss


class Times(TokenLoss):
    """A multiple of the cross entropy.

    Args:
        times: How often.
    """

    def __init__(self, times: float = 2.0) -> None:
        super().__init__()
        self.times = times

    def forward(self, logits: Tensor, supervised: Supervised) -> Tensor:
        return self.times * cross_entropy(logits, supervised.targets, reduction="none")
''',
    "callbacks.py": '''
from pathlib import Path

import lightning as L


class Diary(L.Callback):
    """Writes the steps into a file."""

    def __init__(self, path: str) -> None:
        self.path = path

    def on_train_batch_end(self, trainer, *rest) -> None:
        with Path(self.path).open("a") as file:
            file.write(f"{trainer.global_step}\\n")
''',
    "data.py": '''
import polars as pl

from data_modules.tuples import TupleDataModule


class Few(TupleDataModule):
    """The first train questions.

    Args:
        count: How many.
        options: As `TupleDataModule`.
    """

    def __init__(self, count: int, **options) -> None:
        super().__init__(**options)
        self.count = count

    def rows(self, train: pl.DataFrame, test: pl.DataFrame) -> pl.DataFrame:
        return super().rows(train, test).head(self.count)
''',
}


@pytest.fixture
def lab(tmp_path: Path) -> Path:
    """A folder of the user's with a package `mylab` and a recipe that names its classes."""
    (tmp_path / "mylab").mkdir()
    for name, text in PACKAGE.items():
        (tmp_path / "mylab" / name).write_text(text)
    settings: dict[str, Any] = recipe()
    settings["model"]["loss"] = {"class_path": "mylab.losses.Times", "init_args": {"times": 3.0}}
    settings["trainer"]["callbacks"].append(
        {"class_path": "mylab.callbacks.Diary", "init_args": {"path": "diary.txt"}}
    )
    settings["data"]["class_path"] = "mylab.data.Few"
    settings["data"]["init_args"]["count"] = 200
    write(tmp_path / "recipe.yaml", settings)
    return tmp_path


def synthpert(cwd: Path, *args: str) -> subprocess.CompletedProcess[str]:
    """The installed command, which does not look for packages in the working directory."""
    return subprocess.run(
        [str(Path(sys.executable).with_name("synthpert")), *args],
        capture_output=True,
        text=True,
        cwd=cwd,
        env=environment(),
        timeout=120,
        check=False,
    )


def test_a_package_of_ones_own_is_used_where_it_is_let_in(
    lab: Path, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    fit = ["fit", "--config", "recipe.yaml", "--run", "runs/a", "--import-from", "mylab"]
    done = synthpert(lab, *fit)
    assert done.returncode == 0, done.stderr
    assert (lab / "diary.txt").read_text().split() == [str(step) for step in range(1, 7)]
    first = float.fromhex(column(lab / "runs/a", "train_loss")[0])
    monkeypatch.chdir(lab)
    monkeypatch.setattr(sys, "path", [*sys.path])
    plain = ["--model.loss", "synthpert.losses.CrossEntropy", "--trainer.max_steps", "1"]
    again = ["fit", "--config", "recipe.yaml", "--run", "runs/b", "--import-from=mylab"]
    assert main([*again, *plain]) == 0
    assert first == pytest.approx(3 * float.fromhex(column(lab / "runs/b", "train_loss")[0]), 1e-5)
    assert "161 examples to train on" in caplog.text


def test_a_package_of_ones_own_is_refused_where_it_is_not_let_in(lab: Path) -> None:
    (lab / "mylab" / "__init__.py").write_text("open('imported', 'w').close()\n")
    done = synthpert(lab, "fit", "--config", "recipe.yaml", "--run", "runs/a")
    assert done.returncode == 2
    assert len(done.stderr.splitlines()) == 1
    assert "--import-from" in done.stderr
    assert not (lab / "imported").exists()
