"""What makes a text no table: its encoding, its header, the width of its rows."""

from __future__ import annotations

from pathlib import Path

import pytest

from synthpert.errors import InputError
from synthpert.text_checks import check_columns, check_header, check_text, check_widths

FILE = Path("t.csv")


@pytest.mark.parametrize(
    ("raw", "said"),
    [
        ("a,b\n1,2".encode("utf-16"), "t.csv:1: UTF-16 text (expected UTF-8: save it as `CSV UTF"),
        (b"a,b\n1,\xfc", "t.csv:12:b: not UTF-8 text (got b'\\xfc'; expected UTF-8)"),
        (b"a,b\n1,2\n\0,4", "t.csv:13:a: NUL byte (expected text)"),
    ],
)
def test_what_is_no_text_is_named_with_its_row(raw: bytes, said: str) -> None:
    with pytest.raises(InputError) as caught:
        check_text(raw, FILE, ",", 0 if b"\xff" in raw else 10)
    assert str(caught.value).startswith(said)


def test_a_nul_byte_may_stand_in_what_a_model_wrote() -> None:
    check_text(b"a,b\n\0,2", FILE, ",", 0, nul=True)


@pytest.mark.parametrize(
    ("header", "said"),
    [
        (b"a;b", "t.csv:1: wrong delimiter (got 'semicolons'; expected commas)"),
        (b"a,c", "t.csv:1:b: column is missing (got 'a, c'; expected a, b)"),
        (b"a,b,a", "t.csv:1:a: column stands twice (expected each name once)"),
    ],
)
def test_a_wrong_header_is_named(header: bytes, said: str) -> None:
    with pytest.raises(InputError) as caught:
        check_columns(header, FILE, ["a", "b"], ",")
    assert str(caught.value) == said


def test_a_header_is_checked_whatever_follows_it(tmp_path: Path) -> None:
    (tmp_path / "t.csv").write_bytes(b"a,b\n\0,\xff\n")
    check_header(tmp_path / "t.csv", ["a"])
    with pytest.raises(InputError, match=r"t\.csv:1:c: column is missing"):
        check_header(tmp_path / "t.csv", ["c"])


def test_a_value_that_never_ends_is_named_with_its_row() -> None:
    raw = b'a,b\n1,2\n3,"' + b"x" * 200_000 + b'"'
    with pytest.raises(InputError, match=r"t\.csv:3: a value of more than 131,072 characters"):
        check_widths(raw, FILE, 2, ",", 0)
