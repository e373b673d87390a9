"""Questions to answer, a table a batch."""

from __future__ import annotations

from typing import Any

import polars as pl
from torch.utils.data import Dataset

from synthpert.errors import InputError


class QuestionRows(Dataset[pl.DataFrame]):
    """Rows of a table of questions, sliced a batch at a time.

    Args:
        table: The questions, with `index`, their place among all.
    """

    def __init__(self, table: pl.DataFrame) -> None:
        self.table = table

    def __len__(self) -> int:
        return len(self.table)

    def __getitem__(self, index: int) -> pl.DataFrame:
        return self.table[[index]]

    def __getitems__(self, indices: list[int]) -> list[pl.DataFrame]:
        """The rows of one batch, as one table."""
        return [self.table[indices]]


def question_batch(parts: list[pl.DataFrame]) -> dict[str, Any]:
    """What a step of `test` and `predict` is given: `questions`, and the `index` of each."""
    rows = pl.concat(parts)
    return {"index": rows["index"].to_list(), "questions": rows.drop("index")}


def refuse_odd(batch: int, eval_batch: int, share: float, workers: int, seed: int) -> None:
    """Refuse numbers with which nothing can be loaded, or something else than was meant.

    Args:
        batch: Examples a micro-batch.
        eval_batch: Questions a step of `test` and `predict`.
        share: Of the train perturbations, held out for validation.
        workers: Processes that encode.
        seed: Of the draws.

    Raises:
        InputError: Which of them it is.
    """
    least = (("batch_size", batch, 1), ("eval_batch_size", eval_batch, 1))
    for name, value, low in (*least, ("workers", workers, 0), ("seed", seed, 0)):
        if value < low:
            place, wanted = f"data.init_args.{name}", f"{low} or more"
            raise InputError("too small", column=place, got=value, expected=wanted)
    if not 0 <= share <= 1:
        place = "data.init_args.validation_share"
        raise InputError("not a share", column=place, got=share, expected="in [0, 1]")
