"""Every way in which a prediction file can be wrong: one line, with the place."""

from __future__ import annotations

import gzip
from pathlib import Path

import polars as pl
import pytest

from synthpert.errors import InputError
from synthpert.predictions import read_predictions
from synthpert.predictions.rows import PREDICTION_SCHEMA, check_rows, columns_to_read

SOFT = "cell_line,pert,gene,p_not_de,p_up,p_down\nk,x,a,1,0,0\n"
HARD = "cell_line,pert,gene,answer\nk,x,a,upregulated\n"


def refusal(path: Path, content: str | bytes) -> str:
    """The error's one line, without the folder."""
    path.write_bytes(content.encode() if isinstance(content, str) else content)
    with pytest.raises(InputError) as caught:
        read_predictions(path)
    line = str(caught.value)
    assert "\n" not in line
    return line.removeprefix(f"{path.parent}/")


@pytest.mark.parametrize(
    ("content", "line"),
    [
        ("cell_line,pert,answer\n", "p.csv:1:gene: column is missing"),
        ("cell_line,pert,gene,p_up\n", "p.csv:1:p_not_de: column is missing"),
        (
            "cell_line,pert,gene\n",
            "p.csv:1: column is missing (expected 'answer' or all of p_not_de, p_up, p_down)",
        ),
        (HARD + "k,x,b,up\n", "p.csv:3:answer: wrong value (got 'up'; expected 'not differe"),
        (HARD + "k,x,,upregulated\n", "p.csv:3:gene: gene is empty (got ''; expected a name)"),
        (HARD + ",x,a,upregulated\n", "p.csv:3:cell_line: cell_line is empty"),
        (
            HARD + "k,x,b,\nk,x,a,\n",
            "p.csv:4: question stands there twice (got 'k, x, a'; expected one row per question; "
            "the first is row 2)",
        ),
        (SOFT + "k,x,b,0.5,0.6,-0.1\n", "p.csv:3:p_down: not a probability (got -0.1; expected 0"),
        (SOFT + "k,x,b,nan,0.6,0.1\n", "p.csv:3:p_not_de: not a probability (got nan; expected"),
        (SOFT + "k,x,b,0,inf,0\n", "p.csv:3:p_up: not a probability (got inf; expected 0 to 1)"),
        (SOFT + "k,x,b,0.5,,0.5\n", "p.csv:3:p_up: probability is missing"),
        (SOFT + "k,x,b,0.5,half,0.5\n", "p.csv:3:p_up: wrong value (got 'half'; expected a num"),
        (
            SOFT + "k,x,b,0.5,0.25,0.125\n",
            "p.csv:3:p_not_de + p_up + p_down: probabilities do not sum to 1 (got 0.875; expected",
        ),
        (HARD + "k,x,b,upregulated,1\n", "p.csv:3: ragged row (got '5 values'; expected 4"),
        (HARD + 'k,x,"b,upregulated\n', "p.csv:3: "),
        (b"cell_line,pert,gene,answer\nk,x,\xff,\n", "p.csv:2:gene: not UTF-8 text"),
        (HARD.replace(",", ";"), "p.csv:1: wrong delimiter (got 'semicolons'; expected commas)"),
        (HARD.replace("e,", "e,answer,", 1), "p.csv:1:answer: column stands twice"),
        (HARD + "k,x,b\n", "p.csv:3: ragged row (got '3 values'; expected 4, as in the header)"),
        (HARD.replace("a,", "a\0,"), "p.csv:2:gene: NUL byte (got 'a\\x00'; expected text)"),
        (HARD.encode("utf-16"), "p.csv:1: UTF-16 text (expected UTF-8: save it as `CSV UTF-8`)"),
        ("", "p.csv: file is empty"),
        (HARD.partition("\n")[0] + "\n", "p.csv: no rows (expected one row per question)"),
        (SOFT.partition("\n")[0], "p.csv: no rows"),
    ],
)
def test_a_wrong_csv_is_refused_with_its_place(
    tmp_path: Path, content: str | bytes, line: str
) -> None:
    assert refusal(tmp_path / "p.csv", content).startswith(line)


def test_a_truncated_gzip_is_refused(tmp_path: Path) -> None:
    whole = gzip.compress((HARD + "k,y,z,\n" * 1000).encode())
    assert "truncated" in refusal(tmp_path / "p.csv.gz", whole[:-20])


def test_a_text_called_parquet_is_refused(tmp_path: Path) -> None:
    assert refusal(tmp_path / "p.parquet", HARD).startswith("p.parquet: cannot be read: ")


def test_another_kind_of_file_is_refused(tmp_path: Path) -> None:
    assert refusal(tmp_path / "p.json", "{}").startswith("p.json: not a prediction file")


def test_a_missing_file_is_refused(tmp_path: Path) -> None:
    with pytest.raises(InputError, match=r"p\.csv: no such file"):
        read_predictions(tmp_path / "p.csv")


def test_a_column_of_lists_is_refused(tmp_path: Path) -> None:
    table = pl.DataFrame({"cell_line": ["k"], "pert": ["x"], "gene": ["a"], "answer": [["b"]]})
    table.write_parquet(tmp_path / "p.parquet")
    with pytest.raises(InputError, match="answer: wrong type"):
        read_predictions(tmp_path / "p.parquet")


def test_a_parquet_file_without_rows_is_refused(tmp_path: Path) -> None:
    pl.DataFrame(schema=PREDICTION_SCHEMA).write_parquet(tmp_path / "p.parquet")
    with pytest.raises(InputError, match=r"p\.parquet: no rows"):
        read_predictions(tmp_path / "p.parquet")


def test_a_sum_within_rounding_is_accepted(tmp_path: Path) -> None:
    path = tmp_path / "p.csv"
    path.write_text(SOFT + "k,x,b,0.33333,0.33333,0.33333\n")
    assert len(read_predictions(path)) == 2


def test_columns_are_read_in_the_order_of_the_schema() -> None:
    columns = ["gene", "answer", "pert", "response", "cell_line"]
    wanted = columns_to_read(columns, Path("p.csv"), text=False)
    assert wanted == ["cell_line", "pert", "gene", "answer"]


def test_checked_rows_have_every_column() -> None:
    table = pl.DataFrame({"cell_line": ["k"], "pert": ["x"], "gene": ["a"], "p_up": [None]})
    assert check_rows(table, Path("p.csv")).schema == PREDICTION_SCHEMA
