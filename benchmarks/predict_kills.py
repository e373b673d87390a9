"""SIGKILLs within a screen: does the command that goes on, again and again, end with the same file?

    python benchmarks/predict_kills.py                 # 20 kills, a table and a product
    python benchmarks/predict_kills.py KILLS SEED

A tiny student, made from nothing, answers 1,200 questions in parts of 40: a table of the user's
with columns of its own, then a product of lists; sampled, so that a part answered in other batches
would differ. `synthpert predict` is killed at a random moment: after a random time, in a random
batch, or at a random file operation from the first question put aside to the last part removed. The
same command goes on. In the end the file is compared, cell by cell, with that of a run left alone.

Each life is a fork of this process, which has imported everything and run nothing.
"""

from __future__ import annotations

import multiprocessing
import os
import random
import signal
import sys
import tempfile
import time
from collections import Counter
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import polars as pl
import yaml

# What a life would else import anew.
from callbacks.prediction_writer import PredictionWriter  # noqa: F401
from data_modules.tuples import TupleDataModule  # noqa: F401
from synthpert import student
from synthpert.__main__ import main as synthpert

QUESTIONS, PART = 1200, 40
FILE_EVENTS = (
    "open",
    "os.rename",
    "os.remove",
    "os.mkdir",
    "os.rmdir",
    "os.fsync",
    "shutil.rmtree",
)
MOMENTS = ("time", "batch", "file")


@dataclass
class Figures:
    """What came of it."""

    source: str
    kills: int = 0
    moments: Counter[str] = field(default_factory=Counter)
    parts_kept: int = 0
    rows: int = 0
    equal: bool = False
    left_over: int = 0
    seconds: float = 0.0


def recipe() -> dict[str, Any]:
    """A student of 16 dimensions, which answers a part in a moment."""
    sizes = {"hidden_size": 16, "layers": 1, "heads": 2, "intermediate_size": 32}
    return {
        "seed_everything": 7,
        "trainer": {
            "accelerator": "cpu",
            "devices": 1,
            "precision": "32-true",
            "max_steps": 2,
            "limit_val_batches": 0,
            "enable_progress_bar": False,
            "callbacks": [
                {
                    "class_path": "lightning.pytorch.callbacks.ModelCheckpoint",
                    "init_args": {"save_last": True, "save_top_k": 0},
                }
            ],
        },
        "model": {
            "base": "base",
            "prompts": "compact",
            "max_tokens": 64,
            "dtype": "float32",
            "decoding": {
                "mode": "vote",
                "samples": 2,
                "temperature": 1.0,
                "max_new_tokens": 3,
                "batch_size": 16,
            },
            "scratch": {**sizes, "max_positions": 64},
        },
        "data": {
            "class_path": "data_modules.tuples.TupleDataModule",
            "init_args": {"cell_lines": ["k562"], "eval_batch_size": 16, "part_size": PART},
        },
        "watch": {"mode": "disabled"},
    }


def words(source: str, out: str) -> list[str]:
    """The command of a screen."""
    last = ["predict", "--config", "recipe.yaml", "--run", "run", "--ckpt_path", "last"]
    asked = {
        "table": ["--questions", "mine.csv"],
        "product": ["--cell-line", "k562,rpe1", "--perts", "perts.txt", "--genes", "genes.txt"],
    }
    return [*last, *asked[source], "--out", out]


