"""A file is there whole, or as it was."""

from __future__ import annotations

from pathlib import Path

import pytest

from synthpert.errors import InputError
from synthpert.files import SUMS, checksums, no_such_file, seal, whole_file


def test_written_file_gets_its_name_and_leaves_nothing_beside(tmp_path: Path) -> None:
    with whole_file(tmp_path / "new" / "a.csv") as place:
        place.write_text("x")
    assert [path.name for path in (tmp_path / "new").iterdir()] == ["a.csv"]


def test_error_while_writing_leaves_the_old_file(tmp_path: Path) -> None:
    (tmp_path / "a.csv").write_text("old")
    with pytest.raises(UnicodeEncodeError), whole_file(tmp_path / "a.csv") as place:
        place.write_text("half \ud800", encoding="utf-8")
    assert (tmp_path / "a.csv").read_text() == "old"
    assert len(list(tmp_path.iterdir())) == 1


def test_folder_in_the_way_is_one_line(tmp_path: Path) -> None:
    (tmp_path / "a.csv").mkdir()
    with pytest.raises(InputError, match=r"a\.csv: cannot be written"):
        with whole_file(tmp_path / "a.csv") as place:
            place.write_text("x")


def test_file_in_place_of_the_folder_is_one_line(tmp_path: Path) -> None:
    (tmp_path / "f").write_text("x")
    with pytest.raises(InputError, match="cannot be written"):
        with whole_file(tmp_path / "f" / "a.csv") as place:
            place.write_text("x")


def test_a_path_without_a_name_is_one_line() -> None:
    with pytest.raises(InputError, match="no file's name"), whole_file(Path("")):
        pass


def test_a_sealed_folder_names_the_checksum_of_each_file(tmp_path: Path) -> None:
    (tmp_path / "a").write_bytes(b"abc")
    seal(tmp_path)
    assert (tmp_path / SUMS).read_text() == f"{checksums(tmp_path)['a']}  a\n"


@pytest.mark.parametrize(
    ("asked", "said"),
    [
        ("mine.tsv", "no such file; did you mean '{folder}/mine.csv'?"),
        ("other.csv", "no such file"),
        ("gone/mine.csv", "no such file (expected a folder {folder}/gone)"),
        ("link.csv", "the link leads nowhere (got 'unmounted/a.csv'; expected a file there)"),
    ],
)
def test_a_file_that_is_not_there_is_named_with_what_may_have_been_meant(
    asked: str, said: str, tmp_path: Path
) -> None:
    (tmp_path / "mine.csv").touch()
    (tmp_path / "link.csv").symlink_to("unmounted/a.csv")
    error = no_such_file(tmp_path / asked)
    assert str(error) == f"{tmp_path / asked}: " + said.format(folder=tmp_path)
