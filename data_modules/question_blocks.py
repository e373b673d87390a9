"""The questions of `predict`: where they come from, and their blocks, a batch at a time."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any

import polars as pl
import torch
from torch.utils.data import DataLoader, IterableDataset

from synthpert.errors import InputError
from synthpert.questions import KEY, read_table
from synthpert.screening.asked import Asked, AskedProduct, AskedRows, AskedTable
from synthpert.screening.blocks import Blocks, ProductBlocks
from synthpert.screening.product import Product, read_lists


def refuse_both(questions: Path | None, product: Product | None) -> None:
    """Refuse a table of questions beside a product.

    Raises:
        InputError: If both are given.
    """
    if questions is not None and product is not None:
        raise InputError(
            "the questions are a table or a product",
            column="data.init_args.product",
            expected=f"null beside questions: {questions}",
        )


def asked_of(
    questions: Path | None, product: Product | None, data: Path | None, test: pl.DataFrame | None
) -> Asked:
    """What is asked.

    Args:
        questions: A table of the user's.
        product: Lists of names.
        data: The benchmark's folder.
        test: Its test split, asked where neither of the two is given.

    Raises:
        InputError: If the lists cannot be read.
    """
    if questions is not None:
        return AskedTable(Path(questions))
    if product is not None:
        return AskedProduct(product, data)
    assert test is not None
    return AskedRows(test.select(*KEY, "label"))


def table_of(
    questions: Path | None, product: Product | None, data: Path | None, test: pl.DataFrame | None
) -> pl.DataFrame:
    """All that is asked as one table, in memory; the arguments are those of `asked_of`."""
    if questions is not None:
        return read_table(questions)
    if product is not None:
        lists = read_lists(product, data)
        return ProductBlocks(lists, sum(each.questions for each in lists)).read(0)
    assert test is not None
    return test


class BlockBatches(IterableDataset[dict[str, Any]]):
    """Blocks, read one after another and cut into batches; no batch holds two blocks.

    It has no length: Lightning leaves out the end of a `predict` whose length is 0, and where one
    rank has nothing left the others would wait for it.

    Args:
        blocks: The questions.
        numbers: Which blocks.
        batch_size: Questions a batch.
    """

    def __init__(self, blocks: Blocks | None, numbers: Sequence[int], batch_size: int) -> None:
        self.blocks, self.numbers, self.batch_size = blocks, numbers, batch_size

    def __iter__(self) -> Iterator[dict[str, Any]]:
        """Batches: `questions`, the `index` of each in its `block`, and whether it `ends` there."""
        for number in self.numbers:
            assert self.blocks is not None
            table = self.blocks.read(number)
            table = table.select([name for name in (*KEY, "label") if name in table.columns])
            for begin in range(0, table.height, self.batch_size):
                part = table.slice(begin, self.batch_size)
                end = begin + part.height
                yield {
                    "index": list(range(begin, end)),
                    "questions": part,
                    "block": number,
                    "ends": end == table.height,
                }


def block_loader(
    blocks: Blocks | None, numbers: Sequence[int], batch_size: int
) -> DataLoader[dict[str, Any]]:
    """Load blocks a batch at a time, in the main process.

    Args:
        blocks: The questions; None where there are no numbers.
        numbers: Which blocks.
        batch_size: Questions a batch.
    """
    dataset = BlockBatches(blocks, numbers, batch_size)
    return DataLoader(dataset, batch_size=None, generator=torch.Generator())
