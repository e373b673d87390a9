"""Make the bundled sample from the full benchmark; the same benchmark gives the same bytes.

    python benchmarks/make_sample.py DATA [OUT]    # OUT: synthpert/sample

Fifty perturbations are drawn from those of all cell lines, and each keeps all its rows in every
line, so that a test perturbation is seen in other lines as often as in the benchmark. Of many
seeded draws the one is taken whose cell lines, classes and test shares are nearest to the
benchmark's.
"""

from __future__ import annotations

import os
import shutil
import sys
from pathlib import Path

import numpy as np
import polars as pl

from synthpert.questions import (
    CELL_LINES,
    leakage,
    read_questions,
    split_questions,
)
from synthpert.questions.perturbqa import BENCHMARK_COLUMNS
from synthpert.tables import read_text_table

SEED = 0
DRAWS = 20_000
PERTS = 51
ROWS = 11_800  # plain CSV of these, with the licence, stays under 300 kB


def draw_perts(questions: pl.DataFrame) -> list[str]:
    """The perturbations of the best draw: rows per (cell line, label, split) as in `questions`."""
    counts = (
        questions.with_columns(cell=pl.concat_str("cell_line", "label", "split", separator="|"))
        .group_by("pert", "cell")
        .len()
        .pivot("cell", index="pert", values="len")
        .fill_null(0)
        .sort("pert")
    )
    cells = sorted(set(counts.columns) - {"pert"})
    table = counts.select(cells).to_numpy().astype(np.int64)
    wanted = table.sum(axis=0) * (ROWS / table.sum())
    generator = np.random.default_rng(SEED)
    best, distance = np.empty(0, np.int64), np.inf
    for _ in range(DRAWS):
        draw = generator.choice(len(table), PERTS, replace=False)
        rows = table[draw].sum(axis=0)
        # Chi-square-like, plus the total, which the file size depends on.
        now = ((rows - wanted) ** 2 / wanted).sum() + max(0, rows.sum() - ROWS)
        if now < distance:
            best, distance = draw, now
    return sorted(counts["pert"].gather(best.tolist()))


def describe(questions: pl.DataFrame) -> str:
    """Rows, class and test shares and leakage, for comparing sample and benchmark."""
    train, test = split_questions(questions)
    rows = leakage(train, test).row(-1, named=True)
    shares = questions["label"].value_counts(normalize=True).sort("label")["proportion"]
    return (
        f"{questions.height:7} rows, not DE / up / down "
        + " / ".join(f"{share:.3f}" for share in shares)
        + f", test {test.height / questions.height:.3f}, test rows with a perturbation seen in "
        f"another line {rows['other_line_share']:.3f}, DE pairs {rows['de_pairs_share']:.3f}"
    )


def main() -> None:
    """Write the eight files and the licence; print how the sample compares."""
    source = sys.argv[1] if len(sys.argv) > 1 else os.environ.get("SYNTHPERT_DATA")
    if source is None:
        sys.exit("usage: python benchmarks/make_sample.py DATA [OUT]")
    data = Path(source)
    out = Path(sys.argv[2] if len(sys.argv) > 2 else "synthpert/sample")
    out.mkdir(parents=True, exist_ok=True)
    questions = read_questions(data, CELL_LINES)
    perts = draw_perts(questions)
    for cell_line in CELL_LINES:
        for task in ("de", "dir"):
            name = f"{cell_line}-{task}.csv"
            table = read_text_table(data / name, BENCHMARK_COLUMNS)
            table.filter(pl.col("pert").is_in(perts)).write_csv(out / name)
    shutil.copyfile(data / "LICENSE.txt", out / "LICENSE.txt")
    sample = read_questions(out)
    print(f"benchmark {describe(questions)}\nsample    {describe(sample)}")
    print(sample.group_by("cell_line", "split", maintain_order=True).len())


if __name__ == "__main__":
    main()
