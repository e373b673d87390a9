"""What a screen asks, put aside and read back by blocks."""

from __future__ import annotations

import gzip
from pathlib import Path

import numpy as np
import polars as pl
import pytest
from tiny import write_benchmark

from synthpert.errors import InputError
from synthpert.questions import KEY, read_table
from synthpert.screening.asked import AskedProduct, AskedRows, AskedTable
from synthpert.screening.blocks import BLOCKS_A_SHARD, ProductBlocks, StagedBlocks, TableBlocks
from synthpert.screening.product import Lists, Product, read_lists, read_names
from synthpert.screening.staging import repeats, stage_table


def table(tmp_path: Path, rows: int = 300) -> Path:
    lines = [f"{i},k562,P{i // 7},G{i % 7},m" for i in range(rows)]
    path = tmp_path / "mine.csv"
    path.write_text("\n".join(["note,cell_line,pert,gene,model", *lines]) + "\n")
    return path


def test_a_staged_table_comes_back_in_its_order_with_its_columns(tmp_path: Path) -> None:
    asked = AskedTable(table(tmp_path))
    count = asked.stage(tmp_path / "staged", 2)
    assert count == 300 > 2 * BLOCKS_A_SHARD
    blocks = asked.blocks(tmp_path / "staged", 2)
    assert blocks.read(149).height == 2
    whole = pl.concat(blocks.read(block) for block in range(150))
    assert whole.equals(read_table(asked.path).rename({"model": "given_model"}))


def test_what_was_put_aside_is_no_longer_the_users_to_edit(tmp_path: Path) -> None:
    asked = AskedTable(table(tmp_path))
    before = asked.identity()
    asked.stage(tmp_path / "staged", 100)
    table(tmp_path, 5)
    assert asked.blocks(tmp_path / "staged", 100).read(2).height == 100
    assert asked.identity() != before


@pytest.mark.parametrize("again", ["4,k562,P1,G3,x", "4,k562,P42,G5,x"])
def test_a_question_that_stands_twice_is_found_far_away(tmp_path: Path, again: str) -> None:
    path = table(tmp_path)
    with path.open("a") as file:
        file.write(f"{again}\n")
    first = 10 + 2 if "P1," in again else 42 * 7 + 5 + 2
    with pytest.raises(InputError, match=rf":302:gene: pair repeats row {first} "):
        stage_table(path, tmp_path / "staged", 10)


def test_repeats_are_found_share_by_share(tmp_path: Path) -> None:
    hashes = np.arange(1000, dtype=np.uint64)
    hashes[[700, 999]] = hashes[[3, 998]]
    hashes.tofile(tmp_path / "hashes")
    for a_pass in (7, 100, 10_000):
        assert repeats(tmp_path / "hashes", 1000, a_pass) == [(3, 700), (998, 999)]


def test_a_table_that_was_answered_before_keeps_both_answers(tmp_path: Path) -> None:
    path = tmp_path / "t.csv"
    path.write_text("cell_line,pert,gene,model,given_model\nk562,A,B,x,y\n")
    stage_table(path, tmp_path / "staged", 10)
    (row,) = StagedBlocks(tmp_path / "staged", 10).read(0).rows(named=True)
    assert (row["given_given_model"], row["given_model"]) == ("x", "y")


def test_a_list_is_spelled_as_prompts_were_trained_with(tmp_path: Path) -> None:
    for name in ("aars", "ENSG00000175899"):
        (tmp_path / "p.txt").write_text(f"AARS\n{name}\n")
        with pytest.raises(InputError, match=rf"p\.txt:2:pert: .*{name}"):
            read_names(tmp_path / "p.txt", "pert")


