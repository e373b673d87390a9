"""Which train questions are asked: a seeded draw, stratified by label; more of it only adds."""

from __future__ import annotations

import logging
from typing import TYPE_CHECKING

import numpy as np
import polars as pl

from synthpert.errors import InputError
from synthpert.questions import LABEL_DTYPE, Label, read_questions, split_questions, to_questions

if TYPE_CHECKING:
    from synthpert.questions import Question
    from tools.traces.settings import Settings

logger = logging.getLogger(__name__)


def draw(settings: Settings) -> list[tuple[Question, Label]]:
    """Read the benchmark and draw the questions that the settings ask for.

    Args:
        settings: Data, split, cell lines, number, balance and seed.

    Returns:
        Questions of the train split with their labels, in the order they are asked.

    Raises:
        InputError: If the data cannot be read, or holds fewer train questions.
    """
    table = read_questions(settings.data)
    # Split before cell lines are chosen: a strict split looks at the tests of all of them.
    train, _ = split_questions(table, settings.split)
    if settings.asked_cell_lines is not None:
        train = _only(train, settings.asked_cell_lines)
    if settings.questions > train.height:
        raise InputError(
            "more questions than the train split holds",
            file="traces",
            column="questions",
            got=settings.questions,
            expected=f"at most {train.height:,}",
        )
    drawn = _stratified(train, settings.questions, settings.balance, settings.seed)
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


def _stratified(train: pl.DataFrame, number: int, balance: str, seed: int) -> pl.DataFrame:
    """The first `number` rows of an order in which every prefix has the wished label shares.

    A row's place is its rank within its label, over the label's weight: 1 for equal numbers, the
    label's count for natural shares. A label that runs out leaves its places to the others.
    """
    # Sorted first, so that the draw depends on the rows alone and not on their order in a file.
    rows = train.sort("cell_line", "pert", "gene")
    shuffled = rows[np.random.default_rng(seed).permutation(rows.height)]
    rank = pl.int_range(pl.len()).over("label") + 0.5
    weight = pl.len().over("label") if balance == "natural" else pl.lit(1)
    return (
        shuffled.with_columns(pl.col("label").cast(LABEL_DTYPE), place=rank / weight)
        .sort("place", maintain_order=True)
        .head(number)
        .drop("place")
    )
