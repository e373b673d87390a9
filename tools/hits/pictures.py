"""The pictures of a screen: a heat map and a pathway picture for each cell line."""

from __future__ import annotations

import re
from typing import TYPE_CHECKING

import numpy as np
import polars as pl

from tools.hits.dots import SIGNIFICANT, choose_dots, draw_dots
from tools.hits.heatmap import choose_block, draw_heatmap, write_matrix

if TYPE_CHECKING:
    from collections.abc import Sequence
    from pathlib import Path

    from rich.progress import Progress

    from tools.hits.screen import Screen


def draw(screen: Screen, out: Path, progress: Progress) -> list[str]:
    """Draw every cell line.

    Args:
        screen: All perturbations looked at; its `files` grow.
        out: Where to write.
        progress: Shows how far it is.

    Returns:
        Sentences about what is not drawn.

    Raises:
        InputError: If a file cannot be written.
    """
    lines = screen.perts["cell_line"].unique(maintain_order=True).to_list()
    bar = progress.add_task("pictures", total=2 * len(lines))
    notes = []
    for line, end in zip(lines, file_ends(lines), strict=True):
        notes += _heatmap(screen, line, out, end)
        progress.advance(bar)
        notes += _dots(screen, line, out, end)
        progress.advance(bar)
    return notes


def file_ends(lines: Sequence[str]) -> list[str]:
    """What stands behind a picture's name: nothing for the only cell line, else its name.

    Args:
        lines: Names of cell lines; any text.

    Returns:
        One for each, all different, of letters that any disk takes.
    """
    if len(lines) == 1:
        return [""]
    ends = [re.sub(r"[^\w.-]+", "_", line)[:60] for line in lines]
    folded = [end.lower() for end in ends]
    return [
        f"-{end}" if folded.count(end.lower()) == 1 else f"-{end}-{number}"
        for number, end in enumerate(ends, start=1)
    ]


def _heatmap(screen: Screen, line: str, out: Path, end: str) -> list[str]:
    """Draw and write the heat map of a cell line."""
    own = pl.col("cell_line") == line
    perts, genes = screen.perts.filter(own), screen.genes.filter(own)
    block = choose_block(screen.parts.scan().filter(own), perts, genes, screen.wanted.shown)
    if not block.rows:
        return [f"{line}: no heat map, since no gene leans up or down."]
    note = (
        f"{len(block.rows):,} of {perts.height:,} perturbations, {len(block.columns):,} of "
        f"{genes.height:,} genes: those with most predicted change together"
    )
    draw_heatmap(block, out / f"heatmap{end}", f"{line}: predicted response", note)
    write_matrix(block, out / f"heatmap{end}.csv")
    share = np.isnan(block.values).mean()
    told = f"{line}: {note}" + (f"; {share:.0%} of the cells missing" if share else "")
    screen.files.append((f"heatmap{end}.png, .svg, .csv", told))
    return []


def _dots(screen: Screen, line: str, out: Path, end: str) -> list[str]:
    """Draw the pathway picture of a cell line."""
    pathways = screen.pathways
    rows = screen.parts.scan().filter(pl.col("cell_line") == line)
    dots = choose_dots(pathways, rows, line)
    if dots is None:
        return [f"{line}: no pathway picture, since no gene set has a hit."]
    many = int((dots.q < SIGNIFICANT).sum())
    note = (
        f"{len(dots.block.rows):,} gene sets, {len(dots.block.columns):,} perturbations: those "
        f"with the strongest over-representation; {many:,} pairs with q < {SIGNIFICANT:g}"
    )
    title = f"{line}: pathways of the genes {screen.wanted.which}"
    draw_dots(dots, out / f"pathways{end}", title, note)
    screen.files.append((f"pathways{end}.png, .svg", f"{line}: {note}"))
    return []
