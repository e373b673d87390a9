"""What a spreadsheet would take for a formula becomes text."""

from __future__ import annotations

import polars as pl
import pytest

from synthpert.spreadsheets import defused


@pytest.mark.parametrize("text", ["=cmd|calc", "+1", "-1", "@SUM(A1)", "\tx"])
def test_a_formula_gets_a_quote(text: str) -> None:
    assert pl.DataFrame({"a": [text]}).select(defused("a")).item() == f"'{text}"


@pytest.mark.parametrize("text", ["HLA-A", "", "1E5", None])
def test_other_text_stays_as_it_is(text: str | None) -> None:
    table = pl.DataFrame({"a": [text]}, schema={"a": pl.String})
    assert table.select(defused("a")).item() == text
