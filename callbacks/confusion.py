"""Labels as indices, and the picture of their confusion matrix."""

from __future__ import annotations

import os
from collections.abc import Iterator
from pathlib import Path
from typing import TYPE_CHECKING, Any

import polars as pl

from synthpert.questions import LABEL_DTYPE

if TYPE_CHECKING:
    from numpy.typing import NDArray


def indices(column: pl.Series) -> NDArray[Any]:
    """A column of labels as indices into `questions.LABELS`, -1 where null; shape (N,), int64."""
    # pl.Enum counts its texts in the order of LABELS
    return column.cast(LABEL_DTYPE).to_physical().cast(pl.Int64).fill_null(-1).to_numpy()


def draw(confusion: NDArray[Any], title: str, path: Path) -> None:
    """Draw a confusion matrix, shaded by the share of each label's row.

    Args:
        confusion: Shape (3, 4): a row per label, a column per answer, the last for "no answer".
        title: Shown above.
        path: The PNG; written whole or not at all.
    """
    # Without pyplot: no figure to close, no backend chosen for the rest of the process
    from matplotlib.backends.backend_agg import FigureCanvasAgg
    from matplotlib.figure import Figure

    names = ["not DE", "up", "down"]
    figure = Figure(figsize=(5.0, 3.6), layout="constrained")
    FigureCanvasAgg(figure)
    axes = figure.add_subplot()
    shares = confusion / confusion.sum(axis=1, keepdims=True).clip(min=1)
    axes.imshow(shares, cmap="Blues", vmin=0.0, vmax=1.0)
    axes.set_xticks(range(4), [*names, "no answer"])
    axes.set_yticks(range(3), names)
    axes.set(xlabel="answer", ylabel="label", title=title)
    for (row, column), count in _cells(confusion):
        colour = "white" if shares[row, column] > 0.5 else "black"
        axes.text(column, row, f"{count:,}", ha="center", va="center", color=colour)
    path.parent.mkdir(parents=True, exist_ok=True)
    beside = path.with_name(f".{path.name}")
    figure.savefig(beside, format="png", dpi=120)
    os.replace(beside, path)


def _cells(matrix: NDArray[Any]) -> Iterator[tuple[tuple[int, int], int]]:
    for row in range(matrix.shape[0]):
        for column in range(matrix.shape[1]):
            yield (row, column), int(matrix[row, column])
