"""The record of a prediction file: it travels with the file, and no secret with it."""

from __future__ import annotations

from pathlib import Path

import polars as pl
import pytest

from synthpert.errors import InputError
from synthpert.predictions import read_predictions, write_predictions
from synthpert.predictions.records import fingerprint, read_record, to_json

TABLE = pl.DataFrame({"cell_line": ["k562"], "pert": ["A"], "gene": ["B"], "answer": [None]})
RECORD = {"model": "a/b", "decoding": {"temperature": 0.5}, "probe": None}


@pytest.mark.parametrize("suffix", [".parquet", ".csv"])
def test_a_record_is_read_back_and_the_rows_are_the_same(tmp_path: Path, suffix: str) -> None:
    path, plain = tmp_path / f"a{suffix}", tmp_path / f"b{suffix}"
    write_predictions(TABLE, path, RECORD)
    write_predictions(TABLE, plain)
    assert (read_record(path), read_record(plain)) == (RECORD, {})
    assert read_predictions(path).equals(read_predictions(plain))


def test_a_parquet_file_keeps_its_record_under_another_name(tmp_path: Path) -> None:
    write_predictions(TABLE, tmp_path / "a.parquet", RECORD)
    assert read_record((tmp_path / "a.parquet").rename(tmp_path / "b.parquet")) == RECORD


def test_a_csv_without_a_record_does_not_inherit_that_of_the_file_before(tmp_path: Path) -> None:
    path = tmp_path / "a.csv"
    write_predictions(TABLE, path, RECORD)
    write_predictions(TABLE, path)
    assert read_record(path) == {}


def test_secrets_are_taken_out() -> None:
    assert "sk-" not in to_json({"api_key": "sk-" + "a" * 20, "model": "x"})


def test_the_fingerprint_is_of_the_questions_in_any_order() -> None:
    two = pl.concat([TABLE, TABLE.with_columns(gene=pl.lit("C"))])
    assert fingerprint(two) == fingerprint(two.reverse()) != fingerprint(TABLE)


@pytest.mark.parametrize("text", ["[1]", "{", "\ud800"])
def test_a_record_that_is_no_object_is_refused(tmp_path: Path, text: str) -> None:
    write_predictions(TABLE, tmp_path / "a.csv")
    (tmp_path / "a.record.json").write_bytes(text.encode("utf-8", "surrogatepass"))
    with pytest.raises(InputError, match="record"):
        read_record(tmp_path / "a.csv")
