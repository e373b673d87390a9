"""How a run ends early: after a whole step, with its state saved and the command to go on."""

from __future__ import annotations

import logging
import os
import shlex
import shutil
import signal
import subprocess
import threading
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from functools import partial
from types import FrameType
from typing import Final

import lightning as L
from lightning.pytorch.callbacks import ModelCheckpoint
from lightning.pytorch.utilities.exceptions import SIGTERMException

from synthpert import run_folder
from synthpert.importing import import_words

log = logging.getLogger(__name__)

INTERRUPTED, TERMINATED = 130, 143
_HEARD: Final = (signal.SIGINT, signal.SIGTERM, signal.SIGUSR1)


@contextmanager
def handlers_put_back() -> Iterator[None]:
    """Put the signals' handlers back as they were: those of a command end with it."""
    if threading.current_thread() is not threading.main_thread():
        yield
        return
    before = {each: signal.getsignal(each) for each in _HEARD}
    try:
        yield
    finally:
        for each, handler in before.items():
            if handler is not None:
                signal.signal(each, handler)


class Ending(L.Callback):
    """Remembers what ended the run early; LightningCLI hands out no trainer when it raises.

    The first Ctrl-C is treated as SIGTERM is: training stops between two steps, so that the run
    that goes on misses none. The second stops it where it is. So is SIGUSR1 in a SLURM job, which
    is then put back into the queue: Lightning's own handler saves wherever the signal finds it,
    within a step too, and trains on until it is killed. Of several ranks, all stop at the step at
    which any has heard a signal: Lightning's handler would talk to the others at once, in the midst
    of what they say of their gradients.
    """

    def __init__(self) -> None:
        self.code: int | None = None
        self.step = 0
        self.saved = False
        self.requeued = False
        self.is_first = True
        self._asked = self._told = self._time_is_up = False

    def watch_scheduler(self) -> None:
        """Heed SIGUSR1 in a SLURM job, from now on: loading a base takes its time, too."""
        if job_id() and threading.current_thread() is threading.main_thread():
            signal.signal(signal.SIGUSR1, self._stop_for_scheduler)

    def on_train_start(self, trainer: L.Trainer, pl_module: L.LightningModule) -> None:
        """Watch for signals.

        From here on the state is saved whatever ends the run. An error before, while a checkpoint
        is being restored, would save a student half restored.
        """
        self.is_first = trainer.is_global_zero
        if threading.current_thread() is threading.main_thread():
            alone = trainer.world_size == 1
            signal.signal(signal.SIGINT, self._stop_after_step if alone else self._stop_all)
            if not alone:
                signal.signal(signal.SIGTERM, self._stop_all)
        for callback in _kept_by(trainer)[:1]:
            callback.save_on_exception = True

    def on_train_batch_end(self, trainer: L.Trainer, *rest: object) -> None:
        """Stop all ranks at the same batch once any of them has heard a signal."""
        if not job_id() and trainer.world_size == 1:
            return
        any_rank = partial(trainer.strategy.reduce_boolean_decision, all=False)
        if any_rank(self._time_is_up or self._asked or self._told):
            self.requeued, self._asked = any_rank(self._time_is_up), any_rank(self._asked)
            # Not by a signal: Lightning's handler talks to the other ranks, which do so as well.
            trainer._signal_connector.received_sigterm = True

    def on_train_end(self, trainer: L.Trainer, pl_module: L.LightningModule) -> None:
        """Save the state that training ends with, where the recipe saves every so many steps.

        Lightning 2.6 would leave `last` at the last multiple of them.
        """
        for callback in _kept_by(trainer):
            if callback.save_last and callback._last_global_step_saved != trainer.global_step:
                callback._save_last_checkpoint(trainer, callback._monitor_candidates(trainer))

    def on_exception(
        self, trainer: L.Trainer, pl_module: L.LightningModule, exception: BaseException
    ) -> None:
        """Remember whether it was a signal."""
        self.step = trainer.global_step
        self.saved = any(each.save_on_exception for each in _kept_by(trainer))
        self.requeued = self.requeued and trainer.is_global_zero
        if isinstance(exception, KeyboardInterrupt):
            self.code = INTERRUPTED
        elif isinstance(exception, SIGTERMException):
            self.code = INTERRUPTED if self._asked else TERMINATED

    def _stop_after_step(self, signum: int, frame: FrameType | None) -> None:
        self._asked = True
        log.warning("stopping after this step; Ctrl-C again stops at once")
        signal.signal(signal.SIGINT, signal.default_int_handler)
        signal.raise_signal(signal.SIGTERM)

    def _stop_all(self, signum: int, frame: FrameType | None) -> None:
        if signum == signal.SIGINT:
            self._asked = True
            signal.signal(signal.SIGINT, signal.default_int_handler)
        self._told = True
        if self.is_first:
            log.warning("stopping all processes after this step")

    def _stop_for_scheduler(self, signum: int, frame: FrameType | None) -> None:
        self._time_is_up = True
        log.warning("the scheduler's time is up: stopping after this step")


def _kept_by(trainer: L.Trainer) -> list[ModelCheckpoint]:
    """The callbacks that save checkpoints; none in a trial run, which leaves none."""
    if trainer.fast_dev_run:  # type: ignore[attr-defined]
        return []
    return [each for each in trainer.checkpoint_callbacks if isinstance(each, ModelCheckpoint)]


def job_id() -> str | None:
    """The SLURM job that this process is a task of, as `scontrol` names it; None outside one."""
    array = os.environ.get("SLURM_ARRAY_JOB_ID")
    if array:
        return f"{array}_{os.environ.get('SLURM_ARRAY_TASK_ID', '0')}"
    return os.environ.get("SLURM_JOB_ID") or None


def requeue() -> None:
    """Put this SLURM job back into the queue; says so, or why it could not."""
    job, scontrol = job_id(), shutil.which("scontrol")
    if job is None or scontrol is None:
        log.warning("not requeued: there is no scontrol on the path")
        return
    done = subprocess.run(
        [scontrol, "requeue", job], capture_output=True, text=True, check=False, timeout=60
    )
    if done.returncode:
        log.warning("not requeued: scontrol says: %s", " ".join(done.stderr.split()))
    else:
        log.info("job %s is back in the queue", job)


def way_on(args: Sequence[str], step: int, saved: bool = True) -> str:
    """Say where a stopped fit stands and which command goes on with it.

    Args:
        args: The command line that began it, from the verb on.
        step: Optimiser steps behind it.
        saved: Whether anything keeps its checkpoints.
    """
    if not saved:
        return f"stopped at step {step}, nothing saved: no ModelCheckpoint was at work"
    run = os.environ.get(run_folder.VARIABLE, "RUN")
    recipe = ["--config", f"{run}/config.yaml", "--run", run]
    again = ["synthpert", "fit", *recipe, *import_words(args)]
    line = shlex.join([*again, "--ckpt_path", "last"])
    return f"stopped at step {step}, state saved; to go on: {line}"
