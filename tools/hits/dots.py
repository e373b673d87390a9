"""The pathway picture of a cell line: gene sets by perturbations, colour for lean, size for q."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Final

import numpy as np
import polars as pl

from tools.hits.block import Block, clustered, matrix
from tools.hits.figures import (
    FAINT,
    INK,
    RULE,
    axes_at,
    colour_bar,
    diverging,
    limit,
    name_axis,
    new_figure,
    save,
    settings,
    widest,
    write_title,
)

if TYPE_CHECKING:
    from pathlib import Path

    from matplotlib.axes import Axes
    from numpy.typing import NDArray

    from tools.hits.pathways import Pathways

SIGNIFICANT: Final = 0.05
_SETS, _PERTS = 25, 40
_CANDIDATES: Final = 400
_SHARED: Final = 0.5
_CELL: Final = 0.2  # inches
_LONGEST, _LONGEST_PERT = 58, 16
_STEPS: Final = (0.5, 0.05, 1e-3, 1e-5)
_SMALLEST: Final = _STEPS[-1]


@dataclass(frozen=True, slots=True, eq=False)
class Dots:
    """What a pathway picture shows.

    Attributes:
        block: Gene sets (rows) by perturbations (columns): the mean of p_up - p_down over the
            set's genes; not-a-number where too few of them were asked about.
        q: (rows, columns), the smaller of the two directions; 1 where nothing is over-represented.
    """

    block: Block
    q: NDArray[np.float64]


def choose_dots(pathways: Pathways, rows: pl.LazyFrame, cell_line: str) -> Dots | None:
    """Choose gene sets and perturbations to show.

    Gene sets with q < 0.05 in most perturbations come first, then by their lowest p. One is passed
    over where more than half of the genes that it was hit with, in all perturbations, are also
    those of a set chosen before: a ribosome has many names. Perturbations come in the same order,
    by the chosen sets.

    Args:
        pathways: Finished.
        rows: Predictions of the cell line: pert, gene, signed.
        cell_line: Its name.

    Returns:
        At most 25 gene sets by 40 perturbations; None if no gene set has a hit.
    """
    tests = pathways.scan().filter(pl.col("cell_line") == cell_line)
    chosen = _apart(_best(tests, "set", _CANDIDATES), tests)
    if not chosen:
        return None
    shown = tests.filter(pl.col("set").is_in(chosen))
    perts = _best(shown, "pert", _PERTS)
    members = pathways.sets.members.filter(pl.col("set").is_in(chosen))
    cells = (
        rows.filter(pl.col("pert").is_in(perts), pl.col("signed").is_not_null())
        .join(members.lazy(), on="gene")
        .group_by("pert", "set")
        .agg(pl.mean("signed"), size=pl.len())
        .filter(pl.col("size") >= pathways.min_size)
        .collect()
    )
    names = pl.Series(pathways.sets.names)
    named = cells.with_columns(gene_set=names.gather(cells["set"]))
    block = clustered(matrix(named, "gene_set", "pert", "signed"))
    lowest = shown.group_by("pert", "set").agg(pl.min("q")).collect()
    q = {(names[at], pert): value for pert, at, value in lowest.iter_rows()}
    return Dots(
        block,
        np.array([[q.get((row, pert), 1.0) for pert in block.columns] for row in block.rows]),
    )


def _best(tests: pl.LazyFrame, name: str, count: int) -> list[Any]:
    """Sets or perturbations with most significant tests; of equal ones that with the lowest p."""
    strength = tests.group_by(name).agg((pl.col("q") < SIGNIFICANT).sum(), pl.min("p"))
    order = strength.sort("q", "p", name, descending=[True, False, False])
    return order.select(name).head(count).collect().to_series().to_list()


def _apart(candidates: list[int], tests: pl.LazyFrame) -> list[int]:
    """The first gene sets that are not there for the same genes as one before them."""
    if not candidates:
        return []
    some = tests.filter(pl.col("set").is_in(candidates))
    hits = some.select("set", gene=pl.col("genes").str.split(";")).explode("gene")
    table = hits.group_by("set").agg(pl.col("gene").unique()).collect(engine="streaming")
    genes = {at: frozenset(names) for at, names in table.iter_rows()}
    chosen: list[int] = []
    for at in candidates:
        shared = max((len(genes[at] & genes[other]) for other in chosen), default=0)
        if len(chosen) < _SETS and shared <= _SHARED * len(genes[at]):
            chosen.append(at)
    return chosen


def draw_dots(dots: Dots, path: Path, title: str, note: str) -> list[Path]:
    """Draw gene sets by perturbations.

    Args:
        dots: At least one row and column.
        path: Without a suffix; .png and .svg are written.
        title: Above it.
        note: Below the title.

    Returns:
        The two files.

    Raises:
        InputError: If one cannot be written.
    """
    block = dots.block
    wide, high = _CELL * len(block.columns), _CELL * len(block.rows)
    left = 0.35 + widest(block.rows, _CELL, _LONGEST)
    below = 1.0 + widest(block.columns, _CELL, _LONGEST_PERT)
    with settings():
        figure = new_figure(max(left + wide + 0.3, 6.4), 0.85 + high + below)
        axes = axes_at(figure, (left, below, wide, high))
        rows, columns = np.nonzero(~np.isnan(block.values))
        end = limit(block.values)
        q = dots.q[rows, columns]
        drawn = axes.scatter(
            columns,
            rows,
            s=_areas(q),
            c=block.values[rows, columns],
            cmap=diverging(),
            vmin=-end,
            vmax=end,
            linewidths=[1.0 if each < SIGNIFICANT else 0.4 for each in q],
            edgecolors=[INK if each < SIGNIFICANT else RULE for each in q],
            zorder=2,
        )
        name_axis(axes, "x", block.columns, _CELL, _LONGEST_PERT)
        name_axis(axes, "y", block.rows, _CELL, _LONGEST)
        _grid(axes, len(block.columns), len(block.rows))
        write_title(figure, title, note)
        colour_bar(figure, drawn, (0.25, 0.3), 1.6)
        _sizes(axes_at(figure, (2.2, 0.15, 3.6, 0.45)))
        return save(figure, path)


def _areas(q: NDArray[np.float64]) -> NDArray[np.float64]:
    """In square points: from a speck at q = 1 to a full dot at the smallest step and below."""
    strength = -np.log10(np.clip(q, _SMALLEST, 1.0)) / -np.log10(_SMALLEST)
    areas: NDArray[np.float64] = 9.0 + 110.0 * strength
    return areas


def _grid(axes: Axes, columns: int, rows: int) -> None:
    axes.set_xlim(-0.6, columns - 0.4)
    axes.set_ylim(rows - 0.4, -0.6)
    axes.hlines(range(rows), -0.6, columns - 0.4, color="#eceef0", linewidth=0.6, zorder=0)
    axes.vlines(range(columns), -0.6, rows - 0.4, color="#eceef0", linewidth=0.6, zorder=0)
    for side in axes.spines.values():
        side.set_visible(False)


def _sizes(axes: Axes) -> None:
    """What the sizes mean."""
    steps = np.array((1.0, *_STEPS))
    edges = [INK if q < SIGNIFICANT else RULE for q in steps]
    axes.scatter(
        range(len(steps)), [0.3] * len(steps), s=_areas(steps), c="white", edgecolors=edges
    )
    for place, q in enumerate(steps):
        axes.text(place, -0.55, f"{q:g}", ha="center", va="center", fontsize=7, color=FAINT)
    words = f"q (dark edge: below {SIGNIFICANT:g})"
    axes.text(len(steps) - 0.4, 0.3, words, va="center", fontsize=7.5, color=FAINT)
    axes.set_xlim(-0.5, len(steps) + 2.5)
    axes.set_ylim(-1, 1)
    axes.axis("off")
