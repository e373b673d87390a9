"""Which rows are of a test question's perturbation: the one guard of traces made and trained on."""

from __future__ import annotations

from pathlib import Path

import polars as pl

from synthpert.errors import InputError
from synthpert.questions import CELL_LINES, cell_lines_in


def leaked(rows: pl.DataFrame, test: pl.DataFrame, split: str) -> pl.Series:
    """Mark the rows that must not be trained on.

    By perturbation, not by triple alone: a perturbation is on one side of a line's split, and in
    the strict split on one side of all of them. In whatever case: no two symbols of the benchmark
    differ by case alone.

    Args:
        rows: Columns cell_line and pert.
        test: The test questions of the split, with the same columns.
        split: Its name, as `split_questions` takes it.

    Returns:
        Boolean, as long as `rows`.
    """
    keys = ["pert"] if split == "strict" else ["cell_line", "pert"]
    fold = [pl.col(key).str.to_lowercase() for key in keys]
    tested = test.select(fold).unique().with_columns(leaked=pl.lit(True))
    marked = rows.select(fold).join(tested, on=keys, how="left", maintain_order="left")
    return marked["leaked"].fill_null(False)


def refuse_leaked(rows: pl.DataFrame, tested: pl.Series, file: Path, expected: str) -> None:
    """Refuse a table of traces at its first row of a test perturbation.

    Args:
        rows: Columns cell_line, pert and gene.
        tested: What `leaked` says of them.
        file: Where they are from.
        expected: What would have been right.

    Raises:
        InputError: If there is such a row.
    """
    count = int(tested.sum())
    if count:
        first = rows.filter(tested).row(0, named=True)
        raise InputError(
            f"{count:,} of {len(rows):,} traces are of test perturbations",
            file=file,
            got=f"{first['cell_line']} {first['pert']} {first['gene']}",
            expected=expected,
        )


def refuse_other_lines(traces: pl.DataFrame, folder: Path, file: Path) -> None:
    """Refuse a cell line of no question: `K562` would pass by the test rows of `k562`.

    Args:
        traces: With the column cell_line.
        folder: Of the benchmark; all its cell lines are known, also those that are not asked for.
        file: Where the traces are from.

    Raises:
        InputError: At the first cell line that the benchmark has not.
    """
    known = cell_lines_in(folder)
    spelled = {name.casefold(): name for name in known}
    for line in traces["cell_line"].unique(maintain_order=True):
        near = spelled.get(line.casefold(), line if line in CELL_LINES else None)
        if line not in known and near != line:
            raise InputError(
                "traces of an unknown cell line",
                file=file,
                column="cell_line",
                got=line,
                expected=f"one of {', '.join(known)}",
                near=near,
            )
