"""The LightningCLI behind `fit`, `validate`, `test` and `predict`.

Everything of a run lies in one directory: its configuration, metrics, checkpoints and predictions.
"""

from __future__ import annotations

import argparse
import errno
import logging
import os
import sys
from collections.abc import Sequence
from contextlib import ExitStack
from pathlib import Path
from typing import Any

import jsonargparse
import lightning as L
from lightning.pytorch.callbacks import ModelCheckpoint
from lightning.pytorch.cli import ArgsType, LightningArgumentParser, LightningCLI
from lightning.pytorch.utilities.exceptions import MisconfigurationException

from synthpert import run_folder, run_record
from synthpert.asking_flags import add_flags, add_writer, apply_flags
from synthpert.checkpoints import files as checkpoint_files
from synthpert.checkpoints.plugin import WholeCheckpoints
from synthpert.cli_help import Help, parsers
from synthpert.errors import InputError
from synthpert.gpus import refuse_absent_gpu
from synthpert.importing import allow_imports
from synthpert.parse_errors import explain, written_keys
from synthpert.ranks import is_first
from synthpert.recipe_keys import empty_values, odd_keys, swallowed_keys
from synthpert.saving import SaveConfig
from synthpert.sharding import refuse_others
from synthpert.sound_values import is_of_trainer, unsound_values
from synthpert.stopping import Ending, handlers_put_back, requeue, way_on
from synthpert.student import Student
from synthpert.watching import Watch, loggers, quieten

log = logging.getLogger(__name__)

# What a full or closed disk answers, wherever in a run it is written to.
_CANNOT_WRITE = (errno.ENOSPC, errno.EDQUOT, errno.EFBIG, errno.EROFS, errno.EACCES)


class RunCLI(LightningCLI):
    """Adds the run directory, Weights & Biases and the checkpoint of the run to LightningCLI.

    Args:
        args: LightningCLI's own.
        keeping: Holds the run's directory as long as it is open; None to hold nothing.
        kwargs: LightningCLI's own.
    """

    def __init__(self, *args: Any, keeping: ExitStack | None = None, **kwargs: Any) -> None:
        self.keeping = keeping
        super().__init__(*args, **kwargs)

    def setup_parser(self, *args: Any) -> None:
        """Tell of `--ckpt_path` what holds here, and nothing of what is set here."""
        super().setup_parser(*args)
        self.parsers = getattr(self, "_subcommand_parsers", {})
        for verb in ("test", "predict"):
            if verb in self.parsers:
                add_flags(self.parsers[verb], verb)
        for parser in self.parsers.values():
            for action in parser._actions:
                if action.dest == "ckpt_path":
                    action.help = (
                        "a checkpoint, or `last` for the run's newest; fit goes on from it"
                    )
                elif action.dest in ("weights_only", "trainer.default_root_dir"):
                    action.help = argparse.SUPPRESS

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
        # Evidence of another split could show test labels.
        for name in ("data", "split"):
            parser.link_arguments(f"data.init_args.{name}", f"model.evidence.{name}")

    def parse_arguments(self, parser: LightningArgumentParser, args: ArgsType) -> None:
        """Parse the command line and the YAMLs.

        Raises:
            InputError: What is wrong, and in which file and line.
        """
        words = args if isinstance(args, list) else []
        written = written_keys(words)
        for odd in odd_keys(written, self._flags):
            raise odd
        try:
            super().parse_arguments(parser, args)
        except jsonargparse.ArgumentError as error:
            raise self._explained(error, words) from None
        settings: Any = self.config.get(self.config.get("subcommand") or "") or self.config
        for odd in (*swallowed_keys(written, settings), *empty_values(written, self._actions)):
            raise odd
        for odd in unsound_values(written, settings, self.config.get("subcommand")):
            raise odd
        apply_flags(settings)
        if self.config.get("subcommand") == "predict":
            add_writer(settings, Path(settings.out) if settings.out else None)

    def instantiate_classes(self) -> None:
        """Build trainer, student and data module.

        Raises:
            InputError: If a class refuses its arguments.
        """
        try:
            super().instantiate_classes()
        except InputError:
            raise
        except MisconfigurationException as error:
            where = f"synthpert {self.subcommand or 'recipe'}"
            raise InputError(str(error), file=where, column="trainer") from error
        except ValueError as error:
            # jsonargparse wraps what the classes of a list raise.
            raise self._explained(error, [self.subcommand or ""]) from error

    def _explained(self, error: Exception, words: list[str]) -> InputError:
        return explain(str(error), words, self._flags)

    @property
    def _actions(self) -> list[argparse.Action]:
        """The flags of this command; those of all its verbs, where it has some."""
        every = self.parsers.values() or [self.parser]
        return [action for parser in every for action in parser._actions]

    @property
    def _flags(self) -> set[str]:
        return {action.dest for action in self._actions}

    def _parse_ckpt_path(self) -> None:
        """Choose the run directory, and the checkpoint that goes with it.

        LightningCLI would read the whole checkpoint here, for settings. YAMLs alone say what a
        student is.
        """
        verb = self.config.get("subcommand")
        self.settings = self.config[verb] if verb else self.config
        self.run = run_folder.choose(self.settings.run, self.settings.get("config") or ["run"])
        self.settings.trainer.default_root_dir = str(self.run)
        if verb is None:
            return
        os.environ[run_folder.VARIABLE] = str(self.run)
        if is_first():
            run_record.refuse_busy(self.run)
        asked = self.settings.ckpt_path
        if asked is None and verb == "fit" and run_folder.has_checkpoints(self.run):
            raise InputError(
                "this run exists already",
                file=self.run,
                expected="--ckpt_path last to go on with it, or another --run",
            )
        if asked == "last":
            newest = run_folder.newest_checkpoint(self.run)
            if newest is None and verb != "fit":
                expected = "the --run of a fit that has begun"
                raise InputError("the run has no checkpoint", file=self.run, expected=expected)
            self.settings.ckpt_path = newest and str(newest)
        elif asked and not Path(asked).exists():
            raise InputError("no such checkpoint", file=asked)
        elif asked:
            checkpoint_files.refuse_damaged(Path(asked))
        if verb != "fit" and asked is None:
            log.warning("no --ckpt_path: the base model answers, untrained")
        self.settings.weights_only = True
        if self.keeping is not None and is_first():
            self.keeping.enter_context(run_record.held(self.run, verb))

    def before_predict(self) -> None:
        """Read the questions before any weight is loaded; end where they are answered already."""
        self.datamodule.trainer = self.trainer
        self.trainer.strategy.connect(self.model)
        self.datamodule.setup("predict")
        given = (self.trainer, self.model, self.datamodule, self.settings.ckpt_path)
        callbacks: list[L.Callback] = self.trainer.callbacks  # type: ignore[attr-defined]
        for callback in callbacks:
            if getattr(callback, "prepare_predict", lambda *_: False)(*given):
                raise SystemExit(0)

    def instantiate_trainer(self, **kwargs: Any) -> L.Trainer:
        """Build the trainer; without loggers of the user's own it gets the run's."""
        refuse_absent_gpu(self.settings.trainer.accelerator, f"synthpert {self.subcommand or ''}")
        if self.settings.trainer.logger in (None, True):
            kwargs["logger"] = loggers(self.run, self.settings.watch)
        trainer = super().instantiate_trainer(**kwargs)
        refuse_others(trainer.strategy)
        trainer.strategy.checkpoint_io = WholeCheckpoints()
        own = [each for each in trainer.checkpoint_callbacks if isinstance(each, ModelCheckpoint)]
        for callback in own:
            # Lightning would put them where the first logger writes.
            callback.dirpath = callback.dirpath or str(run_folder.checkpoints(self.run))
            if trainer.fast_dev_run:  # type: ignore[attr-defined]
                # A trial leaves nothing to go on with.
                callback.save_last = None
            # `Ending` sets it when training begins, whatever the recipe says.
            callback.save_on_exception = False
        return trainer


