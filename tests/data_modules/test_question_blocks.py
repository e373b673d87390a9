"""The blocks of `predict`, cut into batches."""

from __future__ import annotations

from pathlib import Path

import polars as pl
import pytest

from data_modules.evidence import refuse_other_evidence
from data_modules.question_blocks import (
    BlockBatches,
    asked_of,
    block_loader,
    refuse_both,
    table_of,
)
from data_modules.tuples import TupleDataModule
from synthpert.errors import InputError
from synthpert.prompts import load_prompts
from synthpert.questions import KEY
from synthpert.screening.asked import AskedProduct, AskedRows, AskedTable
from synthpert.screening.blocks import TableBlocks
from synthpert.screening.product import Product

TABLE = pl.DataFrame([("k562", "P", f"G{i}", i) for i in range(10)], [*KEY, "n"], orient="row")


def test_no_batch_holds_two_blocks() -> None:
    found = list(BlockBatches(TableBlocks(TABLE, 5), [1, 0], 3))
    assert [(x["block"], x["index"], x["ends"]) for x in found] == [
        *((1, [0, 1, 2], False), (1, [3, 4], True), (0, [0, 1, 2], False), (0, [3, 4], True))
    ]
    assert found[0]["questions"].equals(TABLE[5:8].select(KEY))


def test_a_rank_without_blocks_has_a_loader_all_the_same() -> None:
    loader = block_loader(None, [], 3)
    assert list(loader) == []
    with pytest.raises(TypeError):
        len(loader)


def test_what_is_asked_is_the_table_the_product_or_the_test_split(tmp_path: Path) -> None:
    (tmp_path / "n.txt").write_text("A\nB\n")
    TABLE.write_csv(tmp_path / "t.csv")
    product = Product(["k562"], tmp_path / "n.txt", str(tmp_path / "n.txt"))
    test = TABLE.with_columns(label=pl.lit(None))
    assert isinstance(asked_of(tmp_path / "t.csv", None, None, test), AskedTable)
    assert isinstance(asked_of(None, product, None, test), AskedProduct)
    assert isinstance(asked_of(None, None, None, test), AskedRows)
    assert table_of(tmp_path / "t.csv", None, None, test).height == 10
    assert table_of(None, product, None, test).rows()[-1] == ("k562", "B", "B")
    assert table_of(None, None, None, test) is test


def test_a_table_and_a_product_contradict_one_another(tmp_path: Path) -> None:
    with pytest.raises(InputError, match=r"data\.init_args\.product: the questions are a table or"):
        refuse_both(tmp_path, Product(["k562"], tmp_path, "all"))


def test_parts_of_no_questions_are_refused() -> None:
    with pytest.raises(InputError, match=r"data\.init_args\.part_size"):
        TupleDataModule(part_size=0)


def test_prompts_without_evidence_go_with_any_questions(tmp_path: Path) -> None:
    prompts = load_prompts("compact")
    refuse_other_evidence(prompts, tmp_path, "strict")
    assert prompts.evidence is None