def prepare(folder: Path) -> None:
    """Write the questions and train the student for a moment."""
    (folder / "recipe.yaml").write_text(yaml.safe_dump(recipe()), encoding="utf-8")
    lines = ["note,cell_line,pert,gene,run"]
    lines += [f'"n, {i}",k562,P{i // 30},G{i % 30},{i}' for i in range(QUESTIONS)]
    (folder / "mine.csv").write_text("\n".join(lines) + "\n", encoding="utf-8")
    for name, count in (("perts", 20), ("genes", QUESTIONS // 40)):
        text = "".join(f"{name[0].upper()}{i}\n" for i in range(count))
        (folder / f"{name}.txt").write_text(text, encoding="utf-8")
    if code := live(folder, ["fit", "--config", "recipe.yaml", "--run", "run"]):
        raise SystemExit(f"{code}: {(folder / 'said.txt').read_text()[-2000:]}")


def live(folder: Path, command: list[str], moment: str = "", count: float = 0) -> int:
    """Run a command in a process of its own, killed at a moment; minus the signal, or its code."""
    life = multiprocessing.get_context("fork").Process(
        target=_live, args=(folder, command, moment, int(count))
    )
    life.start()
    if moment == "time":
        life.join(count)
        life.kill()
    life.join()
    assert life.exitcode is not None
    return life.exitcode


def _live(folder: Path, command: list[str], moment: str, count: int) -> None:
    os.chdir(folder)
    said = os.open("said.txt", os.O_WRONLY | os.O_APPEND | os.O_CREAT)
    os.dup2(said, 1)
    os.dup2(said, 2)
    left = [count]

    def one_less() -> None:
        if left[0] == 0:
            os.kill(os.getpid(), signal.SIGKILL)
        left[0] -= 1

    if moment == "file":
        sys.addaudithook(lambda event, about: one_less() if _of_screen(event, about) else None)
    if moment == "batch":
        answer = student.answer

        def counted(*given: Any, **options: Any) -> pl.DataFrame:
            one_less()
            return answer(*given, **options)

        student.answer = counted
    sys.exit(synthpert(command))


def _of_screen(event: str, about: tuple[Any, ...]) -> bool:
    return event in FILE_EVENTS and any("killed" in str(each) for each in about)


def measure(folder: Path, source: str, kills: int, seed: int) -> Figures:
    """Kill a screen so many times, let it come to its end, and compare it with one left alone.

    Args:
        folder: As `prepare` left it.
        source: `table` or `product`.
        kills: How many times.
        seed: Of the moments.
    """
    figures, chance, begin = Figures(source), random.Random(seed), time.monotonic()
    if live(folder, words(source, f"alone-{source}.parquet")):
        raise SystemExit((folder / "said.txt").read_text()[-2000:])
    whole = time.monotonic() - begin
    out = f"killed-{source}.parquet"
    parts = folder / f"{out}.parts"
    while figures.kills < kills:
        moment = chance.choice(MOMENTS)
        # Short lives, so that there are many before the end.
        most = {"time": 0.6 * whole, "batch": 9, "file": 60}[moment]
        code = live(folder, words(source, out), moment, chance.uniform(0, most))
        if code == -signal.SIGKILL:
            figures.kills += 1
            figures.moments[moment] += 1
            figures.parts_kept = max(figures.parts_kept, len(list(parts.glob("part-*"))))
        elif code:
            raise SystemExit(f"{moment}: {code}: {(folder / 'said.txt').read_text()[-2000:]}")
        else:
            # It came to its end: begin anew, so that each kill hits something.
            compare(folder, source, figures)
            (folder / out).unlink()
    if live(folder, words(source, out)):
        raise SystemExit((folder / "said.txt").read_text()[-2000:])
    compare(folder, source, figures)
    figures.seconds = time.monotonic() - begin
    return figures


def compare(folder: Path, source: str, figures: Figures) -> None:
    """Compare the two files, cell by cell."""
    # In a process of its own: a fork of one that has used polars cannot use it.
    context = multiprocessing.get_context("fork")
    told = context.Queue()
    process = context.Process(target=_compare, args=(folder, source, told))
    process.start()
    figures.rows, figures.equal = told.get()
    process.join()
    figures.left_over = len(list(folder.glob(f"*killed-{source}*"))) - 1
    if not figures.equal:
        raise SystemExit(f"{source}: the files differ after {figures.kills} kills")


def _compare(folder: Path, source: str, told: multiprocessing.Queue[tuple[int, bool]]) -> None:
    alone, killed = (pl.read_parquet(folder / f"{x}-{source}.parquet") for x in ("alone", "killed"))
    told.put((killed.height, alone.equals(killed) and alone.schema == killed.schema))


def main() -> None:
    """Print the figures as a table; the exit code is 1 if anything differs."""
    given = [*map(int, sys.argv[1:])]
    kills, seed = given if len(given) == 2 else (20, 0)
    with tempfile.TemporaryDirectory() as name:
        prepare(Path(name))
        found = [measure(Path(name), source, kills, seed) for source in ("table", "product")]
    print("| source | kills | when | rows | equal | files left over | seconds |")
    print("| --- | ---: | --- | ---: | --- | ---: | ---: |")
    for each in found:
        when = ", ".join(f"{count} {moment}" for moment, count in sorted(each.moments.items()))
        figures = (each.source, each.kills, when, each.rows, each.equal, each.left_over)
        print("|", *(f"{figure} |" for figure in figures), f"{each.seconds:.0f} |")
    sys.exit(0 if all(each.equal and not each.left_over for each in found) else 1)


if __name__ == "__main__":
    os.environ |= {"TOKENIZERS_PARALLELISM": "false", "OMP_NUM_THREADS": "1"}
    main()
