"""Which train questions are asked: a seeded draw, uniform or stratified; more of it only adds."""

from __future__ import annotations

import logging
from typing import TYPE_CHECKING

import numpy as np
import polars as pl

from synthpert.errors import InputError
from synthpert.questions import (
    LABEL_DTYPE,
    Label,
    find_data,
    read_questions,
    split_questions,
    to_questions,
)
from synthpert.questions.checks import check_symbols

if TYPE_CHECKING:
    from synthpert.questions import Question
    from tools.traces.settings import Settings

logger = logging.getLogger(__name__)


def draw(settings: Settings) -> list[tuple[Question, Label]]:
    """Read the benchmark and draw the questions that the settings ask for.

    Args:
        settings: Data, split, cell lines, number or share, balance and seed.

    Returns:
        Questions of the train split with their labels, in the order they are asked.

    Raises:
        InputError: If the data cannot be read, holds fewer train questions, or a name in it could
            carry an instruction into a prompt.
    """
    table = read_questions(settings.data)
    # Split before cell lines are chosen: a strict split looks at the tests of all of them.
    train, _ = split_questions(table, settings.split)
    check_symbols(train, find_data(settings.data), ("cell_line", "pert", "gene"))
    if settings.asked_cell_lines is not None:
        train = _only(train, settings.asked_cell_lines)
    number = settings.questions
    if number > train.height:
        raise InputError(
            "more questions than the train split holds",
            file="traces",
            column="questions",
            got=number,
            expected=f"at most {train.height:,}",
        )
    count = round(number * train.height) if number < 1 else int(number)
    if not count:
        raise InputError(
            "no question at all",
            file="traces",
            column="questions",
            got=number,
            expected=f"a larger share of {train.height:,}",
        )
    drawn = _in_order(train, settings.balance, settings.seed).head(count)
    counts = dict(drawn["label"].value_counts().iter_rows())
    logger.info("asking %s", ", ".join(f"{counts.get(each, 0):,} {each}" for each in Label))
    labels = [Label(label) for label in drawn["label"]]
    return list(zip(to_questions(drawn), labels, strict=True))


def _only(train: pl.DataFrame, cell_lines: list[str]) -> pl.DataFrame:
    present = train["cell_line"].unique(maintain_order=True).to_list()
    for name in cell_lines:
        if name not in present:
            raise InputError(
                "no train questions of this cell line",
                file="traces",
                column="cell_lines",
                got=name,
                expected=f"one of {', '.join(present)}",
            )
    return train.filter(pl.col("cell_line").is_in(cell_lines))


def _in_order(train: pl.DataFrame, balance: str, seed: int) -> pl.DataFrame:
    """All rows in an order in which every prefix has the wished shares.

    Uniform: shuffled. Balanced: every stratum has the same number of rows in every prefix, give or
    take one, until it runs out and leaves its places to the others.
    """
    # Sorted first, so that the draw depends on the rows alone and not on their order in a file.
    rows = train.sort("cell_line", "pert", "gene")
    shuffled = rows[np.random.default_rng(seed).permutation(rows.height)]
    if balance == "uniform":
        return shuffled
    strata = ["label"] if balance == "label" else ["label", "cell_line"]
    return (
        shuffled.with_columns(pl.col("label").cast(LABEL_DTYPE))
        .with_columns(place=pl.int_range(pl.len()).over(strata))
        .sort("place", maintain_order=True)
        .drop("place")
    )
