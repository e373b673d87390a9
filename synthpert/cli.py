"""The LightningCLI behind `fit`, `validate`, `test` and `predict`.

Everything of a run lies in one directory: its configuration, metrics, checkpoints and predictions.
"""

from __future__ import annotations

import logging
import os
import shlex
import sys
import time
import warnings
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import jsonargparse
import lightning as L
import transformers
import yaml
from lightning.pytorch.cli import LightningArgumentParser, LightningCLI, SaveConfigCallback
from lightning.pytorch.trainer.states import TrainerFn
from lightning.pytorch.utilities.exceptions import SIGTERMException

from synthpert.errors import InputError
from synthpert.redaction import redact
from synthpert.student import Student
from synthpert.watching import Watch, loggers

log = logging.getLogger(__name__)

# A YAML names classes, and naming one imports its module before its type is checked. So only these
# packages can be named; a user's own is let in by `--import-from PACKAGE`.
IMPORTABLE = ("synthpert", "callbacks", "data_modules", "lightning", "torch")
# Launched ranks run the command again and must find the directory that the first one chose.
_RUN_VARIABLE = "SYNTHPERT_RUN"


class RunCLI(LightningCLI):
    """Adds the run directory, Weights & Biases and the checkpoint of the run to LightningCLI."""

    def add_arguments_to_parser(self, parser: LightningArgumentParser) -> None:
        """Add `--run`, `--watch` and `--import-from`."""
        parser.add_argument(
            "--run",
            type=str | None,
            default=None,
            help="directory of this run (default: runs/CONFIG-TIME); an existing one is not "
            "written over: give --ckpt_path last to go on with it",
        )
        parser.add_argument(
            "--import-from",
            type=str | None,
            default=None,
            help="package of your own whose classes the YAML may name; found from here",
        )
        parser.add_class_arguments(Watch, "watch")

    def before_instantiate_classes(self) -> None:
        """Choose the run directory, and the checkpoint that goes with it."""
        self.settings = self.config[self.subcommand]
        self.run = Path(self.settings.run or os.environ.get(_RUN_VARIABLE) or self._new_run())
        os.environ[_RUN_VARIABLE] = str(self.run)
        last = self.run / "checkpoints" / "last.ckpt"
        if self.subcommand == "fit" and self.settings.ckpt_path is None and last.exists():
            raise InputError(
                "this run exists already",
                file=self.run,
                expected="--ckpt_path last to go on with it, or another --run",
            )
        if self.settings.ckpt_path == "last":
            self.settings.ckpt_path = str(last) if last.exists() else None
            if self.subcommand != "fit" and not last.exists():
                raise InputError("the run has no checkpoint", file=self.run, expected=str(last))
        if self.settings.ckpt_path and not Path(self.settings.ckpt_path).exists():
            raise InputError("no such checkpoint", file=self.settings.ckpt_path)
        if self.subcommand != "fit" and self.settings.ckpt_path is None:
            log.warning("no --ckpt_path: the base model answers, untrained")
        self.settings.weights_only = True
        self.settings.trainer.default_root_dir = str(self.run)

    def instantiate_trainer(self, **kwargs: Any) -> L.Trainer:
        """Build the trainer; without loggers of the user's own it gets the run's."""
        if self.settings.trainer.logger in (None, True):
            kwargs["logger"] = loggers(self.run, self.settings.watch)
        return super().instantiate_trainer(**kwargs)

    def _new_run(self) -> Path:
        given = self.settings.get("config") or []
        name = Path(str(given[0])).stem if given else "run"
        return Path("runs") / f"{name}-{time.strftime('%Y%m%d-%H%M%S')}"


class _SaveConfig(SaveConfigCallback):
    """Writes the configuration, without secrets, into the run directory and to every logger."""

    def save_config(self, trainer: L.Trainer, pl_module: L.LightningModule, stage: str) -> None:
        text = self.parser.dump(self.config, skip_none=False)
        config = redact(yaml.safe_load(text))
        folder = Path(trainer.default_root_dir)
        folder.mkdir(parents=True, exist_ok=True)
        name = "config.yaml" if stage == "fit" else f"{TrainerFn(stage).value}.yaml"
        (folder / name).write_text(yaml.safe_dump(config, sort_keys=False), encoding="utf-8")
        for logger in trainer.loggers:
            logger.log_hyperparams(config)


