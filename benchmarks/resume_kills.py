"""SIGKILLs within a fit: is the run that goes on, again and again, the run that was never killed?

    python benchmarks/resume_kills.py                        # 25 kills over 60 steps
    python benchmarks/resume_kills.py KILLS STEPS SEED WORKERS...

Once with no worker processes and once with two, or with those given.
LoRA with dropout on a small base, micro-batches of 4, two of them a step, warm-up, shuffled
examples, epochs of 25 micro-batches, a checkpoint every third step. A callback writes down what
each micro-batch holds and what each step's loss is, and kills its own process at a random step:
when a micro-batch begins, before the optimiser's step, after it, or between two file operations of
the checkpoint. Then the same command goes on. Every line of every life is compared with that of a
run left alone, losses by `float.hex()`. A row of metrics.csv may be missing for each kill between a
checkpoint's rename and the row that Lightning writes after it.

Each life is a fork of this process, which has imported everything and run nothing.
"""

from __future__ import annotations

import hashlib
import json
import multiprocessing
import os
import random
import signal
import sys
import tempfile
import time
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

import lightning as L
import yaml

# What a life would else import anew.
from synthpert.__main__ import main as synthpert

MOMENTS = ("batch", "gradients", "step", "saving")
EVERY = 3
FILE_EVENTS = ("open", "os.rename", "os.remove")


class Diary(L.Callback):
    """Writes down micro-batches and losses, and kills its process.

    Args:
        path: The file, appended to.
        step: The step within which to kill; 0 for never.
        moment: One of `MOMENTS`.
        count: The micro-batch of the step, or the file operation of the checkpoint, to do it at.
    """

    def __init__(self, path: str, step: int = 0, moment: str = "batch", count: int = 0) -> None:
        self.handle = os.open(path, os.O_WRONLY | os.O_APPEND | os.O_CREAT)
        self.step, self.moment, self.count = step, moment, count
        self.logged = -1

    def note(self, kind: str, place: object, told: object) -> None:
        """Append a line, whole even if the next instruction is the kill."""
        os.write(self.handle, (json.dumps([kind, place, told]) + "\n").encode())

    def die_if(self, moment: str, trainer: L.Trainer) -> None:
        """Kill this process if its time has come."""
        if self.step and self.moment == moment and trainer.global_step >= self.step:
            if self.count == 0:
                os.kill(os.getpid(), signal.SIGKILL)
            self.count -= 1

    def on_train_start(self, trainer: L.Trainer, *rest: object) -> None:
        """Begin where the run goes on."""
        self.logged = trainer.global_step

    def on_train_batch_start(
        self, trainer: L.Trainer, module: L.LightningModule, batch: dict[str, Any], index: int
    ) -> None:
        """Note which examples a micro-batch holds."""
        rows = [ids.tolist() for ids in batch["input_ids"]]
        lengths = batch["lengths"].tolist()
        told = [
            hashlib.sha256(str(row[:length]).encode()).hexdigest()[:16]
            for row, length in zip(rows, lengths, strict=True)
        ]
        self.note("examples", [trainer.current_epoch, index], told)
        self.die_if("batch", trainer)

    def on_before_optimizer_step(self, trainer: L.Trainer, *rest: object) -> None:
        """After the gradients, before they are used."""
        self.die_if("gradients", trainer)

    def on_train_batch_end(self, trainer: L.Trainer, *rest: object) -> None:
        """Note the loss of a step."""
        if trainer.global_step != self.logged:
            self.logged = trainer.global_step
            told = [float(trainer.callback_metrics[x]).hex() for x in ("train_loss", "grad_norm")]
            self.note("loss", trainer.global_step, told)
        self.die_if("step", trainer)

    def on_save_checkpoint(self, trainer: L.Trainer, *rest: object) -> None:
        """From here on the files of the checkpoint are written."""
        if self.step and self.moment == "saving" and trainer.global_step >= self.step:
            sys.addaudithook(self._count_file_operations)

    def _count_file_operations(self, event: str, arguments: tuple[object, ...]) -> None:
        if event in FILE_EVENTS:
            if self.count == 0:
                os.kill(os.getpid(), signal.SIGKILL)
            self.count -= 1


@dataclass
class Figures:
    """What came of it."""

    workers: int
    kills: int
    steps: int
    examples_compared: int
    examples_different: int
    losses_compared: int
    losses_different: int
    steps_missing: int
    metrics_rows_missing: int
    adapters_equal: bool
    seconds: float


def recipe(steps: int, workers: int, diary: dict[str, Any]) -> dict[str, Any]:
    """The settings of a life."""
    checkpoints = {"save_last": True, "save_top_k": 0, "every_n_train_steps": EVERY}
    sizes = {"hidden_size": 32, "layers": 2, "heads": 2, "intermediate_size": 64}
    return {
        "seed_everything": 7,
        "trainer": {
            "accelerator": "cpu",
            "devices": 1,
            "precision": "32-true",
            "max_steps": steps,
            "accumulate_grad_batches": 2,
            # Odd, so that each epoch ends in a step of one micro-batch.
            "limit_train_batches": 25,
            "limit_val_batches": 0,
            "log_every_n_steps": 1,
            "enable_progress_bar": False,
            "callbacks": [
                {"class_path": "callbacks.adapter_checkpoint.AdapterCheckpoint"},
                {"class_path": "resume_kills.Diary", "init_args": diary},
                {
                    "class_path": "lightning.pytorch.callbacks.ModelCheckpoint",
                    "init_args": checkpoints,
                },
            ],
        },
        "model": {
            "base": "base",
            "prompts": "compact",
            "max_tokens": 64,
            "dtype": "float32",
            "learning_rate": 1e-2,
            "warmup_steps": 10,
            "lora": {"r": 4, "alpha": 8, "dropout": 0.2},
            "scratch": {**sizes, "max_positions": 64},
        },
        "data": {
            "class_path": "data_modules.tuples.TupleDataModule",
            "init_args": {"cell_lines": ["k562"], "batch_size": 4, "workers": workers},
        },
        "watch": {"mode": "disabled"},
    }


