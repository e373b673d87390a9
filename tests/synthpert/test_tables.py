"""Text tables: every value stays text, and a fault has a place."""

from __future__ import annotations

import csv
import io
from typing import TYPE_CHECKING

import polars as pl
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from synthpert.errors import InputError
from synthpert.questions.checks import check_names, check_spelling, check_unique
from synthpert.questions.perturbqa import read_cell_line
from synthpert.tables import check_file, read_parquet_table, read_text_table, refuse

if TYPE_CHECKING:
    from pathlib import Path

CHARACTERS = st.characters(exclude_categories=["Cs", "Cc"]) | st.sampled_from('",\n')
VALUES = st.text(CHARACTERS, min_size=1)


@settings(deadline=None)  # a busy machine is no failure
@given(st.lists(st.tuples(VALUES, VALUES), min_size=1))
def test_what_a_csv_writer_wrote_is_read_back(
    tmp_path_factory: pytest.TempPathFactory, rows: list[tuple[str, str]]
) -> None:
    text = io.StringIO(newline="")
    csv.writer(text, lineterminator="\n").writerows([("a", "b"), *rows])
    path = tmp_path_factory.mktemp("csv") / "table.csv"
    path.write_bytes(text.getvalue().encode())
    assert read_text_table(path, ["a"]).rows() == rows


def test_an_empty_value_is_null_and_numbers_stay_text(tmp_path: Path) -> None:
    (tmp_path / "t.csv").write_text("a,b\n,007\n")
    assert read_text_table(tmp_path / "t.csv", ["a", "b"]).rows() == [(None, "007")]


def test_the_first_offending_row_is_refused(tmp_path: Path) -> None:
    table = pl.DataFrame({"n": [1, 5, 9]})
    with pytest.raises(InputError) as caught:
        refuse(table, pl.col("n") > 3, "too big", file=tmp_path, column="n", expected="3 at most")
    assert str(caught.value) == f"{tmp_path}:3:n: too big (got 5; expected 3 at most)"


def test_a_sound_table_passes_every_check(tmp_path: Path) -> None:
    table = pl.DataFrame({"pert": ["A", "A"], "gene": ["B", "C"]})
    refuse(table, pl.col("gene") == "D", "", file=tmp_path, column="gene", expected="")
    check_names(table, tmp_path, ["pert", "gene"])
    check_unique(table, tmp_path, ["pert", "gene"])


def test_a_date_is_allowed_where_it_may_be_a_name(tmp_path: Path) -> None:
    table = pl.DataFrame({"cell_line": ["1-Mar"]})
    check_names(table, tmp_path, ["cell_line"], dates=False)
    with pytest.raises(InputError, match="date by a spreadsheet"):
        check_names(table, tmp_path, ["cell_line"])


@pytest.mark.parametrize(
    ("name", "said"),
    [("a2m", r"lower case.*\(got 'a2m'; expected A2M"), ("ENSG00000175899.14", "Ensembl ident")],
)
def test_what_is_no_symbol_of_a_human_gene_is_refused(name: str, said: str, tmp_path: Path) -> None:
    table = pl.DataFrame({"gene": ["C1orf112", "7SK", "RP11-34P13.7", name]})
    with pytest.raises(InputError, match=rf":5:gene: {said}"):
        check_spelling(table, tmp_path, ["gene"])


def test_direction_is_null_where_nothing_changes(tmp_path: Path) -> None:
    header = "pert,gene,label,split\n"
    (tmp_path / "hela-de.csv").write_text(f"{header}A,B,0,train\nA,C,1,train\n")
    (tmp_path / "hela-dir.csv").write_text(f"{header}A,C,0,train\n")
    assert read_cell_line(tmp_path, "hela")["up"].to_list() == [None, "0"]


def test_text_columns_of_parquet_come_as_strings(tmp_path: Path) -> None:
    table = pl.DataFrame({"a": ["x"], "n": [1]}, schema={"a": pl.Enum(["x"]), "n": pl.Int8})
    table.write_parquet(tmp_path / "t.parquet")
    assert read_parquet_table(tmp_path / "t.parquet", ["a"]).dtypes == [pl.String, pl.Int8]
    with pytest.raises(InputError, match=r"n: column is not text .got 'Int8'; expected String"):
        read_parquet_table(tmp_path / "t.parquet", ["a"], ["n"])


def test_a_missing_file_is_refused(tmp_path: Path) -> None:
    with pytest.raises(InputError, match=r"t\.csv: no such file"):
        check_file(tmp_path / "t.csv")
