"""PerturbQA's two files of a cell line, each checked by itself and against the other."""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

import polars as pl

from synthpert.errors import InputError
from synthpert.questions.checks import check_names, check_unique
from synthpert.tables import read_text_table, refuse

if TYPE_CHECKING:
    from pathlib import Path

BENCHMARK_COLUMNS: Final = ["pert", "gene", "label", "split"]


def read_cell_line(folder: Path, cell_line: str) -> pl.DataFrame:
    """Read one cell line's differential expression and direction.

    Args:
        folder: Holds CELL-de.csv and CELL-dir.csv, plain or .gz.
        cell_line: CELL.

    Returns:
        The rows of CELL-de in their order: pert, gene, label (`0`, `1` = differentially expressed),
        split (`train`, `test`), up (`0`, `1`; null where label is `0`).

    Raises:
        InputError: At the first row that is wrong by itself or disagrees with the other file.
    """
    de, de_path = _read_task(folder, f"{cell_line}-de.csv")
    direction, direction_path = _read_task(folder, f"{cell_line}-dir.csv")
    if de.is_empty():
        raise InputError("table has no rows", file=de_path)
    _check_directions(de, direction, direction_path)
    directions = direction.select("pert", "gene", up="label")
    table = de.join(directions, on=["pert", "gene"], how="left", maintain_order="left")
    unknown = (pl.col("label") == "1") & pl.col("up").is_null()
    what = f"differentially expressed, but no such pair in {direction_path.name}"
    refuse(table, unknown, what, file=de_path, column="label", expected="its direction")
    return table


def _read_task(folder: Path, name: str) -> tuple[pl.DataFrame, Path]:
    """One of a cell line's two files (plain or .gz), each row checked for itself."""
    plain, packed = folder / name, folder / f"{name}.gz"
    path = packed if packed.is_file() and not plain.exists() else plain
    if not path.exists():
        raise InputError("no such file", file=path, expected="one for each cell line, as shipped")
    table = read_text_table(path, BENCHMARK_COLUMNS).select(BENCHMARK_COLUMNS)
    check_names(table, path, ["pert", "gene"])
    for column, known in (("label", ["0", "1"]), ("split", ["train", "test"])):
        bad = ~pl.col(column).is_in(known)
        expected = " or ".join(known)
        refuse(table, bad, f"unknown {column}", file=path, column=column, expected=expected)
    check_unique(table, path, ["pert", "gene"])
    return table, path


def _check_directions(de: pl.DataFrame, direction: pl.DataFrame, path: Path) -> None:
    """Refuse a direction of a pair that is not differentially expressed or in the other split."""
    joined = direction.join(
        de, on=["pert", "gene"], how="left", suffix="_de", maintain_order="left"
    )
    missing, other = pl.col("label_de").is_null(), pl.col("label_de") == "0"
    refuse(
        joined, missing, "pair has no row in the -de file", file=path, column="gene", expected="one"
    )
    what = "pair is not differentially expressed in the -de file"
    refuse(joined, other, what, file=path, column="label", expected="label 1 there")
    moved = pl.col("split") != pl.col("split_de")
    what = "split differs from the -de file"
    refuse(joined, moved, what, file=path, column="split", expected="the same in both files")
