"""The table of marks: written for people, read back from them, and their marks win."""

from __future__ import annotations

from pathlib import Path

import polars as pl
import pytest

from synthpert.answers.marks import Mark
from synthpert.errors import InputError
from synthpert.questions import Question
from tools.traces.factuality.judging import Thought
from tools.traces.factuality.mark_table import (
    MARK_SCHEMA,
    find_human_marks,
    mark_table,
    with_human_marks,
    with_judge,
    write_marks,
)

CLAUSES = ["- MYC κ-binds, and drives NCL.", '=It "rises";', "'so it falls"]
SAID = [(Mark.TRUE, "ok"), (Mark.FALSE, "ok"), (None, "missing")]


def thought(clauses: list[str] = CLAUSES) -> Thought:
    question = Question("k562", "MYC", "NCL")
    return Thought("a", question, 0, "upregulated", "upregulated", "right", clauses)


def judged() -> pl.DataFrame:
    return with_judge(mark_table([thought()]), [SAID])


def filled_in(folder: Path, number: int, human: str, /, **changes: str) -> Path:
    """Write the table, then fill in a person's mark, as a spreadsheet would."""
    write_marks(judged(), folder)
    path = folder / "marks.csv"
    table = pl.read_csv(path, infer_schema=False)
    here = pl.col("number") == str(number)
    for column, value in {"human": human, **changes}.items():
        changed = pl.when(here).then(pl.lit(value)).otherwise(column)
        table = table.with_columns(changed.alias(column))
    table.write_csv(path)
    return path


def test_a_row_a_clause_and_the_reason_where_there_is_no_mark() -> None:
    table = judged()
    assert table.schema == MARK_SCHEMA
    assert table["clause"].to_list() == CLAUSES
    assert table["mark"].to_list() == ["TRUE", "FALSE", None]
    assert table["reason"].to_list() == [None, None, "missing"]
    assert table["human"].null_count() == 3


@pytest.mark.parametrize("typed", ["FALSE", "false", " False "])
def test_a_persons_mark_wins_over_the_judges(tmp_path: Path, typed: str) -> None:
    path = filled_in(tmp_path, 1, typed)
    for table in (
        with_human_marks(judged(), path),
        with_judge(with_human_marks(mark_table([thought()]), path), [SAID]),
    ):
        assert table["mark"].to_list() == ["FALSE", "FALSE", None]
        assert table["judge"].to_list() == ["TRUE", "FALSE", None]


def test_a_person_marks_where_the_judge_did_not(tmp_path: Path) -> None:
    table = with_human_marks(judged(), filled_in(tmp_path, 3, "UNSURE"))
    assert table["mark"].to_list() == ["TRUE", "FALSE", "UNSURE"]


def test_marks_survive_being_written_and_read_again(tmp_path: Path) -> None:
    once = with_human_marks(judged(), filled_in(tmp_path, 2, "TRUE"))
    write_marks(once, tmp_path)
    assert with_human_marks(judged(), tmp_path / "marks.csv").equals(once)
    assert pl.read_parquet(tmp_path / "marks.parquet").equals(once)


def test_no_clause_is_a_formula_to_a_spreadsheet(tmp_path: Path) -> None:
    write_marks(judged(), tmp_path)
    raw = (tmp_path / "marks.csv").read_bytes()
    assert raw.startswith(b"\xef\xbb\xbf")
    assert pl.read_csv(raw)["clause"].to_list() == ["'" + CLAUSES[0], "'" + CLAUSES[1], CLAUSES[2]]


def test_an_unknown_mark_is_an_error_with_its_row(tmp_path: Path) -> None:
    path = filled_in(tmp_path, 2, "WAHR")
    with pytest.raises(InputError, match=r"marks\.csv:3:human: unknown mark \(got 'WAHR'"):
        with_human_marks(judged(), path)


def test_a_clause_with_another_text_is_an_error(tmp_path: Path) -> None:
    path = filled_in(tmp_path, 1, "TRUE", clause="MYC binds.")
    with pytest.raises(InputError, match=r"marks\.csv:2:clause: the clause has another text"):
        with_human_marks(judged(), path)


@pytest.mark.parametrize("place", [{"number": "9"}, {"gene": "1-Mar"}, {"sample": "x"}])
def test_a_mark_of_an_unknown_clause_is_an_error(tmp_path: Path, place: dict[str, str]) -> None:
    path = filled_in(tmp_path, 3, "TRUE", **place)
    with pytest.raises(InputError, match=r"marks\.csv:4: a person's mark of no clause"):
        with_human_marks(judged(), path)


def test_a_clause_marked_twice_is_an_error(tmp_path: Path) -> None:
    path = filled_in(tmp_path, 1, "TRUE")
    path.write_text(path.read_text() + path.read_text().splitlines()[1] + "\n")
    with pytest.raises(InputError, match=r"marks\.csv:5: clause stands there twice"):
        with_human_marks(judged(), path)


def test_rows_without_a_persons_mark_may_be_anything(tmp_path: Path) -> None:
    path = filled_in(tmp_path, 1, "", clause="changed", number="77")
    assert with_human_marks(judged(), path)["human"].null_count() == 3


def test_a_table_without_a_needed_column_is_an_error(tmp_path: Path) -> None:
    path = tmp_path / "mine.csv"
    path.write_text("clause,human\na,TRUE\n")
    with pytest.raises(InputError, match="column is missing"):
        with_human_marks(judged(), path)


def test_an_earlier_runs_table_is_where_people_mark(tmp_path: Path) -> None:
    assert find_human_marks(None, tmp_path / "marks.csv") is None
    path = filled_in(tmp_path, 1, "TRUE")
    assert find_human_marks(None, path) == find_human_marks(path, path) == path


def test_peoples_marks_are_not_overwritten(tmp_path: Path) -> None:
    theirs = filled_in(tmp_path / "out", 1, "TRUE")
    other = filled_in(tmp_path / "other", 2, "TRUE")
    with pytest.raises(InputError, match=r"out/marks\.csv:2:human: people's marks here are not in"):
        find_human_marks(other, theirs)
    both = filled_in(tmp_path / "both", 1, "FALSE")
    assert find_human_marks(both, theirs) == both
