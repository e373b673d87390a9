"""Raw tuples: the measured outcome of a question, with no reasoning (the paper's baseline)."""

from __future__ import annotations

import math

import polars as pl

from data_modules.batching import Examples
from data_modules.questions import QuestionDataModule
from synthpert.encoding import Encoder

_PROBED = 64
_PROBED_EVIDENCE = 1000


class TupleDataModule(QuestionDataModule):
    """Trains on the train split itself; the target is the bare answer."""

    def rows(self, train: pl.DataFrame, test: pl.DataFrame) -> pl.DataFrame:
        """All train questions."""
        return train.select("cell_line", "pert", "gene", "label")

    def fitting(self, rows: pl.DataFrame, encoder: Encoder) -> pl.DataFrame:
        """All rows: a question is short, and the longest ones are tried before training.

        How long evidence is does not follow from the symbols: where the prompts have some, rows
        from all over the table are tried too.

        Raises:
            InputError: If one of them is longer than `max_tokens`.
        """
        length = pl.sum_horizontal(pl.col("pert", "gene").str.len_bytes())
        longest = rows.top_k(_PROBED, by=length)
        if encoder.prompts.needs_evidence:
            spread = rows.gather_every(math.ceil(len(rows) / _PROBED_EVIDENCE))
            longest = pl.concat([longest, spread])
        Examples(longest, encoder).__getitems__(range(len(longest)))
        return rows
