"""`synthpert convert`: predicted expression of another program becomes a prediction file."""

from __future__ import annotations

import logging
from pathlib import Path
from typing import TYPE_CHECKING

import polars as pl

from synthpert.aliases import read_aliases, rename_symbols
from synthpert.commands import run
from synthpert.errors import InputError
from synthpert.predictions import KEY, most_probable, write_predictions
from synthpert.questions import Label, read_questions, split_questions
from tools.convert.changes import CHANGE, read_changes
from tools.convert.expression import read_expression
from tools.convert.probabilities import fit_threshold, to_probabilities

if TYPE_CHECKING:
    from synthpert.aliases import Aliases

logger = logging.getLogger(__name__)


def main(args: list[str]) -> int:
    """Run the verb.

    Args:
        args: The command line after `convert`.

    Returns:
        The exit code.
    """
    run("convert", convert, args)
    return 0


def convert(
    files: list[str],
    out: str = "predictions.parquet",
    data: str | None = None,
    split: str = "default",
    threshold: float | None = None,
    pert_column: str | None = None,
    gene_column: str | None = None,
    control: str | None = None,
    changes: bool = False,
    aliases: str | None = None,
    model: str | None = None,
) -> None:
    """Make predictions of predicted expression, as GEARS, scGPT or State write it.

    The absolute change of a gene ranks its differential expression, the signed change its
    direction. How large a change must be to be answered as one is a threshold: by default the one
    that the file's changes exceed as often as train rows of the cell line are differentially
    expressed. The probabilities rank; they are not calibrated.
    Example: synthpert convert k562=gears_k562.h5ad rpe1=gears_rpe1.h5ad --out gears.parquet

    Args:
        files: CELL=FILE, or FILE alone where it names the cell line of each row: .h5ad with cells
            (`synthpert[h5ad]`); .csv, .tsv or .parquet with a row per perturbation and a column
            per gene, or with the columns pert, gene and change.
        out: A .parquet or .csv file.
        data: Folder with the benchmark; by default SYNTHPERT_DATA, ./data/perturbqa or the sample.
        split: default, strict or held_out:CELL: whose test questions are answered.
        threshold: The absolute change from which a gene is answered as changed.
        pert_column: Where the perturbation stands, if under no usual name.
        gene_column: Where the gene's symbol stands, if under no usual name.
        control: What the control cells of .h5ad are called, if by no usual name.
        changes: The values of .h5ad are changes already, not expression.
        aliases: A table of gene names and synonyms, for files with other symbols.
        model: What is written as the model; by default the file's name.

    Raises:
        InputError: If a file, the benchmark or a value is wrong, or no question is answered.
    """
    if threshold is not None and not threshold > 0:
        raise InputError("not above 0", file="threshold", got=threshold, expected="a change")
    train, test = split_questions(read_questions(data), split)
    symbols = read_aliases(aliases) if aliases else None
    answered, thresholds = [], {}
    for file in files:
        line, path = _placed(file, test)
        if path.name.lower().endswith(".h5ad"):
            table = read_expression(path, line, pert_column, gene_column, control, changes=changes)
        else:
            table = read_changes(path, line, pert_column, gene_column)
        for part in table.partition_by("cell_line", maintain_order=True):
            name = part["cell_line"][0]
            if name in thresholds:
                raise InputError("cell line is predicted twice", file=path, got=name)
            thresholds[name] = threshold or fit_threshold(part[CHANGE], _share(train, name))
            asked = test.filter(pl.col("cell_line") == name)
            answered.append(_answer(part, asked, thresholds[name], path, symbols))
    if not answered or not (predictions := pl.concat(answered)).height:
        raise InputError(
            "answers no test question", file=files[0], expected="perts and genes of it"
        )
    name = model or f"convert/{Path(files[0].partition('=')[2] or files[0]).stem}"
    record = {
        "system": "convert",
        "split": split,
        "threshold": thresholds,
        "files": [Path(file.partition("=")[2] or file).name for file in files],
    }
    made = predictions.with_columns(most_probable(predictions), model=pl.lit(name))
    write_predictions(made, out, record)
    logger.info("%s: %s predictions", out, f"{predictions.height:,}")


def _placed(file: str, test: pl.DataFrame) -> tuple[str | None, Path]:
    """The cell line that stands before a file, and its path."""
    line, equals, path = file.partition("=")
    if not equals or Path(file).exists():
        return None, Path(file)
    known = test["cell_line"].unique(maintain_order=True).to_list()
    if line not in known:
        raise InputError("no such cell line", file=file, got=line, expected=" | ".join(known))
    return line, Path(path)


def _share(train: pl.DataFrame, line: str) -> float:
    """How often a train row of the cell line, or of any if it has none, is a change."""
    rows = train.filter(pl.col("cell_line") == line)
    labels = (train if rows.is_empty() else rows)["label"]
    return float((labels != Label.NOT_DE.value).mean() or 0)  # type: ignore[arg-type]


def _answer(
    table: pl.DataFrame, asked: pl.DataFrame, threshold: float, path: Path, aliases: Aliases | None
) -> pl.DataFrame:
    """The test questions that the table answers, and a log of those it does not."""
    if aliases is not None:
        table = rename_symbols(table, asked, aliases, path)
    found = asked.select(*KEY, "label").join(table, on=KEY, how="inner", maintain_order="left")
    lacking = {
        name: asked[column].unique().is_in(table[column].unique().implode()).not_().sum()
        for column, name in (("pert", "perturbations"), ("gene", "genes"))
    }
    empty = found[CHANGE].null_count()
    logger.info(
        "%s, %s: %s of %s test questions answered; not in the file: %s; empty: %s",
        path,
        table["cell_line"][0],
        f"{found.height - empty:,}",
        f"{asked.height:,}",
        ", ".join(f"{count:,} {name}" for name, count in lacking.items()),
        f"{empty:,}",
    )
    found = found.drop_nulls(CHANGE)
    p = to_probabilities(found[CHANGE].to_numpy(), threshold)
    return found.select(*KEY, "label").with_columns(p)
