"""The prediction file: written whole, read back, derived where only one half was given."""

from __future__ import annotations

import gzip
from pathlib import Path

import polars as pl
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from polars.testing import assert_frame_equal

from synthpert.errors import InputError
from synthpert.predictions import (
    PREDICTION_SCHEMA,
    is_soft,
    read_predictions,
    uniform_where_missing,
    write_predictions,
)

NOT_DE, UP, DOWN = "not differentially expressed", "upregulated", "downregulated"
P = ("p_not_de", "p_up", "p_down")


def predictions(**columns: object) -> pl.DataFrame:
    """Three predictions, one of them unread."""
    table = {
        "cell_line": ["k562", "k562", "rpe1"],
        "pert": ["AARS", "NA", "MT-CO1"],
        "gene": ["NA", "NAN", "1E5"],
        "label": [UP, DOWN, NOT_DE],
        "answer": [UP, None, NOT_DE],
        "p_not_de": [0.1, None, 0.7],
        "p_up": [0.8, None, 0.1],
        "p_down": [0.1, None, 0.2],
        "reasoning": ['a, b\n"c"', None, ""],
        "n_samples": [1, 1, 3],
        "seed": [0, None, 2**62],
    }
    return pl.DataFrame(table | columns, strict=False)


def written(path: Path, text: str) -> Path:
    path.write_text(text, encoding="utf-8")
    return path


@pytest.mark.parametrize("suffix", [".parquet", ".csv"])
def test_what_is_written_is_read_back(tmp_path: Path, suffix: str) -> None:
    path = tmp_path / f"p{suffix}"
    small = predictions(seed=[0, None, 7])
    write_predictions(small, path)
    table = read_predictions(path)
    assert table.schema == PREDICTION_SCHEMA
    expected = small.cast({name: PREDICTION_SCHEMA[name] for name in small.columns})
    assert_frame_equal(table.select(small.columns), expected)


@given(text=st.text(), p=st.floats(0, 1))
@settings(deadline=None, max_examples=40)
def test_any_text_and_number_survives_the_csv(
    tmp_path_factory: pytest.TempPathFactory, text: str, p: float
) -> None:
    path = tmp_path_factory.mktemp("any") / "p.csv"
    table = predictions(
        reasoning=[text, "", None], p_not_de=[p, None, 1.0], p_up=[1 - p, None, 0.0],
        p_down=[0.0, None, 0.0],
    )  # fmt: skip
    write_predictions(table, path)
    assert_frame_equal(
        read_predictions(path).select("reasoning", *P), table.select("reasoning", *P)
    )


def test_genes_called_na_stay_genes(tmp_path: Path) -> None:
    path = written(tmp_path / "p.csv", "cell_line,pert,gene,answer\nk562,NA,null,upregulated\n")
    assert read_predictions(path).row(0)[:3] == ("k562", "NA", "null")


def test_the_answer_is_the_most_probable_class(tmp_path: Path) -> None:
    rows = ["a,0.2,0.5,0.3", "b,0.4,0.2,0.4", "c,0.2,0.4,0.4", "d,0.1,0.2,0.7"]
    text = "cell_line,pert,gene,p_not_de,p_up,p_down\n" + "".join(f"k,x,{row}\n" for row in rows)
    path = written(tmp_path / "p.csv", text)
    assert read_predictions(path)["answer"].to_list() == [UP, NOT_DE, UP, DOWN]


def test_probabilities_of_a_bare_answer_are_one_hot(tmp_path: Path) -> None:
    text = f"cell_line,pert,gene,answer\nk,x,a,{DOWN}\nk,x,b,\n"
    table = read_predictions(written(tmp_path / "p.csv", text))
    assert table.select(P).rows() == [(0.0, 0.0, 1.0), (None, None, None)]
    assert not is_soft(table)


def test_graded_probabilities_are_soft(tmp_path: Path) -> None:
    write_predictions(predictions(), tmp_path / "p.csv")
    assert is_soft(read_predictions(tmp_path / "p.csv"))


def test_an_unread_answer_stays_unread_and_becomes_uniform() -> None:
    told = predictions(p_not_de=[0.1, 1.0, 0.7], p_up=[0.8, 0.0, 0.1], p_down=[0.1, 0.0, 0.2])
    table = uniform_where_missing(told)
    assert table["answer"].to_list() == [UP, None, NOT_DE]
    assert table.select(P).rows() == [(0.1, 0.8, 0.1), (1 / 3, 1 / 3, 1 / 3), (0.7, 0.1, 0.2)]


def test_an_answer_need_not_be_the_most_probable_one(tmp_path: Path) -> None:
    write_predictions(predictions(answer=[DOWN, None, UP]), tmp_path / "p.parquet")
    assert read_predictions(tmp_path / "p.parquet")["answer"].to_list() == [DOWN, None, UP]


def test_long_texts_are_left_out_when_not_wanted(tmp_path: Path) -> None:
    write_predictions(predictions(), tmp_path / "p.parquet")
    table = read_predictions(tmp_path / "p.parquet", text=False)
    assert table.schema == PREDICTION_SCHEMA
    assert table["reasoning"].null_count() == 3


def test_columns_of_others_are_left_out_and_said(
    tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    path = written(tmp_path / "p.csv", f"cell_line,pert,gene,answer,mood\nk,x,a,{UP},fine\n")
    with caplog.at_level("INFO"):
        assert "mood" not in read_predictions(path).columns
    assert "columns left out: mood" in caplog.text


def test_nothing_is_said_of_a_file_that_is_refused(
    tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    path = written(tmp_path / "p.csv", "cell_line,pert,gene,answer,mood\nk,x,a,up,fine\n")
    with caplog.at_level("INFO"), pytest.raises(InputError):
        read_predictions(path)
    assert caplog.text == ""


def test_numbers_as_other_programs_write_them_are_read(tmp_path: Path) -> None:
    path = written(tmp_path / "p.csv", f"cell_line,pert,gene,answer,seed\r\nk,x,a,{UP},3.0\r\n")
    assert read_predictions(path)["seed"].to_list() == [3]


def test_a_gzipped_csv_is_read(tmp_path: Path) -> None:
    path = tmp_path / "p.csv.gz"
    path.write_bytes(gzip.compress(f"cell_line,pert,gene,answer\nk,x,a,{UP}\n".encode()))
    assert read_predictions(path)["answer"].to_list() == [UP]


def test_a_failed_write_leaves_the_old_file(tmp_path: Path) -> None:
    path = tmp_path / "p.csv"
    write_predictions(predictions(), path)
    before = path.read_bytes()
    with pytest.raises(ValueError, match="not columns of a prediction: mood"):
        write_predictions(predictions(mood=["fine"] * 3), path)
    assert path.read_bytes() == before
    assert [file.name for file in tmp_path.iterdir()] == ["p.csv"]


def test_the_folder_is_made(tmp_path: Path) -> None:
    write_predictions(predictions(), tmp_path / "new" / "folder" / "p.parquet")
    assert len(read_predictions(tmp_path / "new" / "folder" / "p.parquet")) == 3


@pytest.mark.parametrize("path", ["p.txt", "p"])
def test_another_suffix_is_refused_for_writing(tmp_path: Path, path: str) -> None:
    with pytest.raises(InputError, match=r"expected \.parquet or \.csv"):
        write_predictions(predictions(), tmp_path / path)


def test_a_folder_that_cannot_be_made_is_one_line(tmp_path: Path) -> None:
    file = written(tmp_path / "file", "")
    with pytest.raises(InputError, match="cannot be written"):
        write_predictions(predictions(), file / "p.csv")