def main(args: Sequence[str]) -> int:
    """Run `fit`, `validate`, `test` or `predict`.

    Args:
        args: The verb and its arguments.

    Returns:
        0, or 130 / 143 after an interrupt / a termination, with the state saved.

    Raises:
        InputError: If the command line or a YAML is wrong.
    """
    allow_imports(args)
    quieten()
    ending = Ending()
    if args[0] == "fit":
        ending.watch_scheduler()
    if "LOCAL_RANK" not in os.environ:
        os.environ.pop(run_folder.VARIABLE, None)
    try:
        with handlers_put_back(), ExitStack() as keeping:
            cli(args, trainer_defaults={"callbacks": [ending]}, keeping=keeping)
    except (MisconfigurationException, ValueError) as error:
        if not is_of_trainer(error):
            raise
        raise InputError(str(error), file=f"synthpert {args[0]}", column="trainer") from error
    except OSError as error:
        if error.errno not in _CANNOT_WRITE:
            raise
        place = error.filename or os.environ.get(run_folder.VARIABLE)
        raise InputError(error.strerror or str(error), file=place) from error
    except SystemExit:
        if ending.code is None:
            raise
        if ending.requeued:
            requeue()
        if args[0] == "fit" and ending.is_first:
            sys.stderr.write(f"{way_on(args, ending.step, ending.saved)}\n")
        return ending.code
    return 0


def cli(
    args: Sequence[str],
    run: bool = True,
    trainer_defaults: dict[str, Any] | None = None,
    keeping: ExitStack | None = None,
) -> RunCLI:
    """Parse `args` and, if `run`, carry them out; else only build what they describe.

    Args:
        args: With `run` the verb comes first, else there is none.
        run: False instantiates trainer, student and data module, without weights.
        trainer_defaults: Defaults of the trainer's arguments, callbacks to add among them.
        keeping: Holds the run's directory until it is closed; None to hold nothing.
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
        save_config_callback=SaveConfig,
        save_config_kwargs={"save_to_log_dir": False, "words": args},
        trainer_defaults={**defaults, **(trainer_defaults or {})},
        parser_kwargs={
            "exit_on_error": False,
            "allow_abbrev": False,
            "formatter_class": Help,
            **parsers(),
        },
        auto_configure_optimizers=False,
        run=run,
        args=list(args),
        keeping=keeping,
    )
