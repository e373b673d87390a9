"""What is said before a screen begins: how much there is, how it is answered, what it may take."""

from __future__ import annotations

import io
import shutil
import time
from pathlib import Path
from typing import Any, NamedTuple

import lightning as L
import polars as pl

from synthpert.screening.pace import spell_rate, spell_size, spell_time

# Fewer questions than this many trials are answered sooner than estimated.
_FEW = 4


class Tried(NamedTuple):
    """What a few questions took, each.

    Args:
        seconds: Of one process.
        size: Bytes in a part.
    """

    seconds: float
    size: float


def several(count: int) -> str:
    """So many parts, as one says it."""
    return f"{count:,} part{'' if count == 1 else 's'}"


def how(student: L.LightningModule, trainer: L.Trainer) -> str:
    """How questions are answered: mode, engine, and processes if there are several."""
    mode = getattr(getattr(student, "decoding", None), "mode", "-")
    ranks = f", {trainer.world_size} processes" if trainer.world_size > 1 else ""
    return f"mode {mode}, engine {getattr(student, 'engine_name', '-')}{ranks}"


def try_out(
    student: L.LightningModule,
    questions: pl.DataFrame | None,
    left: int,
    batch_size: int,
    trainer: L.Trainer,
) -> Tried | None:
    """Answer a few questions, as many as stand side by side, and throw the answers away.

    Args:
        student: What answers, in evaluation mode.
        questions: The first part's; None where there is none.
        left: How many are to be answered in all.
        batch_size: Questions of a batch.
        trainer: The trainer.

    Returns:
        What each of them took; None where there are so few that the answers are there as soon.
    """
    if questions is None:
        return None
    side_by_side = getattr(getattr(student, "decoding", None), "batch_size", batch_size)
    known = [x for x in ("cell_line", "pert", "gene", "label") if x in questions.columns]
    some = questions.select(known).head(min(side_by_side, batch_size))
    if left < _FEW * some.height:
        return None
    with trainer.precision_plugin.predict_step_context():
        # The first call of all pays for what is loaded and compiled once.
        _answers(student, some.head(1))
        started = time.perf_counter()
        found = _answers(student, some)
        seconds = time.perf_counter() - started
    empty, full = (_size(table) for table in (found.head(0), found))
    return Tried(seconds / some.height, (full - empty) / some.height)


def expected(tried: Tried | None, left: int, count: int, place: Path, trainer: L.Trainer) -> str:
    """What a screen may take, to stand after the line of what it is.

    Args:
        tried: What a few questions took; None if that is not known.
        left: Questions to be answered.
        count: Questions of the whole.
        place: The prediction file to be.
        trainer: The trainer.

    Returns:
        Time, rate and disk; empty where nothing was tried.
    """
    if tried is None:
        return ""
    rate = trainer.world_size / max(tried.seconds, 1e-9)
    # The parts and the file that they become are both there for a moment.
    room, free = 2 * tried.size * count, shutil.disk_usage(place.parent).free
    short = ", too little" if room > free else ""
    return (
        f": about {spell_time(left / rate)} at {spell_rate(rate)}, "
        f"{spell_size(room)} of disk ({spell_size(free)} free{short})"
    )


def _answers(student: L.LightningModule, questions: pl.DataFrame) -> pl.DataFrame:
    batch: dict[str, Any] = {"index": list(range(questions.height)), "questions": questions}
    found: pl.DataFrame = student.predict_step(batch, 0)["predictions"]
    return found


def _size(table: pl.DataFrame) -> int:
    file = io.BytesIO()
    table.write_parquet(file)
    return file.tell()
