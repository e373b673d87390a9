"""`report --paper`: Tables 1 to 5 of the SynthPert paper, rebuilt with our rows beside its own."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Final

import polars as pl

from synthpert.errors import InputError
from synthpert.predictions import KEY, read_predictions
from synthpert.questions import Label, read_questions, split_questions
from tools.report import paper_rows
from tools.report.paper_files import write_aurocs, write_classes, write_counts, write_text
from tools.score.scoring import Scored, score_files
from tools.score.systems import name_systems

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping, Sequence
    from pathlib import Path

HELD_OUT: Final = "held_out:rpe1"
_SUBSETS: Final = "hard answers, three random 20 % subsets"
_BOTH_PARTS: Final = "hard answers, subsets of RPE1's train and test rows"
_ABSENT: Final = "Table 4 is left out: the benchmark's folder holds no other line beside rpe1.\n"


def write_tables(
    files: Sequence[str],
    folder: Path,
    *,
    data: str | None,
    knowledge: str | None,
    rounds: int,
) -> None:
    """Write the five tables as CSV and Markdown, figures of Tables 1 and 2, and show them.

    Args:
        files: Prediction files of ours. One that answers questions outside the default test split
            is taken for RPE1 held out, Table 4.
        folder: Where to; made where needed.
        data: Folder of the benchmark.
        knowledge: Folder of gene sets and networks, for the reference row knn.
        rounds: Of the bootstrap; 0 switches intervals off.

    Raises:
        InputError: If a file or the benchmark is wrong, or the folder cannot be written to.
    """
    questions = read_questions(data)
    default, held_out = _sort(files, questions)
    told = paper_rows.published()
    counted = list(_counts(questions, told["table5_counts"]))
    whole = all(n == published for _, _, n, published in counted)
    scored = score_files(
        default, data=data, knowledge=knowledge, rounds=rounds, protocol="synthpert"
    )
    texts = [
        write_aurocs(folder, name, _aurocs(told[name], task, scored, whole))
        for name, task in (
            ("table1_de_auroc", "de_auroc"),
            ("table2_direction_auroc", "direction_auroc"),
        )
    ]
    rows = _classes(told["table3_three_class_default_split"], _SUBSETS, scored)
    texts.append(write_classes(folder, "table3_three_class", rows, whole))
    if _has_rpe1(questions):
        apart = score_files(held_out, data=data, split=HELD_OUT, knowledge=knowledge, rounds=rounds)
        rows = _classes(told["table4_three_class_rpe1_held_out"], _BOTH_PARTS, apart)
        texts.append(write_classes(folder, "table4_rpe1_held_out", rows, whole))
    else:
        texts.append(_ABSENT)
    texts.append(write_counts(folder, counted, whole))
    texts.append(f"Published rows: {told['source']}.\n")
    write_text(folder / "tables.md", "\n".join(texts))


def _sort(files: Sequence[str], questions: pl.DataFrame) -> tuple[list[str], list[str]]:
    """The files that answer the default test split, and those that answer RPE1 held out."""
    _, test = split_questions(questions)
    asked = test.select(KEY)
    default, held_out = [], []
    for file, paths in zip(files, map(_paths, files), strict=True):
        given = read_predictions(paths[0], text=False).select(KEY)
        outside = given.join(asked, on=KEY, how="anti")
        if outside.is_empty():
            default.append(file)
        elif given["cell_line"].unique().to_list() == ["rpe1"]:
            held_out.append(file)
        else:
            raise InputError(
                "answers neither the default test split nor RPE1 held out",
                file=paths[0],
                got=", ".join(outside.row(0)),
                expected="questions of one of the two",
            )
    return default, held_out


def _paths(file: str) -> list[Path]:
    return next(iter(name_systems([file]).values()))


def _has_rpe1(questions: pl.DataFrame) -> bool:
    lines = questions["cell_line"].unique()
    return "rpe1" in lines and len(lines) > 1


def _ours(scored: Scored) -> Iterator[tuple[str, str, Any]]:
    """Name, origin and system of all that was scored here."""
    for name, system in scored.systems.items():
        yield name, paper_rows.SYSTEM, system
    for name, system in scored.references.items():
        yield name, paper_rows.REFERENCE, system


def _aurocs(
    table: Mapping[str, Mapping[str, float]], task: str, scored: Scored, whole: bool
) -> list[paper_rows.AurocRow]:
    ours = [
        (name, origin, {k: v for k, v in each.blocks.items() if k != "all"}, each.paper)
        for name, origin, each in _ours(scored)
    ]
    return paper_rows.auroc_rows(table, task, ours, whole=whole)


def _classes(
    table: Mapping[str, Mapping[str, Any]], protocol: str, scored: Scored
) -> list[paper_rows.ClassRow]:
    ours = [(name, origin, each.blocks["all"]) for name, origin, each in _ours(scored)]
    return paper_rows.class_rows(table, protocol, ours)


def _counts(
    questions: pl.DataFrame, published: Mapping[str, Mapping[str, int]]
) -> Iterator[tuple[str, str, int, int | None]]:
    """Task, cell line, rows in the folder at hand, rows as published."""
    changed = pl.col("label") != Label.NOT_DE.value
    for task, rows in (("de", questions), ("direction", questions.filter(changed))):
        found = dict(rows.group_by("cell_line", maintain_order=True).len().iter_rows())
        for line, n in {**found, "total": len(rows)}.items():
            yield task, line, n, published[task].get(line)
