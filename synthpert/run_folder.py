"""The directory that holds everything of a run: where it lies, and its newest checkpoint."""

from __future__ import annotations

import logging
import os
import time
from collections.abc import Sequence
from pathlib import Path

from synthpert.checkpoints import files as checkpoint_files
from synthpert.errors import InputError

log = logging.getLogger(__name__)

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


def has_checkpoints(run: Path) -> bool:
    """Whether a run has begun: good or damaged, there is a checkpoint."""
    return any(checkpoints(run).glob(f"*{checkpoint_files.SUFFIX}"))


def newest_checkpoint(run: Path) -> Path | None:
    """The good checkpoint written last; of two as young, `last.ckpt`. Damaged ones are announced.

    Raises:
        InputError: If there are checkpoints, and none of them is good.
    """
    found = sorted(
        checkpoints(run).glob(f"*{checkpoint_files.SUFFIX}"),
        key=lambda path: (path.stat().st_mtime, path.stem == "last"),
        reverse=True,
    )
    bad: list[InputError] = []
    for path in found:
        try:
            checkpoint_files.refuse_damaged(path)
        except InputError as error:
            bad.append(error)
            continue
        for each in bad:
            log.warning("%s: going back to %s", each, path.name)
        return path
    if bad:
        raise InputError(f"no good checkpoint among {len(bad)}: {bad[0]}", file=run)
    return None
