"""The student of a run at one of its checkpoints: what was trained, checked to be its."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

from synthpert.errors import InputError
from tools.building import build

if TYPE_CHECKING:
    from torch import Tensor

    from synthpert.student import Student
    from tools.building import Built


@dataclass(frozen=True)
class Trained:
    """A run's student at a checkpoint.

    Attributes:
        run: The run's folder.
        built: What its recipe describes; the student holds the trained weights.
        weights: The trained weights, by their names in the student's network.
        checkpoint: The file.
        step: Optimiser steps that were taken.
        epoch: Epochs that were begun before.
    """

    run: Path
    built: Built
    weights: dict[str, Tensor]
    checkpoint: Path
    step: int
    epoch: int

    @property
    def student(self) -> Student:
        """The student."""
        return self.built.student


def load_trained(run: Path, asked: str, base: str | None, words: Sequence[str]) -> Trained:
    """Build the student of a run and give it what a checkpoint holds.

    Args:
        run: Its folder, with `config.yaml` and `checkpoints/`.
        asked: A checkpoint, or `last` for the newest good one.
        base: Where the base lies now; None for where the recipe says.
        words: More of `fit`'s command line, such as `--import-from`.

    Raises:
        InputError: If there is no run, no good checkpoint, or it is another student's.
    """
    recipe = run / "config.yaml"
    if not recipe.is_file():
        raise InputError("no run", file=run, expected="the folder of a fit, with config.yaml")
    path = _checkpoint(run, asked)
    from synthpert.checkpoints import files as checkpoint_files

    checkpoint: dict[str, Any] = checkpoint_files.load(path)
    if not isinstance(checkpoint, dict) or "state_dict" not in checkpoint:
        raise InputError("this is no checkpoint of a student", file=path)
    built = build(["--config", str(recipe), *words], base)
    student = built.student
    student.configure_model()
    # Refuses the checkpoint of another base, other adapters, or with a weight missing.
    student.on_load_checkpoint(checkpoint)
    student.load_state_dict(checkpoint["state_dict"], strict=False)
    assert student.network is not None
    student.network.eval()
    weights = {
        name.removeprefix("network."): weight for name, weight in checkpoint["state_dict"].items()
    }
    steps, epochs = int(checkpoint.get("global_step", 0)), int(checkpoint.get("epoch", 0))
    return Trained(run, built, weights, path, steps, epochs)


def _checkpoint(run: Path, asked: str) -> Path:
    from synthpert import run_folder

    if asked != "last":
        if not Path(asked).exists():
            raise InputError("no such checkpoint", file=asked)
        return Path(asked)
    newest = run_folder.newest_checkpoint(run)
    if newest is None:
        raise InputError("the run has no checkpoint", file=run)
    return newest
