"""Systems to score: what each is called, its files (one a seed), and how it was asked."""

from __future__ import annotations

import logging
import re
from collections import Counter
from dataclasses import dataclass, field
from glob import glob
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final

from synthpert.aliases import rename_symbols
from synthpert.errors import InputError
from synthpert.predictions import is_soft, read_predictions
from synthpert.predictions.records import read_record
from synthpert.scoring import answer_questions

if TYPE_CHECKING:
    from collections.abc import Sequence

    import polars as pl

    from synthpert.aliases import Aliases
    from synthpert.scoring.bootstrap import Figures

logger = logging.getLogger(__name__)

RECORDED: Final = ("model", "prompt_id", "n_samples", "seed", "run")
"""Columns of a prediction file that say how it was made."""
_OF_A_RUN: Final = "predictions"
_MOST_VALUES: Final = 8
_PATTERN: Final = re.compile(r"[*?\[]")
_NAMED: Final = re.compile(r"^[^=/\\]+=")


@dataclass(slots=True)
class System:
    """Whatever answered the questions.

    Attributes:
        name: In every table.
        tables: One a seed: the test questions, `answer`, `p_not_de`, `p_up`, `p_down`, `found`.
        paths: Where they were read from; none of a reference row.
        records: How each was made, from the file's columns and its own record.
        soft: Whether any row of any seed has a probability other than 0 and 1.
        blocks: Cell line, and `all`, to its BLOCK; of several seeds, the mean of each figure.
        spread: Of several seeds, the standard deviation (n - 1) of each figure by cell line (and
            `all`) and dotted name; empty for one.
        rounds: Cell line, and `all`, to the figures in each bootstrap round; none where intervals
            are switched off.
        strata: What training has seen of the perturbation, to its BLOCK.
        by_train_rows: How many train rows the gene has, to its BLOCK.
        by_facts: How many facts of the knowledge files are about the gene, to its BLOCK.
        confusion: Cell line, and `all`, to counts: a row per label, a column per answer and one
            for none; of several seeds, their sum.
        calibration: Likewise the bins of a reliability plot; of several seeds, of all their rows.
        retention: Likewise coverage against accuracy.
        paper: The figures of the SynthPert paper's protocol by cell line, where asked for.
    """

    name: str
    tables: list[pl.DataFrame]
    paths: list[Path] = field(default_factory=list)
    records: list[dict[str, Any]] = field(default_factory=list)
    soft: bool = True
    blocks: dict[str, dict[str, Any]] = field(default_factory=dict)
    spread: dict[str, dict[str, float | None]] = field(default_factory=dict)
    rounds: dict[str, Figures] = field(default_factory=dict)
    strata: dict[str, dict[str, Any]] = field(default_factory=dict)
    by_train_rows: dict[str, dict[str, Any]] = field(default_factory=dict)
    by_facts: dict[str, dict[str, Any]] = field(default_factory=dict)
    confusion: dict[str, list[list[int]]] = field(default_factory=dict)
    calibration: dict[str, list[dict[str, Any]]] = field(default_factory=dict)
    retention: dict[str, list[dict[str, Any]]] = field(default_factory=dict)
    paper: dict[str, Any] = field(default_factory=dict)

    @property
    def table(self) -> pl.DataFrame:
        """The answers of the first seed."""
        return self.tables[0]

    @property
    def record(self) -> dict[str, Any]:
        """How it was made; a value that differs between seeds is a list of all of them."""
        names = dict.fromkeys(name for record in self.records for name in record)
        found = {}
        for name in names:
            values: list[Any] = []
            for record in self.records:
                value = record.get(name)
                values += [value] if value not in values else []
            found[name] = values[0] if len(values) == 1 else values
        return found


def name_files(files: Sequence[str]) -> dict[str, Path]:
    """Name prediction files by their stems, with the folder before it where two are the same.

    A run's `predictions.parquet` is called as the run's folder is.

    Args:
        files: Paths.

    Returns:
        Name to path, in the order of `files`.

    Raises:
        InputError: If two files cannot be told apart even so.
    """
    paths = [Path(file) for file in files]
    stems = [path.name.removesuffix(".gz").rpartition(".")[0] or path.name for path in paths]
    stems = [
        path.absolute().parent.name or stem if stem == _OF_A_RUN else stem
        for stem, path in zip(stems, paths, strict=True)
    ]
    times = Counter(stems)
    names = [
        stem if times[stem] == 1 else f"{path.absolute().parent.name}/{stem}"
        for stem, path in zip(stems, paths, strict=True)
    ]
    for name, path in zip(names, paths, strict=True):
        if names.count(name) > 1:
            raise InputError("two files have the same name and folder name", file=path, got=name)
    return dict(zip(names, paths, strict=True))


def name_systems(files: Sequence[str]) -> dict[str, list[Path]]:
    """Name systems: each file is one, and `NAME=PATTERN` is one of several seeds.

    Args:
        files: Paths; `NAME=PATTERN` with a path or a shell pattern such as
            `student=runs/seed*/predictions.parquet`; or such a pattern alone, which is its name.

    Returns:
        Name to the system's files, in the order given; the files of a pattern by name.

    Raises:
        InputError: If a pattern has no file, or two systems have the same name.
    """
    single = [file for file in files if not _is_group(file)]
    names = iter(name_files(single))
    found: dict[str, list[Path]] = {}
    for file in files:
        name, paths = _group(file) if _is_group(file) else (next(names), [Path(file)])
        if name in found:
            raise InputError("two systems have the same name", file=file, got=name)
        found[name] = paths
    return found


def _is_group(file: str) -> bool:
    return not Path(file).exists() and bool(_NAMED.match(file) or _PATTERN.search(file))


def _group(file: str) -> tuple[str, list[Path]]:
    name = file.partition("=")[0]
    pattern = file[len(name) + 1 :] if _NAMED.match(file) else file
    paths = sorted(glob(pattern)) if _PATTERN.search(pattern) else [pattern]
    if not paths:
        raise InputError("no file of this pattern", file=file, got=pattern)
    return name if _NAMED.match(file) else file, [Path(path) for path in paths]


def read_system(name: str, paths: Sequence[Path]) -> System:
    """Read a system's files; `lay_beside` makes them ready to be scored.

    Args:
        name: What it is called.
        paths: Its files, one a seed.

    Returns:
        The system; its tables are predictions as `read_predictions` returns them.

    Raises:
        InputError: If a file is wrong.
    """
    tables = [read_predictions(path, text=False) for path in paths]
    told = zip(tables, paths, strict=True)
    records = [_columns_record(table) | read_record(path) for table, path in told]
    return System(name, tables, list(paths), records, any(map(is_soft, tables)))


def lay_beside(system: System, questions: pl.DataFrame, aliases: Aliases | None = None) -> None:
    """Lay a system's predictions beside the questions.

    Args:
        system: As `read_system` returns it; its tables are replaced.
        questions: The test questions.
        aliases: Other symbols of the benchmark's genes; None to take every symbol as it is.

    Raises:
        InputError: If a file answers what is no question.
    """
    for i, (table, path) in enumerate(zip(system.tables, system.paths, strict=True)):
        if aliases is not None:
            table = rename_symbols(table, questions, aliases, path)
        system.tables[i] = answer_questions(questions, table, path)


def _columns_record(predictions: pl.DataFrame) -> dict[str, Any]:
    """What the file's own columns say of how it was made."""
    record: dict[str, Any] = {}
    for name in RECORDED:
        values = predictions[name].unique().drop_nulls().sort().to_list()
        if values:
            record[name] = values[0] if len(values) == 1 else values[:_MOST_VALUES]
    return record
