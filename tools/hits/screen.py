"""From prediction files to the folder of `hits`: what is written, in which order."""

from __future__ import annotations

import re
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Final

import polars as pl
from rich.console import Console
from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn, TimeRemainingColumn

from synthpert.errors import InputError
from synthpert.files import whole_file
from synthpert.spreadsheets import defused
from tools.hits.genesets import read_gene_sets
from tools.hits.parts import count, lay_out
from tools.hits.pathways import PATHWAYS, Pathways
from tools.hits.ranking import DIRECTIONS, HITS, add_up, tally_genes, tally_perts, top_genes

if TYPE_CHECKING:
    from collections.abc import Iterable, Sequence
    from pathlib import Path

    from tools.hits.genesets import GeneSets
    from tools.hits.parts import Parts

OURS: Final = re.compile(r"(?:hits\.csv|(?:heatmap|pathways)(?:-.+)?\.(?:csv|png|svg)|README\.md)")
"""Names of files that an earlier run may have left."""

_DIGITS: Final = 6


@dataclass(frozen=True, slots=True)
class Wanted:
    """What is asked for: the flags of `synthpert hits`, each of them checked.

    Attributes:
        files: Prediction files, one or more.
        cell_lines: Only these, if not None.
        perts: Only these, if not None.
        gmt: Gene sets, if not the knowledge folder's.
        top: Genes to list.
        threshold: From which probability on a gene is called.
        genes: `called` or `top`: which of them are tested.
        min_size: The fewest genes of a set that are asked about.
        max_size: The most genes of a set.
        shown: Perturbations and genes of a heat map at most.
    """

    files: list[Path]
    cell_lines: Sequence[str] | None = None
    perts: Sequence[str] | None = None
    gmt: Sequence[str] | None = None
    top: int = 20
    threshold: float | None = None
    genes: str = "called"
    min_size: int = 3
    max_size: int = 500
    shown: tuple[int, int] = (50, 80)

    @property
    def which(self) -> str:
        """The genes tested, in words."""
        return "called" if self.genes == "called" else "listed"


@dataclass(slots=True)
class Screen:
    """What is known once every perturbation has been looked at.

    Attributes:
        wanted: What was asked for.
        parts: The predictions.
        perts: As `tally_perts` counts them.
        genes: As `tally_genes` adds them up.
        right: Columns cell_line, direction, known (genes listed whose label is known) and right
            (those of them whose label is the direction).
        pathways: The tests.
        files: Name and description of each file written so far.
    """

    wanted: Wanted
    parts: Parts
    perts: pl.DataFrame
    genes: pl.DataFrame
    right: pl.DataFrame
    pathways: Pathways
    files: list[tuple[str, str]] = field(default_factory=list)


def look(wanted: Wanted, out: Path, work: Path, progress: Progress) -> Screen:
    """Read the predictions; write hits.csv and pathways.csv.

    Args:
        wanted: What is asked for.
        out: An existing folder; files of an earlier run in it are removed once the input is sound.
        work: An empty folder for what is needed meanwhile; the screen refers to it.
        progress: Shows how far it is.

    Returns:
        What is known.

    Raises:
        InputError: If an input is wrong, or a file cannot be written.
    """
    sets = read_gene_sets(wanted.gmt, wanted.max_size)
    reading = progress.add_task("reading", total=None)
    counts = count(wanted.files)
    progress.update(reading, total=int(counts["rows"].sum()))
    for name in ("rows", "tests"):
        (work / name).mkdir()
    parts = lay_out(
        wanted.files,
        counts,
        work / "rows",
        cell_lines=wanted.cell_lines,
        perts=wanted.perts,
        threshold=wanted.threshold,
        told=lambda rows: progress.advance(reading, rows),
    )
    pathways = Pathways(sets, work / "tests", wanted.min_size)
    _check_symbols(sets, parts, wanted)
    screen = _rank(wanted, parts, pathways, out, progress)
    pathways.finish()
    _write_csv(out / "pathways.csv", pathways.tables(), PATHWAYS)
    screen.files.append(("pathways.csv", "gene sets that a perturbation's genes gather in"))
    return screen


