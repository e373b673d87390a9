"""`synthpert baseline`: answers that look at no perturbation, as reference rows of every table."""

from __future__ import annotations

import difflib
from pathlib import Path
from typing import TYPE_CHECKING, Final

import polars as pl

from synthpert.commands import run
from synthpert.errors import InputError
from synthpert.predictions import KEY, PROBABILITIES, most_probable, write_predictions
from synthpert.questions import LABELS, read_questions, split_questions

if TYPE_CHECKING:
    from collections.abc import Callable

# Best calibrated of 0 to 20 on the default split (ECE 0.0025); 0 to 1 give the same accuracy.
SMOOTHING: Final = 1.0
"""How many rows the class shares of the cell line count for, beside a gene's own rows."""


def main(args: list[str]) -> int:
    """Run the verb.

    Args:
        args: The command line after `baseline`.

    Returns:
        The exit code.
    """
    run("baseline", baseline, args)
    return 0


def baseline(
    name: str, data: str | None = None, split: str = "default", out: str | None = None
) -> None:
    """Answer the test questions with a baseline fitted on the train split.

    Names: `majority`, the most frequent class of the cell line, with the class shares as
    probabilities; `gene-prior`, the class shares of the gene in the cell line, whatever the
    perturbation. Example: synthpert baseline gene-prior --out predictions-gene-prior.parquet

    Args:
        name: Which baseline: majority or gene-prior.
        data: Folder with the benchmark; by default SYNTHPERT_DATA, ./data/perturbqa or the sample.
        split: default, strict or held_out:CELL.
        out: A .parquet or .csv file; by default predictions-NAME.parquet.

    Raises:
        InputError: If there is no such baseline, split or benchmark, or `out` cannot be written.
    """
    _check_name(name)
    train, test = split_questions(read_questions(data), split)
    table = answer(name, train, test)
    path = Path(out or f"predictions-{name}.parquet")
    write_predictions(table, path)
    from rich.console import Console

    Console().print(
        f"{path}: {len(table):,} predictions by {name}",
        markup=False,
        highlight=False,
        soft_wrap=True,
    )


def _check_name(name: str) -> None:
    if name not in BASELINES:
        near = difflib.get_close_matches(name, BASELINES, n=1)
        expected = ", ".join(BASELINES) + (f"; did you mean {near[0]!r}?" if near else "")
        raise InputError("unknown baseline", file="synthpert baseline", got=name, expected=expected)


def answer(name: str, train: pl.DataFrame, test: pl.DataFrame) -> pl.DataFrame:
    """Answer questions with a baseline.

    Args:
        name: One of `BASELINES`.
        train: Columns cell_line, pert, gene, label; the baseline is fitted on them.
        test: The same columns; the labels are only copied.

    Returns:
        One prediction per row of `test`: the probabilities, the most probable class as the
        answer, and `baseline/NAME` as the model.

    Raises:
        InputError: If there is no train row, or no such baseline.
    """
    _check_name(name)
    if train.is_empty():
        raise InputError("no train row to fit a baseline on", file=f"baseline {name}")
    table = BASELINES[name](train, test)
    return table.with_columns(
        most_probable(table).alias("answer"), pl.lit(f"baseline/{name}").alias("model")
    )


def _majority(train: pl.DataFrame, test: pl.DataFrame) -> pl.DataFrame:
    """The class shares of the test row's cell line."""
    return _with_class_shares(train, test).select(*KEY, "label", *PROBABILITIES)


def _gene_prior(train: pl.DataFrame, test: pl.DataFrame) -> pl.DataFrame:
    """The gene's class shares in its cell line, smoothed towards those of the line.

    A gene without a train row in the line has the shares of its rows in the other lines, and
    one without any row those of the line.
    """
    own = _count(train, ["cell_line", "gene"], "own")
    lines = _count(train, ["gene"], "any")
    table = _with_class_shares(train, test)
    table = table.join(own, on=["cell_line", "gene"], how="left", maintain_order="left")
    table = table.join(lines, on="gene", how="left", maintain_order="left")
    kind = pl.when(pl.col("own_n").is_not_null())
    n = kind.then(pl.col("own_n")).otherwise(pl.col("any_n")).fill_null(0)
    return table.select(
        *KEY,
        "label",
        *(
            (
                (
                    kind.then(pl.col(f"own_{name}")).otherwise(pl.col(f"any_{name}")).fill_null(0)
                    + SMOOTHING * pl.col(name)
                )
                / (n + SMOOTHING)
            ).alias(name)
            for name in PROBABILITIES
        ),
    )


def _with_class_shares(train: pl.DataFrame, test: pl.DataFrame) -> pl.DataFrame:
    """`test` with the train split's class shares in its cell line, or in all if it has none."""
    shares = train.group_by("cell_line").agg(**_shares())
    overall = train.select(**_shares()).row(0, named=True)
    joined = test.select(*KEY, "label").join(
        shares, on="cell_line", how="left", maintain_order="left"
    )
    return joined.with_columns(pl.col(name).fill_null(overall[name]) for name in PROBABILITIES)


def _shares() -> dict[str, pl.Expr]:
    return {
        name: (pl.col("label") == label.value).mean()
        for name, label in zip(PROBABILITIES, LABELS, strict=True)
    }


def _count(train: pl.DataFrame, key: list[str], prefix: str) -> pl.DataFrame:
    """How many rows of each class each key has, and how many rows in all."""
    counts = {
        f"{prefix}_{name}": (pl.col("label") == label.value).sum().cast(pl.Float64)
        for name, label in zip(PROBABILITIES, LABELS, strict=True)
    }
    return train.group_by(key).agg(pl.len().cast(pl.Float64).alias(f"{prefix}_n"), **counts)


BASELINES: Final[dict[str, Callable[[pl.DataFrame, pl.DataFrame], pl.DataFrame]]] = {
    "majority": _majority,
    "gene-prior": _gene_prior,
}