class _Ending(L.Callback):
    """Remembers what ended the run early; LightningCLI hands out no trainer when it raises."""

    def __init__(self) -> None:
        self.cause: BaseException | None = None
        self.step = 0

    def on_exception(
        self, trainer: L.Trainer, pl_module: L.LightningModule, exception: BaseException
    ) -> None:
        self.cause, self.step = exception, trainer.global_step


def main(args: Sequence[str]) -> int:
    """Run `fit`, `validate`, `test` or `predict`.

    Args:
        args: The verb and its arguments.

    Returns:
        0, or 130 / 143 after an interrupt / a termination, with the state saved.

    Raises:
        InputError: If the command line or a YAML is wrong.
    """
    _allow_imports(args)
    _quieten()
    ending = _Ending()
    if "LOCAL_RANK" not in os.environ:
        os.environ.pop(_RUN_VARIABLE, None)
    try:
        cli(args, trainer_defaults={"callbacks": [ending]})
    except jsonargparse.ArgumentError as error:
        raise InputError(str(error), file=f"synthpert {args[0]}") from None
    except SystemExit:
        if isinstance(ending.cause, KeyboardInterrupt):
            return _stopped(args, ending, 130)
        if isinstance(ending.cause, SIGTERMException):
            return _stopped(args, ending, 143)
        raise
    return 0


def cli(
    args: Sequence[str], run: bool = True, trainer_defaults: dict[str, Any] | None = None
) -> RunCLI:
    """Parse `args` and, if `run`, carry them out; else only build what they describe.

    Args:
        args: With `run` the verb comes first, else there is none.
        run: False instantiates trainer, student and data module, without weights.
        trainer_defaults: Defaults of the trainer's arguments, callbacks to add among them.
    """
    defaults = {
        "use_distributed_sampler": False,
        "num_sanity_val_steps": 0,
        "log_every_n_steps": 10,
        # `Student.configure_model` says in a line what there is to say.
        "enable_model_summary": False,
    }
    return RunCLI(
        Student,
        L.LightningDataModule,
        subclass_mode_data=True,
        seed_everything_default=0,
        save_config_callback=_SaveConfig,
        save_config_kwargs={"save_to_log_dir": False},
        trainer_defaults={**defaults, **(trainer_defaults or {})},
        parser_kwargs={"exit_on_error": False},
        auto_configure_optimizers=False,
        run=run,
        args=list(args),
    )


def _allow_imports(args: Sequence[str]) -> None:
    """Let YAMLs name the project's, Lightning's and PyTorch's classes, and the user's package."""
    own = []
    for i, word in enumerate(args):
        if word.startswith("--import-from="):
            own.append(word.partition("=")[2])
        elif word == "--import-from" and i + 1 < len(args):
            own.append(args[i + 1])
    if own and str(Path.cwd()) not in sys.path:
        # The installed command, unlike `python -m`, does not look in the working directory.
        sys.path.insert(0, str(Path.cwd()))
    jsonargparse.set_parsing_settings(
        import_path_denylist=["*"], import_path_allowlist=[*IMPORTABLE, *own]
    )


def _quieten() -> None:
    """Keep what others print on every start from burying what matters."""
    for name in ("lightning.pytorch", "lightning.fabric", "lightning"):
        # They print through handlers of their own what then reaches ours a second time.
        logging.getLogger(name).handlers.clear()
        logging.getLogger(name).setLevel(logging.WARNING)
    warnings.filterwarnings("ignore", message=".*LightningCLI's args parameter.*")
    warnings.filterwarnings("ignore", message=".*isinstance.treespec, LeafSpec.*")
    # `on_train_start` puts them in train mode.
    warnings.filterwarnings("ignore", message=".*module.s. in eval mode at the start.*")
    if not sys.stderr.isatty():
        transformers.utils.logging.disable_progress_bar()


def _stopped(args: Sequence[str], ending: _Ending, code: int) -> int:
    if args[0] == "fit":
        run = os.environ.get(_RUN_VARIABLE, "RUN")
        again = ["synthpert", "fit", "--config", f"{run}/config.yaml", "--run", run]
        sys.stderr.write(
            f"stopped at step {ending.step}, state saved; to go on: "
            f"{shlex.join([*again, '--ckpt_path', 'last'])}\n"
        )
    return code
