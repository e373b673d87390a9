"""A user's own table of questions, from CSV, TSV or Parquet."""

from __future__ import annotations

import gzip
from typing import TYPE_CHECKING

import polars as pl
import pytest

from synthpert.errors import InputError
from synthpert.questions import LABEL_DTYPE, read_table

if TYPE_CHECKING:
    from pathlib import Path

TEXT = (
    "note,gene,pert,cell_line,label\n"
    '"a, b",NA,AAMP,k562,upregulated\n'
    ",HBB,AAMP,hela,not differentially expressed\n"
)


def save(path: Path, text: str | bytes) -> Path:
    path.write_bytes(text.encode() if isinstance(text, str) else text)
    return path


def refusal(path: Path) -> str:
    with pytest.raises(InputError) as caught:
        read_table(path)
    assert "\n" not in str(caught.value)
    return str(caught.value).removeprefix(f"{path}")


def test_key_and_label_come_first_and_other_columns_are_kept(tmp_path: Path) -> None:
    table = read_table(save(tmp_path / "mine.csv", TEXT))
    assert table.columns == ["cell_line", "pert", "gene", "label", "note"]
    assert table.row(0) == ("k562", "AAMP", "NA", "upregulated", "a, b")
    assert table.schema["label"] == LABEL_DTYPE


def test_a_table_without_labels_is_read(tmp_path: Path) -> None:
    table = read_table(save(tmp_path / "mine.tsv", "cell_line\tpert\tgene\nk562\tA\tB\n"))
    assert table.rows() == [("k562", "A", "B")]


@pytest.mark.parametrize("suffix", [".csv", ".CSV", ".csv.gz", ".tsv", ".tsv.gz", ".parquet"])
def test_every_kind_of_file_gives_the_same_table(tmp_path: Path, suffix: str) -> None:
    expected = read_table(save(tmp_path / "first.csv", TEXT))
    path = tmp_path / f"mine{suffix}"
    if suffix == ".parquet":
        expected.with_columns(pl.col("pert").cast(pl.Categorical)).write_parquet(path)
    else:
        text = expected.write_csv(separator="\t" if "tsv" in suffix else ",").encode()
        save(path, gzip.compress(text) if suffix.endswith("gz") else text)
    assert read_table(path).equals(expected)


WRONG = {
    "label": (
        TEXT.replace("upregulated", "Upregulated"),
        ":2:label: unknown label (got 'Upregulated'; expected not differentially expressed | "
        "upregulated | downregulated)",
    ),
    "cell line of the benchmark in capitals": (
        TEXT.replace("k562", "K562"),
        ":2:cell_line: unknown cell line (got 'K562'; expected k562)",
    ),
    "date": (
        TEXT.replace("HBB", "2-Sep"),
        ":3:gene: gene turned into a date by a spreadsheet (got '2-Sep'; "
        "expected a gene symbol, such as MARCHF1)",
    ),
    "cell line": (
        TEXT.replace("hela", ""),
        ":3:cell_line: cell_line is empty (got ''; expected a name)",
    ),
    "repeated": (
        TEXT + "x,NA,AAMP,k562,downregulated\n",
        ":4:gene: pair contradicts row 2 (got 'k562, AAMP, NA'; expected each pair once)",
    ),
    "column": (
        TEXT.replace("cell_line", "cell"),
        ":1:cell_line: column is missing (got 'note, gene, pert, cell, label'; "
        "expected cell_line, pert, gene)",
    ),
    "ragged": (
        TEXT.replace("hela,", "hela"),
        ":3: ragged row (got '4 values'; expected 5, as in the header)",
    ),
    "header only": (TEXT.partition("\n")[0], ": table has no rows"),
}


@pytest.mark.parametrize(("text", "message"), WRONG.values(), ids=WRONG)
def test_a_wrong_table_is_refused_with_its_place(tmp_path: Path, text: str, message: str) -> None:
    assert refusal(save(tmp_path / "mine.csv", text)) == message


def test_the_same_pair_may_stand_in_two_cell_lines(tmp_path: Path) -> None:
    text = "cell_line,pert,gene\nk562,A,B\nrpe1,A,B\n"
    assert read_table(save(tmp_path / "mine.csv", text)).height == 2


def test_commas_in_a_tsv_are_refused(tmp_path: Path) -> None:
    path = save(tmp_path / "mine.tsv", "cell_line,pert,gene\nk562,A,B\n")
    assert refusal(path) == ":1: wrong delimiter (got 'commas'; expected tabs)"


def test_pipes_in_a_csv_are_refused(tmp_path: Path) -> None:
    path = save(tmp_path / "mine.csv", "cell_line|pert|gene\nk562|A|B\n")
    assert refusal(path) == ":1: wrong delimiter (got 'pipes'; expected commas)"


def test_an_unknown_kind_of_file_is_refused(tmp_path: Path) -> None:
    path = save(tmp_path / "mine.xlsx", "x")
    assert refusal(path) == ": unknown kind of table (got '.xlsx'; expected .csv, .tsv, .parquet)"


def test_a_broken_parquet_file_is_refused(tmp_path: Path) -> None:
    assert refusal(save(tmp_path / "mine.parquet", "x")).startswith(": not a sound Parquet file: ")
    assert refusal(tmp_path / "none.parquet") == ": no such file"


def test_a_parquet_file_is_checked_as_a_text_file_is(tmp_path: Path) -> None:
    path = tmp_path / "mine.parquet"
    whole = pl.DataFrame({"cell_line": ["k562", "k562"], "pert": ["A", "A"], "gene": ["B", None]})
    whole.write_parquet(path)
    assert refusal(path) == ":3:gene: gene is empty (got ''; expected a name)"
    whole.drop("pert").write_parquet(path)
    assert refusal(path).startswith(":pert: column is missing")
    whole.with_columns(label=pl.lit(1)).write_parquet(path)
    assert refusal(path) == ":label: column is not text (got 'Int32'; expected String)"


def test_a_label_that_is_not_known_may_be_left_out(tmp_path: Path) -> None:
    path = tmp_path / "t.csv"
    path.write_text("cell_line,pert,gene,label\nk562,AARS,A2M,\nk562,AARS,HBB,upregulated\n")
    assert read_table(path)["label"].to_list() == [None, "upregulated"]
