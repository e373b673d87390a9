"""Small screens whose answers are known, and the command run on them."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

import polars as pl

from synthpert.predictions import write_predictions
from tools.hits import main

UP, DOWN, SAME = "upregulated", "downregulated", "not differentially expressed"
GMT = "ribosome\t\tA0\tA1\tA2\tA2\tA3\nmembrane\t\tB0\tB1\tB2\tB3\tA9\nelsewhere\t\tZ1\tZ2\tZ3\n"


def screen(perts: int = 3, cell_line: str = "k562") -> pl.DataFrame:
    """Twenty genes a perturbation: A0 to A2 go up, B0 to B2 down, more so for the first ones."""
    rows = []
    for pert in range(perts):
        for gene in range(20):
            name = f"{'AB'[gene % 2]}{gene // 2}"
            change = 0.9 - 0.06 * pert - 0.05 * gene if gene < 6 else 0.02
            up, down = (change, 0.01) if gene % 2 == 0 else (0.01, change)
            rows.append((cell_line, f"P{pert}", name, up, down))
    table = pl.DataFrame(rows, schema=["cell_line", "pert", "gene", "p_up", "p_down"], orient="row")
    table = table.with_columns(p_not_de=1 - pl.col("p_up") - pl.col("p_down"))
    called = pl.when(pl.col("p_up") > 0.5).then(pl.lit(UP))
    return table.with_columns(
        answer=called.when(pl.col("p_down") > 0.5).then(pl.lit(DOWN)).otherwise(pl.lit(SAME))
    )


def run(
    folder: Path,
    table: pl.DataFrame,
    *flags: object,
    gmt: str = GMT,
    others: Sequence[Path] = (),
) -> Path:
    """Run `hits` on a table, and other files, with the gene sets above; return its folder."""
    write_predictions(table, folder / "screen.parquet")
    (folder / "sets.gmt").write_text(gmt)
    words = [
        folder / "screen.parquet",
        *others,
        "--gmt",
        folder / "sets.gmt",
        "--out",
        folder / "out",
    ]
    main([str(word) for word in (*words, *flags)])
    return folder / "out"


def read(path: Path) -> pl.DataFrame:
    """A written table, every column text."""
    return pl.read_csv(path, infer_schema=False)
