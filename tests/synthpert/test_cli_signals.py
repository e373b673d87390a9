"""A run that is interrupted or terminated keeps its state and says how to go on."""

from __future__ import annotations

import csv
import os
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
WAY_ON = r"stopped at step (\d+), state saved; to go on: synthpert (.*)"
SCONTROL = """#!/bin/sh
echo "$@" >> scontrol.txt
exit {code}
"""


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
    code_found, told = signalled(tmp_path, command, sent, {})
    assert code_found == code
    found = re.fullmatch(WAY_ON, told.splitlines()[-1])
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


def signalled(
    folder: Path, command: list[str], sent: signal.Signals, variables: dict[str, str]
) -> tuple[int, str]:
    """Send a signal to a run that is under way; its exit code and what it said."""
    with subprocess.Popen(
        [sys.executable, "-m", "synthpert", *command],
        cwd=folder,
        env=environment() | variables,
        stderr=subprocess.PIPE,
        text=True,
    ) as process:
        until = time.monotonic() + 60
        while not (folder / "under_way").exists() and time.monotonic() < until:
            time.sleep(0.05)
        process.send_signal(sent)
        _, told = process.communicate(timeout=60)
    return process.returncode, told


@pytest.mark.parametrize(
    ("array", "job"), [({}, "4711"), ({"SLURM_ARRAY_JOB_ID": "4700"}, "4700_3")]
)
def test_a_slurm_job_is_requeued_with_its_state_saved_and_the_same_command_goes_on(
    array: dict[str, str], job: str, tmp_path: Path
) -> None:
    scontrol = tmp_path / "bin" / "scontrol"
    scontrol.parent.mkdir()
    scontrol.write_text(SCONTROL.format(code=0))
    scontrol.chmod(0o755)
    slurm = {"SLURM_JOB_ID": "4711", "SLURM_JOB_NAME": "fit", "SLURM_ARRAY_TASK_ID": "3", **array}
    slurm |= {"SLURM_NTASKS": "1", "SLURM_NTASKS_PER_NODE": "1", "SLURM_NNODES": "1"}
    slurm |= {"SLURM_PROCID": "0", "SLURM_LOCALID": "0", "SLURM_NODEID": "0"}
    slurm["PATH"] = f"{scontrol.parent}:{os.environ['PATH']}"
    (tmp_path / "slowly.py").write_text(SLOW)
    (tmp_path / "slow").touch()
    settings = recipe()
    settings["trainer"]["max_steps"] = 20
    # Neither a step nor the recipe saves a checkpoint: the signal does.
    settings["trainer"]["callbacks"][4]["init_args"] = {
        "save_last": True,
        "save_top_k": 0,
        "every_n_train_steps": 1000,
    }
    settings["trainer"]["callbacks"][0] = {"class_path": "slowly.Slow"}
    config = write(tmp_path / "recipe.yaml", settings)
    command = ["fit", "--config", config, "--run", "runs/a", "--import-from", "slowly"]
    command += ["--ckpt_path", "last"]
    code, told = signalled(tmp_path, command, signal.SIGUSR1, slurm)
    assert code == 143, told
    assert f"job {job} is back in the queue" in told
    assert (tmp_path / "scontrol.txt").read_text() == f"requeue {job}\n"
    assert not list((tmp_path / "runs/a").glob("hpc_ckpt*"))
    step = saved_step(tmp_path)
    assert 4 <= step < 20

    (tmp_path / "slow").unlink()
    again = subprocess.run(
        [sys.executable, "-m", "synthpert", *command],
        cwd=tmp_path,
        env=environment() | slurm,
        capture_output=True,
        text=True,
        check=False,
    )
    assert again.returncode == 0, again.stderr
    assert f"trained {20 - step} steps" in again.stderr
    assert len(column(tmp_path / "runs/a", "train_loss")) == 20


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
