"""Text cut into pieces of whole rows: the same table, and faults at the row of the file."""

from __future__ import annotations

import csv
import gzip
import io
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from synthpert import text_chunks
from synthpert.errors import InputError
from synthpert.questions import table_chunks
from synthpert.tables import read_parquet_chunks, read_text_chunks, read_text_table

VALUES = st.text(st.sampled_from('ab",\n'), min_size=1, max_size=6)


@settings(deadline=None, max_examples=60)
@given(st.lists(st.tuples(VALUES, VALUES), min_size=1, max_size=12), st.integers(1, 40))
def test_pieces_of_any_size_are_the_whole_table(
    tmp_path_factory: pytest.TempPathFactory, rows: list[tuple[str, str]], size: int
) -> None:
    text = io.StringIO(newline="")
    csv.writer(text, lineterminator="\n").writerows([("a", "b"), *rows])
    path = tmp_path_factory.mktemp("csv") / "table.csv"
    path.write_bytes(text.getvalue().encode())
    pieces = list(read_text_chunks(path, ["a"], size=size))
    assert [row for _, table in pieces for row in table.rows()] == rows
    assert pieces[0][0] == 2
    assert sum(table.height for _, table in pieces) + 2 == pieces[-1][0] + pieces[-1][1].height


def test_a_line_end_may_fall_between_two_pieces(tmp_path: Path) -> None:
    (tmp_path / "t.csv").write_bytes(b"\xef\xbb\xbfa,b\r\n1,2\r\n3,4\r5,6\r\n\r\n")
    for size in range(1, 12):
        pieces = read_text_chunks(tmp_path / "t.csv", ["a"], size=size)
        assert [row for _, x in pieces for row in x.rows()] == [("1", "2"), ("3", "4"), ("5", "6")]


def test_a_packed_file_is_unpacked_by_pieces(tmp_path: Path) -> None:
    (tmp_path / "t.csv.gz").write_bytes(gzip.compress(b"a\n" + b"x\n" * 1000))
    pieces = list(read_text_chunks(tmp_path / "t.csv.gz", ["a"], size=100))
    assert (len(pieces) > 5, sum(table.height for _, table in pieces)) == (True, 1000)


WRONG = {
    "ragged": (b"x,y\n", ":1001: ragged row"),
    "nul": (b"x,y,\0\n", ":1001:gene: NUL byte"),
    "latin": (b"x,y,\xe9\n", ":1001:gene: not UTF-8 text"),
    "date": (b"x,y,2-Sep\n", ":1001:gene: gene turned into a date"),
    "blank line": (b"\nx,y,z\n", ":1001: ragged row"),
}


@pytest.mark.parametrize(("line", "message"), WRONG.values(), ids=WRONG)
def test_a_fault_in_a_later_piece_has_its_row_of_the_file(
    tmp_path: Path, line: bytes, message: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    path = tmp_path / "t.csv"
    rows = b"".join(b"k562,P,G%d\n" % i for i in range(999))
    path.write_bytes(b"cell_line,pert,gene\n" + rows + line + b"k562,A,B\n")
    for size in (64, 1 << 20):
        monkeypatch.setattr(read_text_chunks, "__defaults__", (",", size))
        with pytest.raises(InputError) as caught:
            list(table_chunks(path))
        assert str(caught.value).removeprefix(str(path)).startswith(message)


def test_a_quote_that_is_never_closed_does_not_take_all_memory(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(text_chunks, "LONGEST_ROW", 1000)
    (tmp_path / "t.csv").write_bytes(b'a,b\n1,"' + b"2,3\n" * 5000)
    with pytest.raises(InputError, match="row does not end"):
        list(read_text_chunks(tmp_path / "t.csv", ["a"], size=100))


def test_a_parquet_file_is_read_in_pieces(tmp_path: Path) -> None:
    (tmp_path / "t.csv").write_text("a\n" + "x\n" * 1000)
    read_text_table(tmp_path / "t.csv", ["a"]).write_parquet(tmp_path / "t.parquet")
    pieces = list(read_parquet_chunks(tmp_path / "t.parquet", ["a"], size=100))
    assert (len(pieces) > 5, sum(table.height for _, table in pieces)) == (True, 1000)
    assert [first for first, _ in pieces][:2] == [2, 2 + pieces[0][1].height]
