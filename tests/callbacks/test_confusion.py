"""Labels as indices, and the picture of their confusion matrix."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import polars as pl

from callbacks.confusion import draw, indices
from synthpert.questions import LABEL_DTYPE, LABELS


def test_labels_become_their_place_in_the_order_of_labels() -> None:
    column = pl.Series([LABELS[2].value, None, LABELS[0].value, LABELS[1].value], dtype=LABEL_DTYPE)
    assert indices(column).tolist() == [2, -1, 0, 1]
    assert indices(column).dtype == np.int64


def test_a_label_that_never_occurs_is_drawn_too(tmp_path: Path) -> None:
    path = tmp_path / "new" / "confusion.png"
    draw(np.array([[1234, 0, 1, 2], [0, 0, 0, 0], [3, 0, 4, 0]]), "step 5", path)
    assert path.read_bytes().startswith(b"\x89PNG")
    assert [each.name for each in path.parent.iterdir()] == ["confusion.png"]
