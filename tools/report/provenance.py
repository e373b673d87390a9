"""What a report was made from: checksums of the inputs, versions of the programs."""

from __future__ import annotations

import hashlib
import platform
from datetime import UTC, datetime
from importlib.metadata import PackageNotFoundError, version
from pathlib import Path
from typing import TYPE_CHECKING, Final, NamedTuple

from synthpert import __version__
from synthpert.knowledge import find_knowledge
from synthpert.knowledge.sources import knowledge_files

if TYPE_CHECKING:
    from collections.abc import Iterable

PROGRAMS: Final = ("torch", "transformers", "polars", "numpy", "scikit-learn", "matplotlib")


class Input(NamedTuple):
    """A file that was read.

    Attributes:
        what: Its part, such as `predictions`.
        name: Its name with its folder's, without the rest of the path: a report is mailed.
        size: Bytes.
        changed: The day of its last change, UTC.
        sha256: Hexadecimal.
    """

    what: str
    name: str
    size: int
    changed: str
    sha256: str


def describe(what: str, paths: Iterable[Path]) -> list[Input]:
    """Measure files.

    Args:
        what: Their part in the report.
        paths: Readable files.
    """
    return [_input(what, path) for path in paths]


def _input(what: str, path: Path) -> Input:
    with path.open("rb") as file:
        digest = hashlib.file_digest(file, "sha256").hexdigest()
    told = path.stat()
    day = datetime.fromtimestamp(told.st_mtime, UTC).strftime("%Y-%m-%d")
    folder = path.absolute().parent.name
    return Input(what, f"{folder}/{path.name}", told.st_size, day, digest)


def benchmark_files(folder: Path, cell_lines: Iterable[str]) -> list[Path]:
    """The two tables of each cell line, plain or gzipped, as far as they are there.

    Args:
        folder: The benchmark.
        cell_lines: Their names.
    """
    names = [f"{line}-{task}.csv" for line in cell_lines for task in ("de", "dir")]
    asked = [folder / f"{name}{end}" for name in names for end in ("", ".gz")]
    return [path for path in asked if path.is_file()]


def files_of_knowledge(knowledge: str | None, used: bool) -> list[Path]:
    """The files of gene sets and networks behind the reference row knn and the strata.

    Args:
        knowledge: Their folder, None as in `find_knowledge`.
        used: Whether anything on the page is of them.
    """
    return knowledge_files(find_knowledge(knowledge)) if used else []


def versions() -> dict[str, str]:
    """Program to version: our own, Python's, and those of `PROGRAMS` that are installed."""
    found = {"synthpert": __version__, "python": platform.python_version()}
    for name in PROGRAMS:
        try:
            found[name] = version(name)
        except PackageNotFoundError:
            continue
    return found
