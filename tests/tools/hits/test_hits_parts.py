"""Parts of whole perturbations: any order of rows, any size of parts, the same hits."""

from __future__ import annotations

from pathlib import Path

import polars as pl
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from screens import screen

from synthpert.errors import InputError
from synthpert.predictions import write_predictions
from tools.hits.parts import Parts, count, lay_out
from tools.hits.ranking import HITS, add_up, tally_genes, tally_perts, top_genes


def parts_of(folder: Path, *tables: pl.DataFrame, part_rows: int = 1000) -> Parts:
    files = [folder / f"{number}.csv" for number in range(len(tables))]
    for file, table in zip(files, tables, strict=True):
        write_predictions(table, file)
    work = folder / "work"
    work.mkdir(exist_ok=True)
    return lay_out(files, count(files), work, told=lambda rows: None, part_rows=part_rows)


@settings(max_examples=15)
@given(seed=st.integers(0, 999), part_rows=st.integers(1, 90))
def test_neither_order_nor_parts_change_the_lists(
    tmp_path_factory: pytest.TempPathFactory, seed: int, part_rows: int
) -> None:
    table = pl.concat([screen(), screen(2, "rpe1")])
    plain = parts_of(tmp_path_factory.mktemp("plain"), table)
    shuffled = table.sample(fraction=1, shuffle=True, seed=seed)
    other = parts_of(tmp_path_factory.mktemp("other"), shuffled, part_rows=part_rows)
    one, two = (pl.concat([top_genes(part, 5) for part in parts]) for parts in (plain, other))
    assert one.columns == list(HITS)
    assert one.equals(two)


def test_a_part_holds_whole_perturbations(tmp_path: Path) -> None:
    parts = parts_of(tmp_path, screen(5), part_rows=45)
    assert [part["pert"].n_unique() for part in parts] == [2, 2, 1]
    assert count(parts.files)["rows"].to_list() == [20] * 5
    assert parts.rows == parts.scan().collect().height == 100


def test_a_question_that_stands_twice_is_named_by_its_row(tmp_path: Path) -> None:
    table = pl.concat([screen(1), screen(1).head(1)])
    with pytest.raises(InputError, match=r"0.csv:22: question stands there twice"):
        list(parts_of(tmp_path, table))


def test_a_file_without_rows_is_refused(tmp_path: Path) -> None:
    with pytest.raises(InputError, match="no rows"):
        parts_of(tmp_path, screen(1).clear())


def test_tallies_count_what_is_asked_called_and_unread(tmp_path: Path) -> None:
    unread = pl.when(pl.col("gene") != "B9").then("answer")
    (part,) = parts_of(tmp_path, screen(1).with_columns(answer=unread))
    told = tally_perts(part).row(0, named=True)
    assert [told[name] for name in ("asked", "unread", "up", "down")] == [20, 1, 3, 3]
    genes = add_up([tally_genes(part), tally_genes(part)])
    assert genes.height == 20
    strongest = genes.sort("activity").row(-1, named=True)
    assert strongest["gene"] == "A0"
    assert strongest["activity"] == pytest.approx(2 * 0.89)
