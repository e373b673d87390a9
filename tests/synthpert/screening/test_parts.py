"""Parts of a screen: whole or absent, checked, joined in order; and how long it takes."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import polars as pl
import pytest

from synthpert.errors import InputError
from synthpert.predictions import read_predictions
from synthpert.predictions.records import read_record
from synthpert.predictions.rows import complete
from synthpert.screening import parts
from synthpert.screening.asked import AskedRows
from synthpert.screening.blocks import TableBlocks, refuse_nested
from synthpert.screening.pace import Pace, spell_rate, spell_size, spell_time

ROWS = pl.DataFrame(
    {"cell_line": ["k562"] * 5, "pert": list("ABCDE"), "gene": ["G"] * 5, "note": list("vwxyz")}
)
WAY: dict[str, Any] = {"questions": AskedRows(ROWS).identity(), "decoding": {"seed": 0}}


def begun(place: Path) -> parts.Manifest:
    assert not parts.is_finished(place, WAY)
    return parts.begin(place, AskedRows(ROWS), WAY, 2)


def answer(place: Path, part: int) -> None:
    rows = ROWS.slice(2 * part, 2)
    answered = rows.drop("note").with_columns(
        answer=pl.lit("upregulated"), label=pl.lit("downregulated")
    )
    parts.write_part(place, part, complete(answered).hstack(rows.select("note")))


@pytest.mark.parametrize("suffix", [".parquet", ".csv"])
def test_parts_become_one_file_in_the_order_of_the_questions(tmp_path: Path, suffix: str) -> None:
    place = tmp_path / "out" / f"p{suffix}"
    assert begun(place).parts == 3
    for part in (2, 0, 1):
        answer(place, part)
    counts = parts.join(place, {"system": "student"})
    assert counts.rows() == [("downregulated", "upregulated", 5)]
    assert read_predictions(place)["pert"].to_list() == list("ABCDE")
    read = pl.read_parquet if suffix == ".parquet" else pl.read_csv
    assert read(place)["note"].to_list() == list("vwxyz")
    assert read_record(place)["system"] == "student"
    assert parts.is_finished(place, WAY)
    assert not parts.parts_folder(place).exists()


def test_a_screen_goes_on_with_its_good_parts(
    tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    place = tmp_path / "p.parquet"
    begun(place)
    for part in range(3):
        answer(place, part)
    folder = parts.parts_folder(place)
    damaged = next(folder.glob("part-00000001-*"))
    damaged.write_bytes(damaged.read_bytes()[:-1] + b"x")
    (folder / ".part-00000002.parquet").write_bytes(b"half")
    assert begun(place).questions == 5
    assert sorted(parts.good_parts(place)) == [0, 2]
    assert "is damaged" in caplog.text
    assert not damaged.exists()
    assert not list(folder.glob(".part*"))


def test_parts_of_something_else_are_left_alone(tmp_path: Path) -> None:
    place = tmp_path / "p.parquet"
    begun(place)
    answer(place, 0)
    with pytest.raises(InputError, match=r"with other decoding lie here.*another --out"):
        parts.is_finished(place, {**WAY, "decoding": {"seed": 1}})


def test_a_screen_that_answered_nothing_stands_in_no_ones_way(tmp_path: Path) -> None:
    place, other = tmp_path / "p.parquet", {**WAY, "decoding": {"seed": 1}}
    begun(place)
    assert not parts.is_finished(place, other)
    assert parts.begin(place, AskedRows(ROWS), other, 2).identity == other


def test_parts_that_a_kill_left_without_a_manifest_are_not_taken_for_good(tmp_path: Path) -> None:
    place = tmp_path / "p.parquet"
    begun(place)
    answer(place, 0)
    (parts.parts_folder(place) / "manifest.json").unlink()
    begun(place)
    assert parts.good_parts(place) == {}


def test_questions_that_change_while_they_are_read_are_refused(tmp_path: Path) -> None:
    place = tmp_path / "p.parquet"
    way = {**WAY, "questions": {"kind": "rows", "sha256": "b" * 64}}
    with pytest.raises(InputError, match="the questions changed while they were read"):
        parts.begin(place, AskedRows(ROWS), way, 2)
    assert not parts.parts_folder(place).exists()


def test_a_whole_file_is_known_whatever_its_parts_were(tmp_path: Path) -> None:
    place = tmp_path / "p.parquet"
    parts.begin(place, AskedRows(ROWS), {**WAY, "part_size": 2}, 2)
    for part in range(3):
        answer(place, part)
    parts.join(place, {})
    assert parts.is_finished(place, {**WAY, "part_size": 5})


def test_a_screen_that_goes_on_keeps_the_name_of_its_run(tmp_path: Path) -> None:
    place = tmp_path / "p.parquet"
    for run in ("first", "second"):
        assert parts.begin(place, AskedRows(ROWS), WAY, 2, run).run == "first"


def test_a_csv_of_lists_is_refused_before_the_work(tmp_path: Path) -> None:
    rows = ROWS.with_columns(note=pl.lit([1, 2]))
    with pytest.raises(InputError, match=r"p\.csv:note: a .csv cannot hold this column"):
        refuse_nested(tmp_path / "p.csv", TableBlocks(rows, 2))
    refuse_nested(tmp_path / "p.parquet", TableBlocks(rows, 2))


def test_a_file_of_something_else_is_not_overwritten(tmp_path: Path) -> None:
    place = tmp_path / "p.csv"
    place.write_text("cell_line,pert,gene,answer\n")
    with pytest.raises(InputError, match="predictions of something else lie here"):
        parts.is_finished(place, WAY)
    with pytest.raises(InputError, match=r"\.parquet or \.csv"):
        parts.is_finished(tmp_path / "p.xlsx", WAY)


def test_a_csv_whose_record_a_kill_took_is_made_again(tmp_path: Path) -> None:
    place = tmp_path / "p.csv"
    begun(place)
    for part in range(3):
        answer(place, part)
    place.write_text("cell_line\n")
    assert not parts.is_finished(place, WAY)
    parts.join(place, {})
    assert parts.is_finished(place, WAY)


def test_a_column_that_a_csv_cannot_hold_is_told(tmp_path: Path) -> None:
    place = tmp_path / "p.csv"
    parts.begin(place, AskedRows(ROWS), WAY, 5)
    rows = complete(ROWS.drop("note")).with_columns(note=pl.Series([[1]] * 5))
    parts.write_part(place, 0, rows)
    with pytest.raises(InputError, match=r"cannot be written.*\.parquet"):
        parts.join(place, {})


def test_a_manifest_that_is_none_is_told(tmp_path: Path) -> None:
    place = tmp_path / "p.parquet"
    begun(place)
    (parts.parts_folder(place) / "manifest.json").write_text("{")
    with pytest.raises(InputError, match=r"manifest\.json: cannot be read"):
        parts.manifest_of(place)
    parts.remove(place)
    with pytest.raises(InputError, match="has no manifest"):
        parts.manifest_of(place)


def test_spans_of_time_and_sizes_are_said_in_two_units() -> None:
    assert [spell_time(x) for x in (0.2, 45, 720, 12_000, 187_200)] == [
        *("1 s", "45 s", "12 min", "3 h 20 min", "2 d 4 h")
    ]
    assert [spell_size(x) for x in (850_000, 1.2e9, 2.5e12)] == ["850 kB", "1.2 GB", "2,500 GB"]
    assert [spell_rate(x) for x in (1812.4, 2.51, 0.5)] == [
        *("1,812 questions/s", "2.5 questions/s", "30 questions/min")
    ]


def test_the_pace_is_told_once_a_minute_and_counts_what_was_done_now() -> None:
    pace = Pace(1000, 400, now=0.0)
    assert pace.add(100, now=59.0) is None
    assert pace.add(200, now=100.0) == "700 of 1,000 questions (70.0 %), 3 questions/s, 2 min left"
    assert pace.add(1, now=159.0) is None
