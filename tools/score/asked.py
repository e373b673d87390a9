"""Which questions are scored, and what the files' records say against comparing them."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Final

import polars as pl

from synthpert.questions import KEY, read_table
from synthpert.tables import refuse
from tools.score.comparing import differing

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator, Mapping
    from pathlib import Path

    from tools.score.systems import System

_SEED: Final = "seed"
_FEW: Final = 0.5


def asked_alone(test: pl.DataFrame, path: Path) -> pl.Series:
    """Choose the test questions of a table.

    Args:
        test: The split's test questions.
        path: A table with the columns cell_line, pert, gene; a prediction file is one.

    Returns:
        A mask over the rows of `test`.

    Raises:
        InputError: If the table cannot be read, or has a row that is none of them.
    """
    asked = read_table(path).select(KEY)
    marked = test.select(*KEY, there=pl.lit(True))
    known = asked.join(marked, on=KEY, how="left", maintain_order="left")
    what, expected = "not a question of this split's test set", f"one of {len(test):,}"
    none = pl.col("there").is_null()
    refuse(known, none, what, file=path, column="gene", expected=expected)
    found = test.join(asked.with_columns(asked=True), on=KEY, how="left", maintain_order="left")
    return found["asked"].fill_null(False)


def find_cautions(systems: Iterable[System], split: str, count: int, of: int) -> list[str]:
    """What has to be known before the figures are compared.

    Args:
        systems: Scored; their records are read.
        split: The split that was scored.
        count: How many of its test questions.
        of: How many it has.

    Returns:
        A line each; none where nothing is amiss.
    """
    told = []
    if count < of:
        told.append(
            f"Scored on {count:,} of the {of:,} test questions: compare with figures on the same "
            "ones only."
        )
    for system in systems:
        told += _few_answers(system)
        told += _other_split(system, split)
        told += _unlike_seeds(system)
    return told


def _few_answers(system: System) -> Iterator[str]:
    """A file of a sample, whose other questions count as wrong."""
    for table in system.tables[:1]:
        found, count = int(table["found"].sum()), len(table)
        if found < _FEW * count:
            yield (
                f"{system.name} answers {found:,} of {count:,} questions, and the others count as "
                "wrong: --questions FILE scores every system on the questions of that file alone."
            )


def _other_split(system: System, split: str) -> Iterator[str]:
    """Where the audit and the reference rows are not of what the system was trained on."""
    made = {_split_of(record) for record in system.records} - {None, split}
    if made:
        names = " and ".join(sorted(map(str, made)))
        yield (
            f"{system.name} was made for the split {names}, not {split}: what it was trained on or "
            "shown may hold what the audit calls unseen."
        )


def _split_of(record: Mapping[str, Any]) -> str | None:
    questions = record.get("questions")
    within = questions.get("split") if isinstance(questions, dict) else None
    found: str | None = record.get("split", within)
    return found


def _unlike_seeds(system: System) -> Iterator[str]:
    """Files that are meant as seeds of one system, but differ in more than the seed."""
    first, *others = system.records or [{}]
    names = dict.fromkeys(name for other in others for name in differing(first, other))
    names.pop(_SEED, None)
    if names:
        yield f"The files of {system.name} are no seeds of one system: they differ in " + (
            ", ".join(names) + "."
        )
