"""Gene sets and their tests: against scipy, by hand, and what counts as a test."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import polars as pl
import pytest
from hypothesis import given
from hypothesis import strategies as st
from scipy.stats import false_discovery_control, fisher_exact
from screens import GMT, read, run, screen

from synthpert.errors import InputError
from tools.hits.fisher import false_discovery, odds_ratio, upper_tail
from tools.hits.genesets import read_gene_sets
from tools.hits.pathways import PATHWAYS, over_representation

TABLES = st.integers(1, 400).flatmap(
    lambda background: st.tuples(
        st.just(background), st.integers(1, background), st.integers(1, background)
    )
)


@given(TABLES, st.integers(0, 400))
def test_the_tail_is_that_of_fishers_test(table: tuple[int, int, int], more: int) -> None:
    background, size, called = table
    fewest = max(1, size + called - background)
    hits = min(fewest + more, size, called)
    corners = [[hits, size - hits], [called - hits, background - size - called + hits]]
    expected = fisher_exact(corners, alternative="greater")
    arrays = [np.array([number]) for number in (hits, size, called, background)]
    assert upper_tail(*arrays)[0] == pytest.approx(expected.pvalue, rel=1e-8, abs=1e-280)
    ratio = odds_ratio(*arrays)[0]
    assert ratio == pytest.approx(expected.statistic, nan_ok=True)


@given(st.lists(st.floats(1e-12, 1), min_size=1, max_size=30), st.integers(0, 50))
def test_tests_without_a_hit_count_in_the_correction(p: list[float], others: int) -> None:
    padded = false_discovery_control([*p, *[1.0] * others])
    assert np.allclose(false_discovery(np.array(p), len(p) + others), padded[: len(p)])


def test_no_test_at_all_needs_no_correction() -> None:
    assert len(false_discovery(np.empty(0), 0)) == 0


def test_a_row_can_be_checked_by_hand(tmp_path: Path) -> None:
    rows = read(run(tmp_path, screen(1)) / "pathways.csv")
    assert rows.columns == list(PATHWAYS)
    row = rows.filter(pl.col("gene_set") == "ribosome").row(0, named=True)
    # 3 of 3 genes called up are among the 4 of the set, in a background of 20: 4 / 1140
    assert (row["direction"], row["hits"], row["size"], row["called"]) == ("up", "3", "4", "3")
    assert float(row["p"]) == pytest.approx(4 / 1140, rel=1e-5)
    # Four tests: two sets, up and down; the third has no gene here.
    assert float(row["q"]) == pytest.approx(4 / 1140 * 4, rel=1e-5)
    assert (row["odds_ratio"], row["genes"]) == ("inf", "A0;A1;A2")


def test_a_gene_written_twice_in_a_set_counts_once(tmp_path: Path) -> None:
    (tmp_path / "a.gmt").write_text(GMT)
    sets = read_gene_sets([str(tmp_path / "a.gmt")])
    assert sets.members.filter(pl.col("set") == 0)["gene"].to_list() == ["A0", "A1", "A2", "A3"]


def test_small_sets_are_no_tests() -> None:
    table = screen(1).with_columns(
        up=pl.col("p_up") > 0.5, down=pl.lit(False), signed=pl.col("p_up") - pl.col("p_down")
    )
    members = pl.DataFrame({"set": [0, 0, 0, 1, 1], "gene": ["A0", "A1", "B9", "A0", "A1"]})
    rows, tests = over_representation(table, members, min_size=3)
    assert tests == {"k562": 1}  # nothing is called down, so that there is one list
    assert rows["set"].to_list() == [0]
    assert rows["score"].item() == pytest.approx((0.89 + 0.79 + 0.01 - 0.02) / 3)


def test_sets_of_one_name_are_told_apart(tmp_path: Path) -> None:
    for name in ("a", "b"):
        (tmp_path / f"{name}.gmt").write_text("x\t\tA0\nx\t\tA1\n")
    (tmp_path / "README.md").write_text("a note")
    sets = read_gene_sets([str(tmp_path)])
    assert sets.names == ["x", "x #2", "x [b]", "x #2 [b]"]
    assert sets.members["set"].to_list() == [0, 1, 2, 3]


def test_large_sets_are_left_out_and_counted(tmp_path: Path) -> None:
    (tmp_path / "a.gmt").write_text(GMT)
    sets = read_gene_sets([str(tmp_path / "a.gmt")], max_size=4)
    assert sets.origin == "a.gmt: 2 gene sets (1 of more than 4 genes left out)"


@pytest.mark.parametrize(
    ("name", "text", "told"),
    [
        ("a.gmt", None, "no such file"),
        ("a.gmt", "one\t\n", "a.gmt:1: no gene set"),
        ("a.csv", "gene1,gene2\nA,B\n", "not gene sets"),
    ],
)
def test_what_is_no_gene_set_is_refused(
    tmp_path: Path, name: str, text: str | None, told: str
) -> None:
    if text is not None:
        (tmp_path / name).write_text(text)
    with pytest.raises(InputError, match=told):
        read_gene_sets([str(tmp_path / name)])


def test_a_folder_without_gene_sets_is_refused(tmp_path: Path) -> None:
    (tmp_path / "a.csv").write_text("gene1,gene2\nA,B\n")
    with pytest.raises(InputError, match="no gene sets in this folder"):
        read_gene_sets([str(tmp_path)])
