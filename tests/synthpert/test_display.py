"""Tables on a terminal and in a pipe."""

from __future__ import annotations

import pytest

from synthpert.display import markdown, show

HEADER = ["system", "macro-F1", "n"]
ROWS = [["a|b", 0.77634, 116041], ["[red]c", None, 2]]


def test_a_piped_table_is_markdown(capsys: pytest.CaptureFixture[str]) -> None:
    show("Scores", HEADER, ROWS, "A caption.")
    assert capsys.readouterr().out == (
        "**Scores**\n\n"
        "| system | macro-F1 | n |\n| --- | ---: | ---: |\n"
        "| a\\|b | 0.7763 | 116,041 |\n| [red]c | – | 2 |\n\nA caption.\n\n"
    )


def test_the_markdown_can_be_had_without_showing_it(capsys: pytest.CaptureFixture[str]) -> None:
    assert markdown("T", ["n"], [[1]], "So.") == "**T**\n\n| n |\n| ---: |\n| 1 |\n\nSo.\n"
    assert capsys.readouterr().out == ""


def test_a_long_row_is_not_broken(capsys: pytest.CaptureFixture[str]) -> None:
    show("T", ["x" * 300], [["y " * 300]])
    assert "x" * 300 in capsys.readouterr().out


def test_a_narrow_terminal_cuts_no_number_and_no_word(
    capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("FORCE_COLOR", "1")
    monkeypatch.setenv("TTY_COMPATIBLE", "1")
    monkeypatch.setenv("COLUMNS", "20")
    show("Scores", ["balanced accuracy", *HEADER], [[0.5, *row] for row in ROWS])
    out = capsys.readouterr().out
    assert "116,041" in out
    assert "balanced" in out
    assert "…" not in out
    assert "| --- |" not in out


def test_not_a_number_is_a_dash(capsys: pytest.CaptureFixture[str]) -> None:
    show("T", ["x"], [[float("nan")]])
    assert "| – |" in capsys.readouterr().out


def test_a_row_of_another_length_is_refused() -> None:
    with pytest.raises(ValueError, match="every row needs 3 cells"):
        show("T", HEADER, [["a", 1.0]])
