"""Gene sets to test for: of files the user names, or of the knowledge folder."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Final

import polars as pl

from synthpert.errors import InputError
from synthpert.knowledge import find_knowledge
from synthpert.knowledge.sources import SetTable, knowledge_files, read_source

if TYPE_CHECKING:
    from collections.abc import Sequence


_BUNDLED: Final = "the bundled sample (only sets around its own perturbations; yours with --gmt)"


@dataclass(frozen=True, slots=True)
class GeneSets:
    """Gene sets of one or more files.

    Attributes:
        names: One a set; where two files or lines have the same, the source or a number follows.
        members: Columns set (UInt32, index into `names`) and gene (String), without repeats.
        origin: Where they are from, for the reader.
    """

    names: list[str]
    members: pl.DataFrame
    origin: str


def read_gene_sets(files: Sequence[str] | None = None, max_size: int | None = None) -> GeneSets:
    """Read gene sets.

    Args:
        files: Files of gene sets, or folders of them (what else is in a folder is passed over);
            if None, the knowledge folder: SYNTHPERT_KNOWLEDGE, ./data/knowledge, the sample.
        max_size: Sets with more genes are left out; None for none.

    Returns:
        The sets, in the order of the files. Those left out keep their name and have no members.

    Raises:
        InputError: If a file is broken, or holds no gene sets.
    """
    if files is None:
        folder = find_knowledge()
        tables = _of_folder(folder)
        bundled = folder.parent.name == "sample" and folder.parent.parent.name == "synthpert"
        origin = _BUNDLED if bundled else folder.name
        return _join(tables, origin, max_size)
    tables = []
    for name in files:
        path = Path(name)
        # Notes beside gene sets are passed over.
        sets = sorted([*path.glob("*.gmt"), *path.glob("*.gmt.gz")]) if path.is_dir() else [path]
        tables += [_of_file(each) for each in sets] if sets else _of_folder(path)
    return _join(tables, ", ".join(Path(name).name for name in files), max_size)


def _of_folder(folder: Path) -> list[SetTable]:
    tables = [read_source(path) for path in knowledge_files(folder)]
    sets = [table for table in tables if isinstance(table, SetTable)]
    if not sets:
        expected = "a .gmt file in it, or --gmt FILE"
        raise InputError("no gene sets in this folder", file=folder, expected=expected)
    return sets


def _of_file(path: Path) -> SetTable:
    if not path.exists():
        raise InputError("no such file", file=path, expected="a .gmt file")
    table = read_source(path)
    if not isinstance(table, SetTable):
        raise InputError("not gene sets", file=path, expected="a .gmt file")
    return table


def _join(tables: Sequence[SetTable], origin: str, max_size: int | None) -> GeneSets:
    """All sets under numbers of their own, and names that tell them apart."""
    names: list[str] = []
    members = []
    for table in tables:
        taken = set(names)
        members.append(table.members.with_columns(pl.col("set").cast(pl.UInt32) + len(names)))
        names += [_told_apart(name, taken, table.source) for name in _numbered(table.names)]
    every = pl.concat(members)
    kept = every.filter(pl.len().over("set") <= (max_size or every.height))
    many = kept["set"].n_unique()
    large = every["set"].n_unique() - many
    if not many:
        raise InputError(f"no gene set of at most {max_size:,} genes", file=origin)
    told = f"{origin}: {many:,} gene sets"
    told += f" ({large:,} of more than {max_size:,} genes left out)" if large else ""
    return GeneSets(names, kept, told)


def _numbered(names: Sequence[str]) -> list[str]:
    """A file's names, with a number from the second of the same name on."""
    times: dict[str, int] = {}
    made = []
    for name in names:
        times[name] = times.get(name, 0) + 1
        made.append(name if times[name] == 1 else f"{name} #{times[name]}")
    return made


def _told_apart(name: str, taken: set[str], source: str) -> str:
    return f"{name} [{source}]" if name in taken else name
