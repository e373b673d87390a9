"""The funnel's picture: written whole, whatever there is to draw."""

from __future__ import annotations

from collections import Counter
from pathlib import Path

import pytest

from synthpert.errors import InputError
from tools.traces.status.funnel import Group
from tools.traces.status.picture import draw_funnel

UP, DOWN = "upregulated", "downregulated"


@pytest.mark.parametrize(
    "counts",
    [
        {Group("k562", UP): Counter(kept=3)},
        {Group("k562", UP): Counter(not_answered=1)},
        {Group(line, UP): Counter(kept=1, wrong_answer=9) for line in "abcde"},
    ],
)
def test_one_cell_line_or_many_are_drawn(counts: dict[Group, Counter[str]], tmp_path: Path) -> None:
    draw_funnel(counts, tmp_path / "f.png")
    assert (tmp_path / "f.png").read_bytes().startswith(b"\x89PNG")
    assert [file.name for file in tmp_path.iterdir()] == ["f.png"]


def test_a_label_has_as_much_of_the_bars_as_of_the_samples(tmp_path: Path) -> None:
    from matplotlib.image import imread

    counts = {Group("k562", UP): Counter(kept=30), Group("k562", DOWN): Counter(kept=10)}
    draw_funnel(counts, tmp_path / "f.png")
    pixels = imread(tmp_path / "f.png")[..., :3] * 255
    red, blue = (
        int((abs(pixels - colour).max(axis=-1) < 3).sum())
        for colour in ((0xD9, 0x5F, 0x4C), (0x2F, 0x6F, 0x9F))
    )
    assert red > 10_000
    assert red / blue == pytest.approx(3, rel=0.1)


def test_a_place_that_cannot_be_written_is_one_line(tmp_path: Path) -> None:
    (tmp_path / "file").write_text("")
    with pytest.raises(InputError, match="cannot be written"):
        draw_funnel({Group("k562", UP): Counter(kept=3)}, tmp_path / "file" / "f.png")
