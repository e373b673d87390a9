"""What a signal means for the exit code, and the command that goes on."""

from __future__ import annotations

import shlex
import signal
from collections.abc import Iterator

import lightning as L
import pytest
from lightning.pytorch.utilities.exceptions import SIGTERMException

from synthpert import run_folder
from synthpert.stopping import INTERRUPTED, TERMINATED, Ending, way_on


@pytest.fixture
def trainer() -> L.Trainer:
    return L.Trainer(accelerator="cpu", devices=1, logger=False, enable_checkpointing=False)


@pytest.fixture
def _handlers() -> Iterator[None]:
    before = {each: signal.getsignal(each) for each in (signal.SIGINT, signal.SIGTERM)}
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


def test_the_way_on_names_run_and_packages(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv(run_folder.VARIABLE, "my runs/a")
    line = way_on(["fit", "--import-from", "mylab", "--import-from=other"], step=7)
    assert line.startswith("stopped at step 7, state saved; to go on: synthpert fit ")
    words = shlex.split(line.partition("to go on: ")[2])
    assert words[words.index("--config") + 1] == "my runs/a/config.yaml"
    assert words[-2:] == ["--ckpt_path", "last"]
    assert "mylab" in words
    assert "other" in words