def test_a_product_asks_line_by_line_and_perturbation_by_perturbation() -> None:
    lists = [Lists("k562", ["A", "B"], ["x", "y", "z"]), Lists("rpe1", ["A"], ["x"])]
    expected = [("k562", p, g) for p in "AB" for g in "xyz"] + [("rpe1", "A", "x")]
    for size in (1, 2, 4, 7, 100):
        blocks = ProductBlocks(lists, size)
        rows = [row for block in range(-(-7 // size)) for row in blocks.read(block).rows()]
        assert rows == expected


def test_all_genes_are_those_of_the_cell_line(tmp_path: Path) -> None:
    data = write_benchmark(tmp_path / "data", genes=3)
    (tmp_path / "perts.txt").write_text("A\nB\n")
    product = Product(["rpe1", "k562"], tmp_path / "perts.txt", "all")
    assert read_lists(product, data) == [
        Lists(line, ["A", "B"], ["G0", "G1", "G2"]) for line in ("rpe1", "k562")
    ]


def test_a_product_put_aside_is_what_it_was(tmp_path: Path) -> None:
    (tmp_path / "names.txt").write_text("A\nB\n")
    product = Product(["k562"], tmp_path / "names.txt", str(tmp_path / "names.txt"))
    asked = AskedProduct(product, None)
    assert asked.stage(tmp_path / "staged", 3) == 4
    (tmp_path / "names.txt").write_text("C\n")
    again = AskedProduct(product, None)
    assert again.blocks(tmp_path / "staged", 3).read(1).rows() == [("k562", "B", "B")]
    assert again.identity() != asked.identity()


NAMES = {
    "lines": ("n.txt", b"A\nB\n"),
    "lines under a name": ("n.txt", b"gene\r\nA\r\nB\r\n\r\n"),
    "packed lines": ("n.txt.gz", gzip.compress(b"A\nB\n")),
    "table": ("n.csv", b"note,gene\n1,A\n2,B\n"),
    "twice": ("n.tsv", b"gene\tnote\nA\t1\nB\t2\nA\t3\n"),
}


@pytest.mark.parametrize(("name", "content"), NAMES.values(), ids=NAMES)
def test_names_come_from_lines_and_from_tables(tmp_path: Path, name: str, content: bytes) -> None:
    (tmp_path / name).write_bytes(content)
    assert read_names(tmp_path / name, "gene") == ["A", "B"]


def test_names_come_from_an_h5ad(tmp_path: Path) -> None:
    anndata = pytest.importorskip("anndata")
    cells = anndata.AnnData(np.zeros((2, 3), np.float32))
    cells.var_names = ["A", "B", "C"]
    cells.write_h5ad(tmp_path / "cells.h5ad")
    assert read_names(tmp_path / "cells.h5ad", "gene") == ["A", "B", "C"]


WRONG_NAMES = {
    "date": ("n.txt", b"A\n2-Sep\n", ":2:gene: gene turned into a date"),
    "date under a name": ("n.txt", b"gene\nA\n2-Sep\n", ":3:gene: gene turned into a date"),
    "blank": ("n.txt", b"A\n\nB\n", ":2:gene: gene is empty"),
    "another column": ("n.csv", b"symbol\nA\n", ":1:gene: column is missing"),
    "nothing": ("n.txt", b"\n", ": file is empty"),
    "no h5ad": ("n.h5ad", b"x", ": not a sound .h5ad file"),
}


@pytest.mark.parametrize(("name", "content", "message"), WRONG_NAMES.values(), ids=WRONG_NAMES)
def test_what_is_no_list_of_names_is_refused(
    tmp_path: Path, name: str, content: bytes, message: str
) -> None:
    (tmp_path / name).write_bytes(content)
    with pytest.raises(InputError) as caught:
        read_names(tmp_path / name, "gene")
    assert str(caught.value).removeprefix(str(tmp_path / name)).startswith(message)


@pytest.mark.parametrize("lines", [["K562"], [""], []])
def test_a_cell_line_that_is_none_is_refused(tmp_path: Path, lines: list[str]) -> None:
    with pytest.raises(InputError, match="--cell-line: "):
        read_lists(Product(lines, tmp_path / "p", "all"), None)


def test_rows_in_memory_are_told_apart_by_their_order(tmp_path: Path) -> None:
    rows = pl.DataFrame([("k562", "A", "B"), ("k562", "A", "C")], KEY, orient="row")
    asked = AskedRows(rows)
    assert asked.stage(tmp_path / "staged", 1) == 2
    assert asked.blocks(tmp_path / "staged", 1).read(1).equals(rows[1:])
    assert asked.identity() != AskedRows(rows.reverse()).identity()
    assert TableBlocks(rows, 5).read(0).equals(rows)
