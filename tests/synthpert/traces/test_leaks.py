"""The guard against test perturbations among traces."""

from __future__ import annotations

import polars as pl

from synthpert.traces.leaks import leaked

ROWS = pl.DataFrame(
    {"cell_line": ["k562", "rpe1", "K562", "k562"], "pert": ["A", "A", "a", "B"], "gene": ["G"] * 4}
)
TEST = pl.DataFrame({"cell_line": ["k562", "k562"], "pert": ["A", "A"], "gene": ["X", "Y"]})


def test_a_perturbation_of_the_lines_test_part_leaks_in_any_case_and_with_any_gene() -> None:
    assert leaked(ROWS, TEST, "default").to_list() == [True, False, True, False]


def test_in_the_strict_split_it_leaks_in_every_cell_line() -> None:
    assert leaked(ROWS, TEST, "strict").to_list() == [True, True, True, False]


def test_no_rows_and_no_test_leak_nothing() -> None:
    assert leaked(ROWS.clear(), TEST, "default").to_list() == []
    assert leaked(ROWS, TEST.clear(), "default").to_list() == [False] * 4
