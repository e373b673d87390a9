"""Questions: what a perturbation does to a gene in a cell line.

Reads PerturbQA (Wu et al., ICLR 2025) or a user's own table, and splits it into train and test.
"""

from __future__ import annotations

import logging
import os
from dataclasses import dataclass
from enum import StrEnum
from pathlib import Path
from typing import TYPE_CHECKING, Final

import polars as pl

from synthpert.errors import InputError
from synthpert.questions.checks import check_names, check_spelling, check_unique
from synthpert.questions.perturbqa import read_cell_line
from synthpert.tables import read_parquet_chunks, read_text_chunks, refuse

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

logger = logging.getLogger(__name__)


class Label(StrEnum):
    """The three outcomes of a question, in the words of PerturbQA's and SynthPert's prompts."""

    NOT_DE = "not differentially expressed"
    UP = "upregulated"
    DOWN = "downregulated"


# The index order of every array and confusion matrix: p_not_de, p_up, p_down.
LABELS: Final[tuple[Label, ...]] = (Label.NOT_DE, Label.UP, Label.DOWN)
LABEL_DTYPE: Final = pl.Enum([label.value for label in LABELS])
CELL_LINES: Final = ("k562", "rpe1", "hepg2", "jurkat")

KEY: Final = ["cell_line", "pert", "gene"]
TABLE_SUFFIXES: Final = {".csv": ",", ".tsv": "\t", ".parquet": None}

# PerturbQA's two columns, "is it differentially expressed" and "does it go up", as one of three.
_LABELLED: Final = (
    pl.when(pl.col("label") == "0")
    .then(pl.lit(Label.NOT_DE.value, LABEL_DTYPE))
    .when(pl.col("up") == "1")
    .then(pl.lit(Label.UP.value, LABEL_DTYPE))
    .otherwise(pl.lit(Label.DOWN.value, LABEL_DTYPE))
)


@dataclass(frozen=True, slots=True)
class Question:
    """How does `gene` respond in `cell_line` when `pert` is knocked down?

    Attributes:
        cell_line: One of `CELL_LINES`, or a name of the user's own.
        pert: Symbol of the perturbed gene.
        gene: Symbol of the measured gene.
    """

    cell_line: str
    pert: str
    gene: str


def to_questions(table: pl.DataFrame) -> list[Question]:
    """One `Question` per row of `table` (columns cell_line, pert, gene), in its order."""
    return [Question(*row) for row in table.select(KEY).iter_rows()]


def find_data(data: Path | str | None = None) -> Path:
    """Find the benchmark's folder.

    Args:
        data: The folder, where the caller was told one.

    Returns:
        `data`; else `$SYNTHPERT_DATA`; else `./data/perturbqa` where that exists; else the
        bundled sample.
    """
    return _find_data(data)[0]


def _find_data(data: Path | str | None) -> tuple[Path, str]:
    """The benchmark's folder, and why it was taken."""
    if data is not None:
        return Path(data), "as asked"
    if os.environ.get("SYNTHPERT_DATA"):
        return Path(os.environ["SYNTHPERT_DATA"]), "$SYNTHPERT_DATA"
    if Path("data/perturbqa").is_dir():
        return Path("data/perturbqa"), "./data/perturbqa"
    return Path(__file__).parents[1] / "sample", "the bundled sample"


def read_questions(
    data: Path | str | None = None, cell_lines: Sequence[str] | None = None
) -> pl.DataFrame:
    """Read PerturbQA's two tables of each cell line into one labelled table, and log whence.

    Args:
        data: Folder with CELL-de.csv and CELL-dir.csv (plain or .gz); None as in `find_data`.
        cell_lines: Which cell lines, in this order; None for all in the folder. PerturbQA's
            k562_set files hold gene sets, another task, and are never a cell line.

    Returns:
        Columns cell_line, pert, gene (String), label (`LABEL_DTYPE`), split (train or test); one
        row per row of the CELL-de files, in their order.

    Raises:
        InputError: If a cell line is not there or a file is not as PerturbQA ships it.
    """
    folder, why = _find_data(data)
    if not folder.is_dir():
        what = "is a file" if folder.exists() else "no such folder"
        raise InputError(what, file=folder, expected="a folder with CELL-de.csv and CELL-dir.csv")
    present = cell_lines_in(folder)
    if not present:
        raise InputError("no cell line in this folder", file=folder, expected="CELL-de.csv")
    asked = present if cell_lines is None else list(dict.fromkeys(cell_lines))
    unknown = [name for name in asked if name not in present]
    if unknown or not asked:
        raise InputError(
            "unknown cell line" if unknown else "no cell line asked for",
            file=folder,
            got=unknown[0] if unknown else None,
            expected=f"one of {', '.join(present)}",
        )
    tables = [
        read_cell_line(folder, name).select(
            pl.lit(name).alias("cell_line"), "pert", "gene", label=_LABELLED, split="split"
        )
        for name in asked
    ]
    # Not before: where reading fails, the error is the only line.
    logger.info("questions from %s (%s)", folder, why)
    return pl.concat(tables)


