"""The heat map of a cell line: perturbations by genes, p_up - p_down."""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

import polars as pl

from synthpert.files import whole_file
from synthpert.spreadsheets import defused
from tools.hits.block import Block, clustered, matrix, strongest
from tools.hits.figures import (
    FAINT,
    MISSING,
    axes_at,
    colour_bar,
    diverging,
    limit,
    missing_key,
    name_axis,
    new_figure,
    save,
    segments,
    settings,
    widest,
    write_title,
)

if TYPE_CHECKING:
    from pathlib import Path

    from matplotlib.figure import Figure

_CANDIDATES: Final = 1_000
"""The block is chosen among so many of the strongest perturbations and genes."""
_CELL: Final = 0.16  # inches
_LARGEST: Final = 24.0  # inches, of the cells of an axis
_TREE: Final = 0.45
_LONGEST: Final = 16


def choose_block(
    rows: pl.LazyFrame,
    perts: pl.DataFrame,
    genes: pl.DataFrame,
    shown: tuple[int, int],
) -> Block:
    """Choose and order the block of one cell line.

    Args:
        rows: Predictions of the cell line: pert, gene, signed.
        perts: Its perturbations and their activity.
        genes: Its genes and their activity.
        shown: How many perturbations and genes at most.

    Returns:
        Perturbations (rows) by genes (columns); no row at all if nothing is predicted to change.
    """
    some = [
        table.sort("activity", name, descending=[True, False])[name].head(max(_CANDIDATES, count))
        for table, name, count in ((perts, "pert", shown[0]), (genes, "gene", shown[1]))
    ]
    cells = rows.filter(
        pl.col("pert").is_in(some[0].implode()), pl.col("gene").is_in(some[1].implode())
    )
    table = cells.select("pert", "gene", "signed").collect(engine="streaming")
    return clustered(strongest(matrix(table, "pert", "gene", "signed"), *shown))


def write_matrix(block: Block, path: Path) -> None:
    """Write what a heat map shows, in its order; an empty cell is missing.

    Args:
        block: The block.
        path: A .csv file.

    Raises:
        InputError: If it cannot be written.
    """
    # Names of genes are no safe column names: "pert" may be one of them.
    names = ["pert", *(f"{name}" if name != "pert" else "pert (gene)" for name in block.columns)]
    columns = [pl.Series(block.rows, dtype=pl.String), *map(pl.Series, block.values.T)]
    table = pl.DataFrame(columns, schema=names).fill_nan(None)
    heads = pl.DataFrame({"name": names}).select(defused("name")).to_series().to_list()
    with whole_file(path) as place:
        table.with_columns(defused("pert")).rename(dict(zip(names, heads, strict=True))).write_csv(
            place
        )


def draw_heatmap(block: Block, path: Path, title: str, note: str) -> list[Path]:
    """Draw a block with both trees, the names of its rows and columns, and the colour scale.

    Args:
        block: At least one row and column, clustered.
        path: Without a suffix; .png and .svg are written.
        title: Above it.
        note: Below the title: what is left out.

    Returns:
        The two files.

    Raises:
        InputError: If one cannot be written.
    """
    cell = [min(_CELL, _LARGEST / len(names)) for names in (block.columns, block.rows)]
    wide, high = cell[0] * len(block.columns), cell[1] * len(block.rows)
    left, top = 0.25 + _TREE, 0.75 + _TREE
    right = 0.3 + widest(block.rows, cell[1], _LONGEST)
    below = 0.25 + widest(block.columns, cell[0], _LONGEST)
    width = max(left + wide + right, 6.4)
    with settings():
        figure = new_figure(width, top + high + below + 0.55)
        axes = axes_at(figure, (left, below + 0.55, wide, high))
        axes.set_facecolor(MISSING)
        end = limit(block.values)
        drawn = axes.imshow(
            block.values, cmap=diverging(), vmin=-end, vmax=end, aspect="auto", interpolation="none"
        )
        readable = [
            name_axis(axes, side, names, inches, _LONGEST)
            for side, names, inches in zip("xy", (block.columns, block.rows), cell, strict=True)
        ]
        note += "" if all(readable) else f"; names too small to read are in {path.name}.csv"
        axes.yaxis.tick_right()
        for side in axes.spines.values():
            side.set_visible(False)
        _trees(figure, block, (left, below + 0.55, wide, high))
        write_title(figure, title, note)
        colour_bar(figure, drawn, (0.25, 0.3), 1.6)
        missing_key(figure, (2.15, 0.3), "not asked, or no answer")
        return save(figure, path)


def _trees(figure: Figure, block: Block, place: tuple[float, float, float, float]) -> None:
    left, bottom, wide, high = place
    over = axes_at(figure, (left, bottom + high + 0.03, wide, _TREE - 0.06))
    beside = axes_at(figure, (left - _TREE + 0.03, bottom, _TREE - 0.06, high))
    for places, heights in segments(block.column_tree):
        over.plot(places, heights, color=FAINT, linewidth=0.5)
    for places, heights in segments(block.row_tree):
        beside.plot(-heights, places, color=FAINT, linewidth=0.5)
    over.set_xlim(-0.5, len(block.columns) - 0.5)
    beside.set_ylim(len(block.rows) - 0.5, -0.5)
    over.axis("off")
    beside.axis("off")
