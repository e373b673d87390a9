"""An error is one line, and one that can be read."""

from __future__ import annotations

from synthpert.errors import InputError, StoppedError


def test_an_error_says_where_what_and_what_would_be_right() -> None:
    error = InputError("unknown label", file="a.csv", row=2, column="label", got="x", expected="y")
    assert str(error) == "a.csv:2:label: unknown label (got 'x'; expected y)"


def test_a_value_of_megabytes_is_shown_in_part() -> None:
    error = InputError("x" * 10**7, got="A" * 10**7, expected="B" * 10**7)
    assert len(str(error)) < 3000
    assert "AAA...AAA" in str(error)


def test_a_value_without_end_is_shown_in_part() -> None:
    value: list[object] = []
    for _ in range(5000):
        value = [value]
    assert len(str(InputError("deep", got=value))) < 200


def test_an_error_of_several_lines_becomes_one() -> None:
    assert str(InputError("a\n  b", got="c\nd")) == "a b (got 'c\\nd')"


def test_the_codes_are_told_apart() -> None:
    assert (InputError.exit_code, StoppedError.exit_code) == (2, 3)
