"""Time and peak memory of reading the whole benchmark, beside plain readings of the same files.

    python benchmarks/questions_speed.py DATA      # or SYNTHPERT_DATA=DATA

Each reading runs in a process of its own, five times; the smallest time and the largest peak
resident memory (of the process, its imports included) are printed.
"""

from __future__ import annotations

import csv
import json
import os
import resource
import subprocess
import sys
import time
from pathlib import Path

import polars as pl

from synthpert.questions import CELL_LINES, read_questions

REPEATS = 5


def checked(data: Path) -> int:
    """`read_questions`: both files of each line, every check, joined and labelled."""
    return read_questions(data, CELL_LINES).height


def plain_polars(data: Path) -> int:
    """`polars.read_csv` of the same eight files: nothing checked, nothing joined."""
    paths = [data / f"{line}-{task}.csv" for line in CELL_LINES for task in ("de", "dir")]
    tables = [pl.read_csv(path, infer_schema=False) for path in paths]
    return sum(table.height for table in tables[::2])


def plain_csv(data: Path) -> int:
    """Python's own `csv.DictReader` into lists, as the benchmark's package reads them."""
    rows = {}
    for line in CELL_LINES:
        for task in ("de", "dir"):
            with open(data / f"{line}-{task}.csv", newline="") as file:
                rows[line, task] = list(csv.DictReader(file))
    return sum(len(rows[line, "de"]) for line in CELL_LINES)


READINGS = {"read_questions": checked, "polars.read_csv": plain_polars, "csv.DictReader": plain_csv}


def measure(name: str, data: Path) -> dict[str, float]:
    """Seconds, peak MB and rows of one reading, in this process."""
    start = time.perf_counter()
    rows = READINGS[name](data)
    seconds = time.perf_counter() - start
    peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024
    return {"rows": rows, "seconds": seconds, "peak": peak}


def main() -> None:
    """Print one line per reading."""
    if len(sys.argv) == 3:
        print(json.dumps(measure(sys.argv[2], Path(sys.argv[1]))))
        return
    data = sys.argv[1] if len(sys.argv) == 2 else os.environ.get("SYNTHPERT_DATA")
    if data is None:
        sys.exit("usage: python benchmarks/questions_speed.py DATA")
    print(f"{'reading':16} {'rows':>8} {'seconds':>8} {'ratio':>6} {'peak MB':>8}")
    base = None
    for name in READINGS:
        command = [sys.executable, __file__, data, name]
        runs = [
            json.loads(subprocess.run(command, check=True, capture_output=True).stdout)
            for _ in range(REPEATS)
        ]
        seconds = min(run["seconds"] for run in runs)
        base = base or seconds
        peak = max(run["peak"] for run in runs)
        print(f"{name:16} {runs[0]['rows']:8} {seconds:8.3f} {seconds / base:6.2f} {peak:8.0f}")


if __name__ == "__main__":
    main()
