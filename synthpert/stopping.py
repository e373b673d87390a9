"""How a run ends early: after a whole step, with its state saved and the command to go on."""

from __future__ import annotations

import logging
import os
import shlex
import signal
import threading
from collections.abc import Sequence
from types import FrameType

import lightning as L
from lightning.pytorch.utilities.exceptions import SIGTERMException

from synthpert import run_folder
from synthpert.parse_errors import values

log = logging.getLogger(__name__)

INTERRUPTED, TERMINATED = 130, 143


class Ending(L.Callback):
    """Remembers what ended the run early; LightningCLI hands out no trainer when it raises.

    The first Ctrl-C is treated as SIGTERM is: training stops between two steps, so that the run
    that goes on misses none. The second stops it where it is.
    """

    def __init__(self) -> None:
        self.code: int | None = None
        self.step = 0
        self._asked = False

    def on_train_start(self, trainer: L.Trainer, pl_module: L.LightningModule) -> None:
        """Watch for Ctrl-C, which ranks of one run would not see at the same step."""
        alone = trainer.world_size == 1
        if alone and threading.current_thread() is threading.main_thread():
            signal.signal(signal.SIGINT, self._stop_after_step)

    def on_exception(
        self, trainer: L.Trainer, pl_module: L.LightningModule, exception: BaseException
    ) -> None:
        """Remember whether it was a signal."""
        self.step = trainer.global_step
        if isinstance(exception, KeyboardInterrupt):
            self.code = INTERRUPTED
        elif isinstance(exception, SIGTERMException):
            self.code = INTERRUPTED if self._asked else TERMINATED

    def _stop_after_step(self, signum: int, frame: FrameType | None) -> None:
        self._asked = True
        log.warning("stopping after this step; Ctrl-C again stops at once")
        signal.signal(signal.SIGINT, signal.default_int_handler)
        signal.raise_signal(signal.SIGTERM)


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