def live(folder: Path, run: str, settings: dict[str, Any]) -> int:
    """Run or go on with a fit in a process of its own; minus the signal, or its exit code."""
    config = folder / f"{run}.yaml"
    config.write_text(yaml.safe_dump(settings), encoding="utf-8")
    life = multiprocessing.get_context("fork").Process(target=_fit, args=(folder, run))
    life.start()
    life.join()
    assert life.exitcode is not None
    return life.exitcode


def _fit(folder: Path, run: str) -> None:
    os.chdir(folder)
    said = os.open(f"{run}.txt", os.O_WRONLY | os.O_APPEND | os.O_CREAT)
    os.dup2(said, 1)
    os.dup2(said, 2)
    words = ["fit", "--config", f"{run}.yaml", "--run", run, "--ckpt_path", "last"]
    sys.exit(synthpert([*words, "--import-from", "resume_kills"]))


def lines(path: Path) -> list[tuple[str, str, str]]:
    """The diary: kind, place and what was told."""
    told = [json.loads(line) for line in path.read_text().splitlines()]
    return [(kind, str(place), str(what)) for kind, place, what in told]


def measure(folder: Path, kills: int, steps: int, workers: int, seed: int = 0) -> Figures:
    """Kill a fit so many times, let it come to its end, and compare it with one left alone.

    Args:
        folder: Where the base, which is made once, and the runs lie.
        kills: How many times.
        steps: Optimiser steps of the fit.
        workers: Processes that load examples.
        seed: Of the moments.
    """
    begin = time.monotonic()
    chance = random.Random(seed)
    alone, killed = f"alone-{workers}", f"killed-{workers}"
    if live(folder, alone, recipe(steps, workers, {"path": f"{alone}.jsonl"})) != 0:
        raise SystemExit((folder / f"{alone}.txt").read_text()[-2000:])
    # In order, and no later than the last checkpoint: each life lives to see its moment.
    moments = sorted(chance.randint(1, steps - EVERY) for _ in range(kills))
    for step in moments:
        moment = chance.choice(MOMENTS)
        count = {"batch": chance.randint(0, 1), "saving": chance.randint(0, 45)}.get(moment, 0)
        diary = {"path": f"{killed}.jsonl", "step": step, "moment": moment, "count": count}
        if (code := live(folder, killed, recipe(steps, workers, diary))) != -signal.SIGKILL:
            said = (folder / f"{killed}.txt").read_text()[-2000:]
            raise SystemExit(f"{diary} ended by itself, with {code}: {said}")
    if live(folder, killed, recipe(steps, workers, {"path": f"{killed}.jsonl"})) != 0:
        raise SystemExit((folder / f"{killed}.txt").read_text()[-2000:])
    return compare(folder, alone, killed, Figures(workers, kills, steps, *[0] * 6, False, begin))


def compare(folder: Path, alone: str, killed: str, figures: Figures) -> Figures:
    """Fill in what differs; the reference tells each place once, the other once a life."""
    expected = {(kind, place): told for kind, place, told in lines(folder / f"{alone}.jsonl")}
    seen = set()
    for kind, place, told in lines(folder / f"{killed}.jsonl"):
        seen.add((kind, place))
        differs = expected.get((kind, place)) != told
        if kind == "loss":
            figures.losses_compared += 1
            figures.losses_different += differs
        else:
            figures.examples_compared += 1
            figures.examples_different += differs
    figures.steps_missing = len(set(expected) - seen)
    rows = [(folder / run / "metrics.csv").read_text().splitlines()[1:] for run in (alone, killed)]
    figures.metrics_rows_missing = len(set(rows[0]) - set(rows[1]))
    sums = [(folder / run / "adapter" / "SHA256SUMS").read_text() for run in (alone, killed)]
    figures.adapters_equal = sums[0] == sums[1]
    figures.seconds = time.monotonic() - figures.seconds
    return figures


def main() -> None:
    """Print the figures as a table; the exit code is 1 if anything differs."""
    given = [*map(int, sys.argv[1:])]
    kills, steps, seed = given[:3] if len(given) >= 3 else (25, 60, 0)
    all_figures = []
    with tempfile.TemporaryDirectory() as folder:
        for workers in given[3:] or (0, 2):
            all_figures.append(measure(Path(folder), kills, steps, workers, seed))
    table = [asdict(figures) for figures in all_figures]
    for name in table[0]:
        cells = [row[name] for row in table]
        shown = [f"{cell:.0f}" if isinstance(cell, float) else str(cell) for cell in cells]
        print(f"| {name.replace('_', ' '):22} | {' | '.join(f'{cell:>8}' for cell in shown)} |")
    zero = ("examples_different", "losses_different", "steps_missing")
    right = all(row["adapters_equal"] and not any(row[x] for x in zero) for row in table)
    sys.exit(0 if right else 1)


if __name__ == "__main__":
    os.environ |= {"TOKENIZERS_PARALLELISM": "false", "OMP_NUM_THREADS": "1"}
    main()