def progress_bars() -> Progress:
    """Bars on a terminal's stderr, gone when the work is done."""
    console = Console(stderr=True)
    return Progress(
        TextColumn("{task.description}"),
        BarColumn(bar_width=30),
        MofNCompleteColumn(),
        TimeRemainingColumn(),
        console=console,
        transient=True,
        disable=not console.is_terminal,
    )


def _check_symbols(sets: GeneSets, parts: Parts, wanted: Wanted) -> None:
    """Refuse gene sets of the user's that hold none of the genes: another kind of names."""
    if wanted.gmt is None:
        return
    genes = parts.scan().select(pl.col("gene").unique().sort())
    asked = genes.collect(engine="streaming")["gene"]
    if not asked.is_in(sets.members["gene"].implode()).any():
        raise InputError(
            "none of the genes asked about is in these gene sets",
            file=", ".join(wanted.gmt),
            got=sets.members["gene"][0],
            expected=f"names as in the predictions, such as {asked[0]}",
        )


def _rank(
    wanted: Wanted, parts: Parts, pathways: Pathways, out: Path, progress: Progress
) -> Screen:
    """Go through all perturbations once."""
    perts: list[pl.DataFrame] = []
    genes: list[pl.DataFrame] = []
    right: list[pl.DataFrame] = []
    bar = progress.add_task("perturbations", total=parts.groups.height)

    def lists() -> Iterable[pl.DataFrame]:
        for part in parts:
            hits = top_genes(part, wanted.top)
            perts.append(tally_perts(part))
            genes[:] = [add_up([*genes, tally_genes(part)])]
            right.append(_right(hits))
            pathways.add(_listed(part, hits) if wanted.genes == "top" else part)
            progress.advance(bar, perts[-1].height)
            yield hits

    _write_csv(out / "hits.csv", lists(), HITS)
    known = pl.concat(right).group_by("cell_line", "direction").agg(pl.sum("known", "right"))
    line = f"the {wanted.top} genes most probably up and down, for each perturbation"
    screen = Screen(wanted, parts, pl.concat(perts), genes[0], known, pathways)
    screen.files.append(("hits.csv", line))
    return screen


def _right(hits: pl.DataFrame) -> pl.DataFrame:
    """Of the genes listed, how many labels are known and as predicted."""
    labels = {name: label.value for name, label in DIRECTIONS.items()}
    said = pl.col("direction").replace_strict(labels, return_dtype=pl.String)
    known = hits.filter(pl.col("label").is_not_null())
    return known.group_by("cell_line", "direction").agg(
        known=pl.len(), right=(pl.col("label").cast(pl.String) == said).sum()
    )


def _listed(part: pl.DataFrame, hits: pl.DataFrame) -> pl.DataFrame:
    """The part with the genes listed in the place of those called."""
    key = ["cell_line", "pert", "gene"]
    for name in DIRECTIONS:
        mine = hits.filter(pl.col("direction") == name).select(*key, listed=pl.lit(True))
        part = part.join(mine, on=key, how="left", maintain_order="left")
        part = part.with_columns(pl.col("listed").fill_null(False).alias(name)).drop("listed")
    return part


def _write_csv(path: Path, tables: Iterable[pl.DataFrame], columns: Sequence[str]) -> None:
    """Write tables below one another."""
    with whole_file(path) as place, place.open("wb") as file:
        file.write(f"{','.join(columns)}\n".encode())
        for table in tables:
            texts = [defused(name) for name, kind in table.schema.items() if kind == pl.String]
            shorter = table.with_columns(pl.selectors.float().round_sig_figs(_DIGITS), *texts)
            shorter.write_csv(file, include_header=False)
