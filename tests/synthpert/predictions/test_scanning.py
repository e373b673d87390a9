"""A prediction file in pieces says what the whole file says."""

from __future__ import annotations

from pathlib import Path

import polars as pl
import pytest

from synthpert.errors import InputError
from synthpert.predictions import read_predictions, scanning
from synthpert.predictions.scanning import count_questions, derive, read_batches, scan, unreadable

COLUMNS = ["cell_line", "pert", "gene", "label", "answer", "p_not_de", "p_up", "p_down"]


def write(path: Path, *lines: str, header: str = "cell_line,pert,gene,answer") -> Path:
    path.write_text("\n".join([header, *lines]) + "\n")
    return path


@pytest.mark.parametrize("header", ["answer", "p_not_de,p_up,p_down"])
def test_pieces_together_are_the_file(
    tmp_path: Path, header: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(scanning, "_CHUNK_BYTES", 80)
    said = "upregulated" if header == "answer" else "0.2,0.7,0.1"
    lines = [f"k562,P,G{gene},{said}" for gene in range(10)]
    path = write(tmp_path / "a.csv", *lines, header=f"cell_line,pert,gene,{header}")
    pieces = list(read_batches(path))
    assert len(pieces) > 1
    assert pl.concat(pieces).equals(read_predictions(path).select(COLUMNS))


def test_a_wrong_row_is_named_as_in_the_whole_file(tmp_path: Path) -> None:
    lines = [f"k562,P,G{gene},upregulated" for gene in range(9)]
    path = write(tmp_path / "a.csv", *lines, "k562,P,G9,sideways")
    pl.read_csv(path).write_parquet(tmp_path / "a.parquet", row_group_size=4)
    with pytest.raises(InputError, match=r"a.parquet:11:answer: wrong value"):
        list(read_batches(tmp_path / "a.parquet", rows=4))


def test_questions_are_counted_by_perturbation(tmp_path: Path) -> None:
    lines = [f"k562,P{gene % 2},G{gene},upregulated" for gene in range(5)]
    path = write(tmp_path / "a.csv", *lines)
    pl.read_csv(path).write_parquet(tmp_path / "a.parquet")
    for file in (path, tmp_path / "a.parquet"):
        assert count_questions(file).sort("pert").rows() == [("k562", "P0", 3), ("k562", "P1", 2)]


def test_a_ragged_row_is_named(tmp_path: Path) -> None:
    path = write(tmp_path / "a.csv", "k562,P,G0,upregulated", "k562,P,G1,upregulated,more")
    with pytest.raises(InputError, match=r"a.csv:3: ragged row"):
        list(read_batches(path))


def test_an_unknown_suffix_is_refused(tmp_path: Path) -> None:
    with pytest.raises(InputError, match="not a prediction file"):
        scan(write(tmp_path / "a.txt", "k562,P,G0,upregulated"))


def test_a_broken_parquet_file_is_one_line(tmp_path: Path) -> None:
    path = tmp_path / "a.parquet"
    path.write_bytes(b"no parquet")
    with pytest.raises(InputError, match="cannot be read"):
        list(read_batches(path))
    assert "\n" not in str(unreadable(path, ValueError("one\ntwo")))


def test_hard_answers_become_certain(tmp_path: Path) -> None:
    table = pl.DataFrame(
        {"answer": ["upregulated", None], "p_not_de": [None] * 2, "p_up": [None] * 2}
    ).with_columns(p_down=None)
    made = derive(table, from_probabilities=False)
    assert made["p_up"].to_list() == [1.0, None]
