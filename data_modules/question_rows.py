"""Questions to answer, a table a batch."""

from __future__ import annotations

from typing import Any

import polars as pl
from torch.utils.data import Dataset


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
