"""The directory that holds everything of a run: where it lies, and its newest checkpoint."""

from __future__ import annotations

import os
import time
import zipfile
from collections.abc import Sequence
from pathlib import Path

from synthpert.errors import InputError

# Launched ranks run the command again and must find the directory that the first one chose.
VARIABLE = "SYNTHPERT_RUN"


def choose(asked: str | None, configs: Sequence[object]) -> Path:
    """Choose the directory of this run.

    Args:
        asked: What `--run` says.
        configs: The YAMLs; a new directory is named after the first.

    Raises:
        InputError: If it is a file, or if processes that do not know of each other would each
            choose their own.
    """
    given = asked or os.environ.get(VARIABLE)
    if given:
        if Path(given).exists() and not Path(given).is_dir():
            raise InputError("this is a file", file="--run", got=given, expected="a directory")
        return Path(given)
    ranks = os.environ.get("WORLD_SIZE") or os.environ.get("SLURM_NTASKS") or "1"
    if int(ranks) > 1:
        raise InputError(
            "processes that were started apart need one directory", file="--run", expected="DIR"
        )
    name = Path(str(configs[0])).stem
    return Path("runs") / f"{name}-{time.strftime('%Y%m%d-%H%M%S')}"


def checkpoints(run: Path) -> Path:
    """Where a run's checkpoints lie, as an absolute path."""
    return (run / "checkpoints").absolute()


def newest_checkpoint(run: Path) -> Path | None:
    """The whole checkpoint written last; of two as young, `last.ckpt`."""
    whole = [path for path in checkpoints(run).glob("*.ckpt") if is_whole(path)]
    return max(whole, key=lambda path: (path.stat().st_mtime, path.stem == "last"), default=None)


def is_whole(checkpoint: Path) -> bool:
    """Whether a checkpoint was written to its end: a zip's directory is its last part."""
    return checkpoint.is_dir() or zipfile.is_zipfile(checkpoint)
