"""A run that is interrupted or terminated keeps its state and says how to go on."""

from __future__ import annotations

import csv
import re
import shlex
import signal
import subprocess
import sys
import time
from pathlib import Path

import pytest
import torch
from cli_recipe import column, environment, recipe, write

from synthpert.__main__ import main

# Slow enough to be hit between two steps, and says when training is under way.
SLOW = """
import time
from pathlib import Path
import lightning as L

class Slow(L.Callback):
    def on_train_batch_end(self, trainer, pl_module, outputs, batch, batch_idx):
        if trainer.global_step == 4:
            Path("under_way").touch()
        if trainer.global_step >= 4 and Path("slow").exists():
            time.sleep(0.2)
"""
STEPS = 60


@pytest.mark.parametrize(("sent", "code"), [(signal.SIGINT, 130), (signal.SIGTERM, 143)])
def test_a_signal_ends_a_run_that_the_printed_command_goes_on_with(
    sent: signal.Signals, code: int, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (tmp_path / "slowly.py").write_text(SLOW)
    (tmp_path / "slow").touch()
    settings = recipe()
    settings["trainer"]["max_steps"] = STEPS
    settings["trainer"]["callbacks"].append({"class_path": "slowly.Slow"})
    # Only the signal is to save a checkpoint.
    settings["trainer"]["callbacks"][4]["init_args"]["every_n_train_steps"] = 1000
    config = write(tmp_path / "recipe.yaml", settings)
    command = ["fit", "--config", config, "--run", "runs/a", "--import-from", "slowly"]
    with subprocess.Popen(
        [sys.executable, "-m", "synthpert", *command],
        cwd=tmp_path,
        env=environment(),
        stderr=subprocess.PIPE,
        text=True,
    ) as process:
        until = time.monotonic() + 60
        while not (tmp_path / "under_way").exists() and time.monotonic() < until:
            time.sleep(0.05)
        process.send_signal(sent)
        _, told = process.communicate(timeout=60)
    assert process.returncode == code
    last = told.splitlines()[-1]
    found = re.fullmatch(r"stopped at step (\d+), state saved; to go on: synthpert (.*)", last)
    assert found is not None, told
    step = int(found[1])
    assert 4 <= step < STEPS
    assert saved_step(tmp_path) == step

    (tmp_path / "slow").unlink()
    monkeypatch.chdir(tmp_path)
    monkeypatch.setattr(sys, "path", [*sys.path])
    monkeypatch.delitem(sys.modules, "slowly", raising=False)
    assert main(shlex.split(found[2])) == 0
    assert saved_step(tmp_path) == STEPS
    with (tmp_path / "runs/a/metrics.csv").open(newline="") as file:
        steps = [int(row["step"]) for row in csv.DictReader(file) if row["train_loss"]]
    # Lightning counts a logged step from 0.
    assert steps == list(range(STEPS))
    assert main([*command[:3], "--run", "runs/whole", *command[5:]]) == 0
    for name in ("train_loss", "grad_norm"):
        assert column(tmp_path / "runs/a", name) == column(tmp_path / "runs/whole", name)


def saved_step(folder: Path) -> int:
    """The step of the run's `last` checkpoint."""
    path = folder / "runs" / "a" / "checkpoints" / "last.ckpt"
    return int(torch.load(path, weights_only=True)["global_step"])


def test_last_is_the_newest_whole_checkpoint(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.chdir(tmp_path)
    settings = recipe()
    # A recipe of one's own may not ask for last.ckpt.
    settings["trainer"]["callbacks"][4]["init_args"] = {"save_top_k": -1, "every_n_train_steps": 2}
    config = write(tmp_path / "recipe.yaml", settings)
    steps = ["fit", "--config", config, "--run", "runs/a", "--trainer.max_steps"]
    assert main([*steps, "4"]) == 0
    checkpoints = tmp_path / "runs/a/checkpoints"
    whole = max(checkpoints.glob("*.ckpt"), key=lambda path: path.stat().st_mtime).read_bytes()
    (checkpoints / "written-half.ckpt").write_bytes(whole[: len(whole) // 2])
    capsys.readouterr()
    assert main([*steps, "6", "--ckpt_path", "last"]) == 0
    assert "trained 2 steps" in capsys.readouterr().err
