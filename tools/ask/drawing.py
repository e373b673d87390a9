"""Which test questions are asked: all, a seeded draw by perturbation, or a table of one's own."""

from __future__ import annotations

import hashlib
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

import polars as pl

from synthpert.errors import InputError
from synthpert.predictions.records import fingerprint
from synthpert.probes import probed
from synthpert.questions import KEY, find_data, read_questions, read_table, split_questions
from synthpert.questions.checks import check_symbols

if TYPE_CHECKING:
    from synthpert.prompts import PromptSet
    from tools.ask.settings import Settings


@dataclass(frozen=True)
class Drawn:
    """Questions in the order of the benchmark.

    Attributes:
        kept: cell_line, pert, gene and, where it is known, label: what the answers belong to.
        asked: The same rows as they are asked; another table only with a probe.
        record: How they were drawn, for the record of the predictions.
    """

    kept: pl.DataFrame
    asked: pl.DataFrame
    record: dict[str, Any]


def draw(settings: Settings, prompts: PromptSet | None = None) -> Drawn:
    """Read the benchmark and draw the questions that the settings ask for.

    Args:
        settings: Data, split, cell lines, number or share or table, seed, probe.
        prompts: A set that offers fewer labels asks only of questions that have one of them.

    Raises:
        InputError: If the data cannot be read, holds fewer questions or none of a cell line, or a
            name in it could carry an instruction into a prompt.
    """
    table = read_questions(settings.data)
    # Split before cell lines are chosen: a strict split looks at the tests of all of them.
    _, test = split_questions(table, settings.split)
    pool = test.select(*KEY, "label")
    place = find_data(settings.data)
    record: dict[str, Any] = {"split": settings.split, "draw": settings.draw}
    if isinstance(settings.questions, Path):
        place = settings.questions
        every = read_table(settings.questions)
        every = every.select(*KEY, *(name for name in ("label",) if name in every.columns))
        record["table"] = settings.questions.name
    else:
        every = pool
    if "label" in every.columns and prompts is not None:
        offered = [str(label) for label in prompts.labels]
        every = every.filter(pl.col("label").is_null() | pl.col("label").is_in(offered))
    lines = list(dict.fromkeys(filter(None, map(str.strip, settings.cell_lines.split(",")))))
    every = _only(every, lines)
    check_symbols(every, place, KEY)
    kept = _some(every, settings)
    asked = kept if settings.probe is None else probed(kept, settings.probe, pool, settings.draw)
    record |= {
        "count": kept.height,
        "of": every.height,
        "cell_lines": kept["cell_line"].unique(maintain_order=True).to_list(),
        "sha256": fingerprint(kept),
    }
    return Drawn(kept, asked, record)


def _only(every: pl.DataFrame, lines: list[str]) -> pl.DataFrame:
    present = every["cell_line"].unique(maintain_order=True).to_list()
    for name in lines:
        if name not in present:
            expected = f"one of {', '.join(present)}"
            what = "no question of this cell line"
            raise InputError(what, file="ask", column="cell_lines", got=name, expected=expected)
    return every.filter(pl.col("cell_line").is_in(lines)) if lines else every


def _some(every: pl.DataFrame, settings: Settings) -> pl.DataFrame:
    number = settings.questions
    if number is None or isinstance(number, Path):
        count = every.height
    else:
        count = round(number * every.height) if number < 1 else int(number)
    if not 0 < count <= every.height:
        expected = f"1 to {every.height:,}, or a share of them"
        what = "no question at all" if not count else "more questions than there are"
        raise InputError(what, file="ask", column="questions", got=number, expected=expected)
    if count == every.height:
        return every
    # By names alone, so that neither the order of a file nor what else is in it matters. Whole
    # perturbations, since a figure per perturbation is of all its rows; every line has its turn.
    perts = every.select(KEY[:2]).unique()
    places = [_place(settings.draw, *row) for row in perts.iter_rows()]
    order = perts.with_columns(place=pl.Series(places, dtype=pl.String)).with_columns(
        turn=pl.col("place").rank("ordinal").over("cell_line")
    )
    rows = every.with_row_index().join(order, on=KEY[:2], how="left", maintain_order="left")
    drawn = rows.sort("turn", "place", "gene").head(count)
    return drawn.sort("index").drop("index", "turn", "place")


def _place(seed: int, *names: str) -> str:
    return hashlib.sha256("\t".join([str(seed), *names]).encode()).hexdigest()
