"""Drawings: no style, no colour and no id of their own."""

from __future__ import annotations

from xml.etree import ElementTree

import polars as pl
import pytest

from synthpert.questions import LABELS
from tools.report.pictures import (
    KINDS,
    Bin,
    draw_curves,
    draw_reliability,
    draw_retention,
    draw_training,
)
from tools.report.svg import printable
from tools.report.training import Line


def drawn() -> list[str]:
    lines = [Line("train", [0, 1], [2.0, 1.0]), Line("validation", [1], [1.5])]
    return [
        draw_reliability("a <b>", 0, [Bin(0.4, 0.5, 3), Bin(0.9, 0.8, 7)]).svg,
        draw_retention("a", 1, [(0.5, 0.99), (1.0, 0.9)]).svg,
        *(panel.svg for panel in draw_training({"Loss per token": lines})),
    ]


@pytest.mark.parametrize("svg", drawn())
def test_a_drawing_needs_no_trust(svg: str) -> None:
    root = ElementTree.fromstring(svg)
    for element in root.iter():
        assert element.tag.rpartition("}")[2] not in ("style", "script", "image", "metadata")
        assert "style" not in element.attrib
        assert not element.get("href", "#").startswith("http")
    assert "#0000" not in svg
    assert root.get("role") == "img"


def test_the_same_drawing_is_the_same_text() -> None:
    assert drawn() == drawn()


def test_a_key_stands_only_where_there_is_a_choice() -> None:
    two = [Line("train", [0, 1], [2.0, 1.0]), Line("validation", [1], [1.5])]
    panels = draw_training({"Loss per token": two, "Gradient norm": two[:1]})
    assert [len(panel.key) for panel in panels] == [2, 0]


def test_a_dollar_is_no_formula_and_a_control_character_no_xml_error(
    student: pl.DataFrame,
) -> None:
    odd = student.with_columns(cell_line=pl.lit("$\\frac{ \x00"))
    panels = draw_curves(KINDS[2], {"mine": odd}, {})
    assert [panel.title for panel in panels] == ["$\\frac{ \x00"]
    assert "$\\frac{" in panels[0].svg
    assert "\x00" not in panels[0].svg
    assert printable("\x00") == "\ufffd"


def test_a_line_in_which_no_curve_exists_has_no_panel(student: pl.DataFrame) -> None:
    same = student.filter(pl.col("label") == LABELS[0].value)
    assert draw_curves(KINDS[0], {"mine": same}, {"prior": same}) == []
    assert len(draw_curves(KINDS[0], {"mine": student}, {"prior": student})) > 1


def test_every_curve_says_its_protocol() -> None:
    assert all(
        "per gene (area: official AUROC)" in kind.title or "pooled" in kind.title for kind in KINDS
    )
