"""What a signal means for the exit code, and the command that goes on."""

from __future__ import annotations

import shlex
import signal
from collections.abc import Iterator
from pathlib import Path

import lightning as L
import pytest
from lightning.pytorch.callbacks import ModelCheckpoint
from lightning.pytorch.utilities.exceptions import SIGTERMException

from synthpert import run_folder
from synthpert.stopping import INTERRUPTED, TERMINATED, Ending, handlers_put_back, requeue, way_on

WATCHED = (signal.SIGINT, signal.SIGTERM, signal.SIGUSR1)


@pytest.fixture
def trainer() -> L.Trainer:
    return L.Trainer(accelerator="cpu", devices=1, logger=False, enable_checkpointing=False)


@pytest.fixture
def _handlers() -> Iterator[None]:
    before = {each: signal.getsignal(each) for each in WATCHED}
    yield
    for each, handler in before.items():
        signal.signal(each, handler)


@pytest.mark.parametrize(
    ("cause", "code"),
    [(KeyboardInterrupt(), INTERRUPTED), (SIGTERMException(), TERMINATED), (ValueError(), None)],
)
def test_the_code_is_that_of_the_signal(
    cause: BaseException, code: int | None, trainer: L.Trainer
) -> None:
    ending = Ending()
    ending.on_exception(trainer, L.LightningModule(), cause)
    assert ending.code == code


@pytest.mark.usefixtures("_handlers")
def test_the_first_interrupt_ends_the_step_and_the_second_does_not_wait(trainer: L.Trainer) -> None:
    terminated = []
    signal.signal(signal.SIGTERM, lambda number, frame: terminated.append(number))
    ending = Ending()
    ending.on_train_start(trainer, L.LightningModule())
    signal.raise_signal(signal.SIGINT)
    assert terminated == [signal.SIGTERM]
    ending.on_exception(trainer, L.LightningModule(), SIGTERMException())
    assert ending.code == INTERRUPTED
    with pytest.raises(KeyboardInterrupt):
        signal.raise_signal(signal.SIGINT)


@pytest.fixture
def job(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> Path:
    """A SLURM job whose `scontrol` is yet to be written; the place for it."""
    monkeypatch.delenv("SLURM_ARRAY_JOB_ID", raising=False)
    monkeypatch.setenv("SLURM_JOB_ID", "7")
    monkeypatch.setenv("PATH", str(tmp_path))
    return tmp_path / "scontrol"


@pytest.mark.usefixtures("_handlers", "job")
def test_the_schedulers_signal_ends_the_step_on_every_rank(trainer: L.Trainer) -> None:
    ending = Ending()
    ending.watch_scheduler()
    ending.on_train_batch_end(trainer)
    assert not trainer.received_sigterm
    signal.raise_signal(signal.SIGUSR1)
    assert not trainer.received_sigterm
    ending.on_train_batch_end(trainer)
    assert trainer.received_sigterm
    ending.on_exception(trainer, L.LightningModule(), SIGTERMException())
    assert (ending.code, ending.requeued) == (TERMINATED, True)


def test_outside_a_job_nobody_listens(monkeypatch: pytest.MonkeyPatch) -> None:
    for name in ("SLURM_JOB_ID", "SLURM_ARRAY_JOB_ID"):
        monkeypatch.delenv(name, raising=False)
    before = signal.getsignal(signal.SIGUSR1)
    Ending().watch_scheduler()
    assert signal.getsignal(signal.SIGUSR1) == before


def test_a_missing_scontrol_is_said(job: Path, caplog: pytest.LogCaptureFixture) -> None:
    requeue()
    assert "no scontrol on the path" in caplog.text


def test_what_scontrol_refuses_is_said(job: Path, caplog: pytest.LogCaptureFixture) -> None:
    job.write_text("#!/bin/sh\necho Requested operation is disabled >&2\nexit 1\n")
    job.chmod(0o755)
    requeue()
    assert "not requeued: scontrol says: Requested operation is disabled" in caplog.text


@pytest.mark.usefixtures("_handlers")
def test_the_state_is_saved_from_the_first_step_on_and_not_before(tmp_path: Path) -> None:
    kept = ModelCheckpoint(tmp_path)
    with_checkpoints = L.Trainer(accelerator="cpu", devices=1, logger=False, callbacks=[kept])
    assert not kept.save_on_exception
    Ending().on_train_start(with_checkpoints, L.LightningModule())
    assert kept.save_on_exception


def test_the_way_on_names_run_and_packages(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv(run_folder.VARIABLE, "my runs/a")
    line = way_on(["fit", "--import-from", "mylab", "--import-from=other"], step=7)
    assert line.startswith("stopped at step 7, state saved; to go on: synthpert fit ")
    words = shlex.split(line.partition("to go on: ")[2])
    assert words[words.index("--config") + 1] == "my runs/a/config.yaml"
    assert words[-2:] == ["--ckpt_path", "last"]
    assert "mylab" in words
    assert "other" in words


def test_without_anything_that_saves_no_state_is_said_to_be_saved() -> None:
    assert way_on(["fit"], step=7, saved=False).startswith("stopped at step 7, nothing saved")


@pytest.mark.usefixtures("_handlers")
@pytest.mark.parametrize("sent", [signal.SIGINT, signal.SIGTERM])
def test_ranks_stop_at_the_end_of_a_step_whichever_hears_a_signal(
    sent: signal.Signals, trainer: L.Trainer, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(type(trainer), "world_size", 2)
    ending = Ending()
    ending.on_train_start(trainer, L.LightningModule())
    signal.raise_signal(sent)
    assert not trainer.received_sigterm
    ending.on_train_batch_end(trainer)
    assert trainer.received_sigterm
    ending.on_exception(trainer, L.LightningModule(), SIGTERMException())
    assert ending.code == (INTERRUPTED if sent == signal.SIGINT else TERMINATED)


def test_the_handlers_of_a_command_end_with_it() -> None:
    before = signal.getsignal(signal.SIGINT)
    with handlers_put_back():
        signal.signal(signal.SIGINT, signal.SIG_IGN)
    assert signal.getsignal(signal.SIGINT) == before
