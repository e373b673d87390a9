"""What a reader is told: tables on stdout, and README.md beside the files."""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

import polars as pl
from rich.console import Console

from synthpert import __version__
from synthpert.display import markdown, show
from synthpert.files import whole_file
from synthpert.predictions.records import read_record
from tools.hits.dots import SIGNIFICANT
from tools.hits.ranking import DIRECTIONS, top_genes

if TYPE_CHECKING:
    from collections.abc import Sequence
    from pathlib import Path

    from tools.hits.screen import Screen

HEAD: Final = "# Hits\n\nMade by synthpert"
"""What README.md begins with, and a later run knows its own folder by."""
_ROWS: Final = 10
_NAMES: Final = 4
_LINES: Final = (
    *("cell line", "perturbations", "questions", "unread", "called up", "called down"),
    *("pathways q < 0.05", "listed up right", "listed down right"),
)
_PERTS: Final = (
    *("cell line", "perturbation", "asked", "up", "down"),
    *("most probably up", "most probably down", "first pathway"),
)


class Summary:
    """The tables and the notes of a screen, read while its working files are there.

    Args:
        screen: All perturbations looked at, all pictures drawn.
        notes: Sentences told before those about the rows.
    """

    def __init__(self, screen: Screen, notes: Sequence[str]) -> None:
        self.screen = screen
        self.notes = [*_row_notes(screen), *_pathway_notes(screen), *notes]
        self.lines = _line_rows(screen)
        self.perts = _pert_rows(screen)
        labelled = any(row[-1] is not None or row[-2] is not None for row in self.lines)
        if not labelled:
            self.lines = [row[:-2] for row in self.lines]
        self.header = _LINES if labelled else _LINES[:-2]

    def show(self, out: Path) -> None:
        """Print the tables, the notes and where the files are.

        Args:
            out: The folder.
        """
        show("Predictions", self.header, self.lines)
        show("Perturbations with most genes called", _PERTS, self.perts)
        show(f"Files in {out}", ("file", "what"), self.screen.files)
        console = Console()
        for note in self.notes:
            console.print(note, markup=False, highlight=False, soft_wrap=True)

    def write(self, path: Path) -> None:
        """Write the same as Markdown.

        Args:
            path: README.md of the folder.

        Raises:
            InputError: If it cannot be written.
        """
        parts = [
            f"{HEAD} {__version__} from\n\n{_sources(self.screen)}\n",
            f"{_settings(self.screen)}\n",
            markdown("Files", ("file", "what"), self.screen.files),
            markdown("Predictions", self.header, self.lines),
            markdown("Perturbations with most genes called", _PERTS, self.perts),
            "".join(f"- {note}\n" for note in self.notes),
        ]
        with whole_file(path) as place:
            place.write_text("\n".join(parts), encoding="utf-8")


def _sources(screen: Screen) -> str:
    lines = []
    for path in screen.parts.files:
        model = read_record(path).get("model")
        lines.append(f"- {path.name}" + (f", answered by {model}" if model else ""))
    return "\n".join(lines)


def _settings(screen: Screen) -> str:
    """What can be set, and was."""
    wanted = screen.wanted
    called = "as answered" if wanted.threshold is None else f"from {wanted.threshold:g} on"
    return (
        f"Genes are called {called}; {wanted.top} are listed; those {wanted.which} are tested with "
        f"gene sets of at most {wanted.max_size:,} genes, {wanted.min_size} or more of them asked "
        "about."
    )


def _line_rows(screen: Screen) -> list[list[object]]:
    """A row for each cell line."""
    perts = screen.perts.group_by("cell_line", maintain_order=True).agg(
        pl.len(), *(pl.sum(name) for name in ("asked", "unread", "up", "down"))
    )
    strong = screen.pathways.scan().filter(pl.col("q") < SIGNIFICANT)
    found = dict(strong.group_by("cell_line").len().collect().iter_rows())
    right = {
        (line, direction): right / known
        for line, direction, known, right in screen.right.iter_rows()
        if known
    }
    return [
        [*row, found.get(row[0], 0), right.get((row[0], "up")), right.get((row[0], "down"))]
        for row in perts.iter_rows()
    ]


def _pert_rows(screen: Screen) -> list[list[object]]:
    """A row for each of the perturbations with most genes called."""
    called = pl.col("up") + pl.col("down")
    best = screen.perts.sort(called, "activity", descending=True, maintain_order=True).head(_ROWS)
    key = ["cell_line", "pert"]
    rows = screen.parts.scan().join(best.lazy().select(key), on=key, how="semi").collect()
    listed = top_genes(rows, _NAMES).group_by(*key, "direction").agg(pl.col("gene"))
    genes = {row[:3]: ", ".join(row[3]) for row in listed.iter_rows()}
    tests = screen.pathways.scan().filter(pl.col("q") < SIGNIFICANT)
    first = tests.join(best.lazy().select(key), on=key, how="semi").collect().sort("q", "p", "set")
    names = screen.pathways.sets.names
    sets = {row[:2]: names[row[2]] for row in first.select(*key, "set").reverse().iter_rows()}
    made: list[list[object]] = []
    for line, pert, *counts in best.select(*key, "asked", "up", "down").iter_rows():
        lists = [genes.get((line, pert, direction)) for direction in DIRECTIONS]
        made.append([line, pert, *counts, *lists, sets.get((line, pert))])
    return made


def _row_notes(screen: Screen) -> list[str]:
    """What has to be known of the rows."""
    perts, wanted = screen.perts, screen.wanted
    asked, unread = perts["asked"].sum(), perts["unread"].sum()
    notes = []
    if asked < screen.parts.rows:
        notes.append(f"{asked:,} of {screen.parts.rows:,} rows are of the names chosen.")
    if unread:
        notes.append(
            f"{unread:,} of {asked:,} answers could not be read: they are in no list and in no "
            "background, and grey in the heat map."
        )
    if labelled := perts["labelled"].sum():
        up, down = (int(perts[name].sum()) / int(labelled) for name in ("label_up", "label_down"))
        notes.append(
            "Listed right: of the genes listed whose label is known, the share that has the "
            f"label. Of all {labelled:,} labels {up:.4f} are up and {down:.4f} down."
        )
    if not perts["soft"].sum():
        notes.append(
            "The answers are hard: every probability is 0 or 1. All genes listed share rank 1 and "
            f"stand by name, and which {wanted.top} are listed says nothing."
        )
    if not (perts["up"].sum() or perts["down"].sum()):
        what = "answered so" if wanted.threshold is None else f"at {wanted.threshold:g} or above"
        notes.append(f"No gene is called up or down ({what}).")
    return notes


def _pathway_notes(screen: Screen) -> list[str]:
    """What has to be known of the tests."""
    pathways = screen.pathways
    genes = screen.genes["gene"].n_unique()
    return [
        f"Gene sets: {pathways.sets.origin}; {pathways.covered:,} of {genes:,} genes asked about "
        f"are in one. Names are taken as they stand, aliases are not looked up.",
        f"{sum(pathways.tests.values()):,} tests of the genes {screen.wanted.which}, corrected "
        "within a cell line. They say where predictions gather, not what was measured.",
    ]
