"""`predict` in parts: what is left, what is written, how far it is, and one file in the end."""

from __future__ import annotations

import logging
import signal
import sys
import threading
import time
from datetime import timedelta
from pathlib import Path
from types import FrameType
from typing import Any, NoReturn, TextIO

import lightning as L
import numpy as np
import polars as pl
import torch.distributed
from lightning.pytorch.utilities.exceptions import SIGTERMException

from callbacks.confusion import indices
from callbacks.prediction_record import figures_of, how_decoded, where_it_lies
from callbacks.screening_plan import expected, how, several, try_out
from synthpert.checkpoints import files as checkpoint_files
from synthpert.errors import InputError
from synthpert.holding import hold, release
from synthpert.predictions.rows import complete
from synthpert.questions import KEY
from synthpert.scoring.classes import confusion_cells
from synthpert.screening import parts
from synthpert.screening.blocks import Blocks
from synthpert.screening.pace import Pace, spell_time

log = logging.getLogger(__name__)

# A rank may be a part, hence hours, later than another; no launcher's time-out is that long.
_PATIENCE = timedelta(days=365)
_SLOW = 10.0
# What a student is computed in beside its weights.
_TYPES = ("dtype_name", "quantize", "template")


class Screening:
    """The parts of one `predict`.

    Args:
        place: The prediction file to be.
        data: The data module: what is `asked`, in parts of `part_size`, a batch at a time.
        student: What answers.
    """

    def __init__(
        self,
        place: Path,
        data: Any,  # noqa: ANN401 - any data module with these
        student: L.LightningModule,
    ) -> None:
        self.place, self.data, self.student = place, data, student
        self.asked = data.asked()
        self.decoding = how_decoded(student)
        self._manifest: parts.Manifest | None = None
        self._mine: list[int] = []
        self._left = self._before = 0
        self._answers: list[pl.DataFrame] = []
        self._pace: Pace | None = None
        self._tells = False
        self._lock: TextIO | None = None
        self._group: Any = None

    @property
    def manifest(self) -> parts.Manifest:
        """What the parts are of; known once the screen has begun."""
        assert self._manifest is not None
        return self._manifest

    def is_finished(self, checkpoint: str | Path | None) -> bool:
        """Whether the file is there; says so, and removes what a kill has left beside it.

        Args:
            checkpoint: The checkpoint whose weights answer; None for the base.

        Raises:
            InputError: If the file, or parts of it, answer something else.
        """
        if not parts.is_finished(self.place, self._identity(checkpoint)):
            return False
        parts.remove(self.place)
        log.info("done before: %s holds these very answers; nothing is asked", self.place)
        return True

    def open(self, checkpoint: str | Path | None, run: str) -> None:
        """Hold the parts and put the questions aside; for one process, and once.

        Args:
            checkpoint: As in `is_finished`.
            run: The run's name.

        Raises:
            InputError: If a question is not sound, or nothing can be written there.
            StoppedError: If another process writes these parts.
        """
        if self._lock is not None:
            return
        busy, remedy = "another process writes these predictions", "wait for it, or another --out"
        self._lock = hold(parts.lock_path(self.place), self.place, busy, remedy)
        started = time.perf_counter()
        try:
            identity = self._identity(checkpoint)
            parts.begin(self.place, self.asked, identity, self.data.part_size, run)
        except InputError:
            self.release()
            raise
        if time.perf_counter() - started > _SLOW:
            log.info("questions read in %s", spell_time(time.perf_counter() - started))

    def begin(self, trainer: L.Trainer) -> tuple[Blocks | None, list[int]]:
        """Find what is done, and deal out the rest; a joint act.

        Returns:
            The questions, and the parts of this rank; nothing where the file is there.

        Raises:
            InputError: If a question is not sound, or other predictions lie there.
            StoppedError: If another process writes these parts.
        """
        if trainer.world_size > 1:
            self._group = torch.distributed.new_group(backend="gloo", timeout=_PATIENCE)
        finished, done = False, set[int]()
        if trainer.is_global_zero:
            finished = self._lock is None and self.is_finished(trainer.ckpt_path)
            if not finished:
                self.open(trainer.ckpt_path, Path(trainer.default_root_dir).resolve().name)
                done = set(parts.good_parts(self.place))
        finished, done = trainer.strategy.broadcast((finished, done))
        if finished:
            return None, []
        self._manifest = parts.manifest_of(self.place)
        left = [part for part in range(self.manifest.parts) if part not in done]
        self._mine = left[trainer.global_rank :: trainer.world_size]
        self._left = sum(map(self.manifest.size, left))
        self._before = self.manifest.questions - self._left
        folder = parts.questions_folder(self.place)
        self._blocks = self.asked.blocks(folder, self.manifest.part_size)
        return self._blocks, self._mine

    def _identity(self, checkpoint: str | Path | None) -> dict[str, Any]:
        """What tells these answers from others."""
        return {
            "questions": self.asked.identity(),
            "checkpoint": checkpoint_files.digest(Path(checkpoint)) if checkpoint else None,
            "base": None if checkpoint else _base_of(self.student),
            "types": [getattr(self.student, name, None) for name in _TYPES],
            "model": getattr(self.student, "name", type(self.student).__name__),
            "prompt_id": getattr(getattr(self.student, "prompts", None), "prompt_id", None),
            "decoding": self.decoding,
            "engine": getattr(self.student, "engine_name", None),
            "part_size": self.data.part_size,
        }

    def watch(self, trainer: L.Trainer) -> None:
        """Stop at once at SIGTERM, and see that the progress bar knows how much there is."""
        if threading.current_thread() is threading.main_thread():
            # Lightning's handler takes note of it, which nobody reads while answering, and talks
            # to the other ranks meanwhile. What is written is whole, so there is nothing to end.
            signal.signal(signal.SIGTERM, _stop)
        batches = sum(-(-self.manifest.size(x) // self.data.eval_batch_size) for x in self._mine)
        limits = trainer.predict_loop.max_batches
        limits[:] = [min(limit, batches) for limit in limits]

    def announce(self, trainer: L.Trainer) -> None:
        """Say what there is to do, how, and what it may take."""
        if self._manifest is None:
            return
        bar: Any = trainer.progress_bar_callback
        shown = bar is not None and bar.is_enabled and sys.stdout.isatty()
        if bar is not None and not shown:
            bar.disable()
        self._tells = trainer.is_global_zero and not shown
        if trainer.is_global_zero:
            some = self._blocks.read(self._mine[0]) if self._mine else None
            size = self.data.eval_batch_size
            tried = try_out(self.student, some, self._left, size, trainer)
            done = f", {self._before:,} of them answered before" if self._before else ""
            asked = f"{self.manifest.questions:,} questions in {several(self.manifest.parts)}{done}"
            took = expected(tried, self._left, self.manifest.questions, self.place, trainer)
            log.info("%s; %s%s", asked, how(self.student, trainer), took)
        self._pace = Pace(self.manifest.questions, self._before)

    def keep(self, answers: pl.DataFrame, batch: dict[str, Any]) -> None:
        """Keep the answers of a batch; the last one of a part writes it."""
        self._answers.append(answers)
        if batch["ends"]:
            self._write(batch["block"])
        line = self._pace.add(answers.height * self._ranks) if self._pace else None
        if line and self._tells:
            log.info("%s", line)

    @property
    def _ranks(self) -> int:
        return torch.distributed.get_world_size() if self._group else 1

    def _write(self, part: int) -> None:
        table = complete(pl.concat(self._answers)).with_columns(run=pl.lit(self.manifest.run))
        self._answers = []
        asked = self._blocks.read(part)
        if not table.select(KEY).equals(asked.select(KEY)):
            raise RuntimeError(f"the answers of part {part} are to other questions")
        own = asked.drop(*KEY, "label", strict=False)
        parts.write_part(self.place, part, table.hstack(own))

    def end(self, trainer: L.Trainer, record: dict[str, Any]) -> None:
        """Join the parts when all ranks have written theirs."""
        self._wait()
        if self._manifest is None or not trainer.is_global_zero:
            return
        done = parts.good_parts(self.place)
        if len(done) < self.manifest.parts:  # `limit_predict_batches`
            log.info("%s; %s", self._kept(len(done)), "the same command without a limit goes on")
            return
        first = pl.read_parquet(done[0], n_rows=1)
        same = {name: first[name][0] for name in ("model", "prompt_id", "n_samples", "mode", "run")}
        counts = parts.join(self.place, {**same, **record})
        log.info("%s", where_it_lies(self.manifest.questions, self.place, _figures(counts)))

    def tell_kept(self, trainer: L.Trainer) -> None:
        """Say what is kept of a screen that was stopped."""
        if trainer.is_global_zero and self._manifest is not None:
            kept = sum(1 for _ in parts.parts_folder(self.place).glob("part-*.parquet"))
            log.warning("stopped: %s; the same command goes on", self._kept(kept))
        self.release()

    def _kept(self, count: int) -> str:
        return f"{count:,} of {several(self.manifest.parts)} kept beside {self.place}"

    def release(self) -> None:
        """Let other processes have the parts."""
        if self._lock is not None:
            release(self._lock)
            self._lock = None

    def _wait(self) -> None:
        if self._group is not None:
            torch.distributed.barrier(self._group)


def _base_of(student: L.LightningModule) -> str | None:
    """The SHA-256 of a base's folder, where no checkpoint says which base it is; else its name."""
    base = getattr(student, "base", None)
    return checkpoint_files.digest(Path(base)) if base and Path(base).is_dir() else base


def _stop(signum: int, frame: FrameType | None) -> NoReturn:
    raise SIGTERMException


def _figures(counts: pl.DataFrame) -> dict[str, float]:
    """The three-class figures of counts by label and answer; none where no label is known."""
    known = counts.filter(pl.col("label").is_not_null())
    if known.is_empty():
        return {}
    cells = confusion_cells(indices(known["answer"]), indices(known["label"]))
    confusion = np.zeros(12, dtype=np.int64)
    np.add.at(confusion, cells, known["len"].to_numpy())
    return figures_of(confusion.reshape(3, 4))
