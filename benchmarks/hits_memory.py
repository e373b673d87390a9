"""`hits` of screens of growing size: CPU seconds, and the most memory the process ever had.

    python benchmarks/hits_memory.py --rows 100000 1000000 10000000

Each screen asks 20,000 genes of every perturbation, 5 % of them called, with 2,000 gene sets of 10
to 300 genes. Its rows stand perturbation by perturbation, as `predict` writes them, or gene by
gene, so that every perturbation is spread over the whole file. Each run is a process of its own.
"""

from __future__ import annotations

import argparse
import random
import resource
import subprocess
import sys
import tempfile
import time
from pathlib import Path

import polars as pl

GENES = 20_000
SETS = 2_000
SUFFIXES = ("parquet", "csv")


def main() -> None:
    """Measure `hits` on synthetic screens."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--rows", type=int, nargs="+", default=[100_000, 1_000_000, 10_000_000])
    parser.add_argument("--order", choices=("perturbations", "genes"), default="perturbations")
    parser.add_argument("--suffix", choices=SUFFIXES, default="parquet")
    parser.add_argument("--file", type=Path, help="used by the script itself: run on this file")
    options = parser.parse_args()
    if options.file:
        measure(options.file)
        return
    print("| rows | file, MB | CPU s | s | peak, MB |\n| ---: | ---: | ---: | ---: | ---: |")
    with tempfile.TemporaryDirectory(dir=".") as folder:
        for rows in options.rows:
            path = Path(folder) / f"screen.{options.suffix}"
            write_screen(path, rows, options.order)
            write_gene_sets(Path(folder) / "sets.gmt")
            words = [sys.executable, __file__, "--file", str(path)]
            told = subprocess.run(words, check=True, capture_output=True, text=True)
            work, seconds, peak = told.stdout.split()[-3:]
            size = path.stat().st_size / 1e6
            print(f"| {rows:,} | {size:,.0f} | {work} | {seconds} | {peak} |", flush=True)


def write_screen(path: Path, rows: int, order: str) -> None:
    """Write a prediction file, streamed; the same each time.

    Args:
        path: Ends in .parquet or .csv.
        rows: A multiple of 20,000.
        order: What changes slowest.
    """
    number = pl.int_range(rows, dtype=pl.UInt64)
    perts = rows // GENES
    pert, gene = (number // GENES, number % GENES)
    if order == "genes":
        pert, gene = (number % perts, number // perts)
    table = pl.LazyFrame({"none": [None]}).select(pert=pert, gene=gene)
    bits = pl.struct("pert", "gene").hash(0)
    change = ((bits % 1_000_003) / 1_000_003) ** 8
    up = (bits // 1_000_003 % 1_000_003) / 1_000_003
    screen = table.select(
        cell_line=pl.lit("k562"),
        pert=pl.format("P{}", "pert"),
        gene=pl.format("G{}", "gene"),
        p_not_de=1 - change,
        p_up=change * up,
        p_down=change * (1 - up),
    )
    if path.suffix == ".csv":
        screen.sink_csv(path)
    else:
        screen.sink_parquet(path)


def write_gene_sets(path: Path) -> None:
    """Write gene sets, the same each time."""
    draw = random.Random(0)
    lines = []
    for number in range(SETS):
        genes = draw.sample(range(GENES), draw.randint(10, 300))
        lines.append("\t".join([f"set {number}", "", *(f"G{gene}" for gene in genes)]))
    path.write_text("\n".join(lines) + "\n", encoding="utf-8")


def measure(path: Path) -> None:
    """Run the command on a file; print CPU seconds, seconds and peak memory."""
    from tools.hits import main as hits

    start = time.perf_counter()
    hits([str(path), "--out", str(path.parent / "out"), "--gmt", str(path.parent / "sets.gmt")])
    seconds = time.perf_counter() - start
    used = resource.getrusage(resource.RUSAGE_SELF)
    work = used.ru_utime + used.ru_stime
    print(f"{work:.1f} {seconds:.1f} {used.ru_maxrss / 1024:,.0f}")


if __name__ == "__main__":
    main()