def read_table(path: Path | str) -> pl.DataFrame:
    """Read a user's own table of questions.

    Args:
        path: .csv, .tsv (both plain or .gz) or .parquet with the columns cell_line, pert, gene
            and, if known, label: one of the three texts of `Label`.

    Returns:
        cell_line, pert, gene (String), label (`LABEL_DTYPE`) if it is there, then the other
        columns as they are (text, from a text file).

    Raises:
        InputError: At the first row that is not a sound question, or stands twice.
    """
    table = pl.concat([piece for _, piece in table_chunks(path)], rechunk=True)
    check_unique(table, Path(path), KEY)
    return table


def table_chunks(path: Path | str) -> Iterator[tuple[int, pl.DataFrame]]:
    """Read a user's own table of questions, of any size, a piece at a time.

    Args:
        path: As `read_table` takes it.

    Yields:
        The row of the file that each piece begins with, and the piece, as `read_table` returns the
        whole. No look is had at questions that stand twice.

    Raises:
        InputError: At the first row that is not a sound question.
    """
    path = Path(path)
    suffix = table_suffix(path)
    if suffix not in TABLE_SUFFIXES:
        raise InputError(
            "unknown kind of table", file=path, got=suffix, expected=", ".join(TABLE_SUFFIXES)
        )
    separator = TABLE_SUFFIXES[suffix]
    chunks = (
        read_text_chunks(path, KEY, separator)
        if separator
        else read_parquet_chunks(path, KEY, ["label"])
    )
    height = 0
    for first, table in chunks:
        height += table.height
        yield first, _sound(table, path, first)
    if not height:
        raise InputError("table has no rows", file=path)


def table_suffix(path: Path) -> str:
    """The suffix that says of which kind a table is, without a last `.gz`."""
    return Path(path.name.lower().removesuffix(".gz")).suffix


def _sound(table: pl.DataFrame, path: Path, first: int) -> pl.DataFrame:
    """Questions, each checked for itself, the key and the label in front."""
    check_names(table, path, ["cell_line"], dates=False, first=first)
    check_names(table, path, ["pert", "gene"], first=first)
    check_spelling(table, path, ["pert", "gene"], first=first)
    for name in CELL_LINES:
        bad = (pl.col("cell_line").str.to_lowercase() == name) & (pl.col("cell_line") != name)
        what = "unknown cell line"
        refuse(table, bad, what, file=path, column="cell_line", expected=name, first=first)
    columns = list(KEY)
    if "label" in table.columns:
        known = [label.value for label in LABELS]
        # Of some questions the outcome may not be known.
        bad = pl.col("label").is_not_null() & ~pl.col("label").is_in(known)
        expected = " | ".join(known)
        what = "unknown label"
        refuse(table, bad, what, file=path, column="label", expected=expected, first=first)
        table = table.with_columns(pl.col("label").cast(LABEL_DTYPE))
        columns.append("label")
    return table.select(columns + [name for name in table.columns if name not in columns])


def split_questions(
    questions: pl.DataFrame, split: str = "default"
) -> tuple[pl.DataFrame, pl.DataFrame]:
    """Split questions into train and test.

    Args:
        questions: As `read_questions` returns them.
        split: `default`, the benchmark's own; `strict`, the same test rows but no train row, of
            any cell line, whose perturbation is tested in some cell line; `held_out:CELL`, train
            on every row of the other cell lines and test on every row of CELL (the paper's
            cross-cell-line protocol).

    Returns:
        (train, test), with the columns and the order of `questions`.

    Raises:
        InputError: If there is no such split or cell line.
    """
    name, _, cell_line = split.partition(":")
    if name == "held_out":
        present = questions["cell_line"].unique(maintain_order=True).to_list()
        if cell_line not in present or len(present) == 1:
            raise InputError(
                "held-out cell line is the only one"
                if cell_line in present
                else "unknown cell line",
                file="split",
                got=split,
                expected=" | ".join(f"held_out:{line}" for line in present),
            )
        held_out = pl.col("cell_line") == cell_line
        return questions.filter(~held_out), questions.filter(held_out)
    if split not in ("default", "strict"):
        raise InputError(
            "unknown split", file="split", got=split, expected="default | strict | held_out:CELL"
        )
    if "split" not in questions.columns:
        raise InputError("column is missing", column="split", got=", ".join(questions.columns))
    unknown = questions["split"].unique().drop_nulls().to_list()
    unknown = sorted(set(unknown) - {"train", "test"})
    if unknown or questions["split"].null_count():
        got = unknown[0] if unknown else ""
        raise InputError("unknown value", column="split", got=got, expected="train | test")
    train, test = (questions.filter(pl.col("split") == part) for part in ("train", "test"))
    if split == "strict":
        train = train.filter(~pl.col("pert").is_in(test["pert"].unique().implode()))
    return train, test


def cell_lines_in(folder: Path) -> list[str]:
    """The cell lines that have a CELL-de file in `folder`, the benchmark's four first."""
    names = {path.name.removesuffix(".gz") for path in folder.glob("*-de.csv*")}
    found = {name.removesuffix("-de.csv") for name in names if name.endswith("-de.csv")}
    found = {name for name in found if not name.endswith("_set")}
    return [name for name in CELL_LINES if name in found] + sorted(found.difference(CELL_LINES))
