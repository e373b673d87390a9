"""What the pictures show: which rows and columns, their order, and what is grey."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import polars as pl
import pytest
from screens import GMT, read, run, screen

from tools.hits.block import Block, clustered, matrix, strongest
from tools.hits.dots import Dots, draw_dots
from tools.hits.figures import limit, segments, shortened, widest
from tools.hits.heatmap import choose_block, draw_heatmap
from tools.hits.pictures import draw, file_ends


def block(values: list[list[float]]) -> Block:
    rows, columns = len(values), len(values[0])
    return Block(
        [f"P{i}" for i in range(rows)], [f"G{i}" for i in range(columns)], np.array(values)
    )


def test_a_missing_cell_is_not_a_number() -> None:
    cells = pl.DataFrame({"pert": ["P1", "P0"], "gene": ["G0", "G1"], "signed": [0.5, None]})
    made = matrix(cells, "pert", "gene", "signed")
    assert made.rows == ["P0", "P1"]
    assert np.array_equal(np.isnan(made.values), [[True, True], [False, True]])


def test_rows_and_columns_are_chosen_together() -> None:
    # P0 has most change, but not in the genes that the others share.
    values = [[0.9, 0.9, 0.0, 0.0], [0.0, 0.0, 0.8, 0.7], [0.0, 0.0, 0.8, 0.9]]
    chosen = strongest(block(values), 2, 2)
    assert chosen.rows == ["P1", "P2"]
    assert chosen.columns == ["G2", "G3"]


def test_what_would_be_white_is_left_out() -> None:
    chosen = strongest(block([[0.9, 0.01, np.nan], [0.8, 0.0, np.nan], [0.01, 0.0, 0.0]]), 5, 5)
    assert (chosen.rows, chosen.columns) == (["P0", "P1"], ["G0"])


def test_similar_rows_stand_side_by_side() -> None:
    ordered = clustered(block([[0.9, 0.1], [-0.9, 0.0], [0.8, 0.2], [-0.8, np.nan]]))
    signs = [value > 0 for value in ordered.values[:, ordered.columns.index("G0")]]
    assert signs in ([True, True, False, False], [False, False, True, True])
    assert len(list(segments(ordered.row_tree))) == 3


def test_one_row_has_no_tree() -> None:
    assert clustered(block([[0.5, 0.2]])).row_tree is None
    assert list(segments(None)) == []


def test_the_heat_map_of_a_cell_line_shows_its_most_responsive(tmp_path: Path) -> None:
    out = run(tmp_path, screen(9), "--shown-perts", 2, "--shown-genes", 4)
    table = read(out / "heatmap.csv")
    assert sorted(table["pert"]) == ["P0", "P1"]
    assert sorted(table.columns[1:]) == ["A0", "A1", "B0", "B1"]
    assert "2 of 9 perturbations, 4 of 20 genes" in (out / "README.md").read_text()


def test_no_change_leaves_no_block() -> None:
    rows = pl.LazyFrame({"pert": ["P0"], "gene": ["G0"], "signed": [0.0]})
    perts = pl.DataFrame({"pert": ["P0"], "activity": [0.0]})
    genes = pl.DataFrame({"gene": ["G0"], "activity": [0.0]})
    assert choose_block(rows, perts, genes, (5, 5)).rows == []


def test_a_large_picture_says_where_its_names_are(tmp_path: Path) -> None:
    large = clustered(block(np.random.default_rng(0).normal(size=(2, 900)).tolist()))
    _, svg = draw_heatmap(large, tmp_path / "heatmap", "k562", "all")
    text = svg.read_text()
    assert "names too small to read are in heatmap.csv" in text
    assert "P1" in text
    assert "G899" not in text


def test_hostile_names_are_drawn_as_text(tmp_path: Path) -> None:
    name = "$\\frac{<b>&\x07"
    hostile = Block([name], [name], np.array([[0.5]]))
    for draw_it, shown in ((draw_heatmap, hostile), (draw_dots, Dots(hostile, np.ones((1, 1))))):
        _, svg = draw_it(shown, tmp_path / "picture", name, name)  # type: ignore[operator]
        text = svg.read_text()
        assert "<b>" not in text
        assert "&lt;b&gt;&amp;" in text


def test_gene_sets_hit_by_the_same_genes_are_drawn_once(tmp_path: Path) -> None:
    copy = GMT.replace("ribosome", "translation").replace("\tA3", "")
    svg = (run(tmp_path, screen(), gmt=GMT + copy) / "pathways.svg").read_text()
    assert ("ribosome" in svg) != ("translation" in svg)
    assert "membrane" in svg


def test_colours_reach_as_far_below_zero_as_above() -> None:
    assert limit(np.array([0.2, -0.7, np.nan])) == pytest.approx(0.7)
    assert limit(np.array([np.nan])) == 0.05
    assert shortened("a long name of a set", 8) == "a long…"


def test_wide_letters_are_given_more_room() -> None:
    assert widest(["WWWW"], 0.2, 9) > 2 * widest(["iiii"], 0.2, 9)
    assert widest(["WWWW"], 0.01, 9) == 0


def test_each_cell_line_has_a_file_name_of_its_own() -> None:
    assert file_ends(["k562"]) == [""]
    assert file_ends(["k562", "../up"]) == ["-k562", "-.._up"]
    assert file_ends(["a/b", "A?B"]) == ["-a_b-1", "-A_B-2"]
    assert draw.__doc__
