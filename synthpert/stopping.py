"""How a run ends early: after a whole step, with its state saved and the command to go on."""

from __future__ import annotations

import logging
import os
import shlex
import shutil
import signal
import subprocess
import threading
from collections.abc import Sequence
from types import FrameType

import lightning as L
from lightning.pytorch.callbacks import ModelCheckpoint
from lightning.pytorch.utilities.exceptions import SIGTERMException

from synthpert import run_folder
from synthpert.parse_errors import values

log = logging.getLogger(__name__)

INTERRUPTED, TERMINATED = 130, 143


class Ending(L.Callback):
    """Remembers what ended the run early; LightningCLI hands out no trainer when it raises.

    The first Ctrl-C is treated as SIGTERM is: training stops between two steps, so that the run
    that goes on misses none. The second stops it where it is. So is SIGUSR1 in a SLURM job, which
    is then put back into the queue: Lightning's own handler saves wherever the signal finds it,
    within a step too, and trains on until it is killed.
    """

    def __init__(self) -> None:
        self.code: int | None = None
        self.step = 0
        self.requeued = False
        self._asked = self._time_is_up = False

    def watch_scheduler(self) -> None:
        """Heed SIGUSR1 in a SLURM job, from now on: loading a base takes its time, too."""
        if job_id() and threading.current_thread() is threading.main_thread():
            signal.signal(signal.SIGUSR1, self._stop_for_scheduler)

    def on_train_start(self, trainer: L.Trainer, pl_module: L.LightningModule) -> None:
        """Watch for Ctrl-C, which ranks of one run would not see at the same step.

        From here on the state is saved whatever ends the run. An error before, while a checkpoint
        is being restored, would save a student half restored.
        """
        alone = trainer.world_size == 1
        if alone and threading.current_thread() is threading.main_thread():
            signal.signal(signal.SIGINT, self._stop_after_step)
        own = [each for each in trainer.checkpoint_callbacks if isinstance(each, ModelCheckpoint)]
        for callback in own[:1]:
            callback.save_on_exception = True

    def on_train_batch_end(self, trainer: L.Trainer, *rest: object) -> None:
        """Stop all ranks at the same batch once any of them has heard from the scheduler."""
        if not job_id():
            return
        if trainer.strategy.reduce_boolean_decision(self._time_is_up, all=False):
            self.requeued = True
            # Not by a signal: Lightning's handler talks to the other ranks, which do so as well.
            trainer._signal_connector.received_sigterm = True

    def on_exception(
        self, trainer: L.Trainer, pl_module: L.LightningModule, exception: BaseException
    ) -> None:
        """Remember whether it was a signal."""
        self.step = trainer.global_step
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

    def _stop_for_scheduler(self, signum: int, frame: FrameType | None) -> None:
        self._time_is_up = True
        log.warning("the scheduler's time is up: stopping after this step")


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


def way_on(args: Sequence[str], step: int) -> str:
    """Say where a stopped fit stands and which command goes on with it.

    Args:
        args: The command line that began it, from the verb on.
        step: Optimiser steps behind it.
    """
    run = os.environ.get(run_folder.VARIABLE, "RUN")
    own = [word for name in values(args, "--import-from") for word in ("--import-from", name)]
    again = ["synthpert", "fit", "--config", f"{run}/config.yaml", "--run", run, *own]
    line = shlex.join([*again, "--ckpt_path", "last"])
    return f"stopped at step {step}, state saved; to go on: {line}"
