"""Files that are there whole or not at all, and the checksums of a folder."""

from __future__ import annotations

import hashlib
import os
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Final

from synthpert.errors import InputError

SUMS: Final = "SHA256SUMS"
"""The file with a folder's checksums, as `sha256sum --check` reads it."""


@contextmanager
def whole_file(path: Path) -> Iterator[Path]:
    """Give a place to write to; its content gets the name `path` when all of it is on disk.

    The place is in the same folder, since a rename is whole within one file system only. Whatever
    goes wrong inside the block, `path` is as it was and nothing is left beside it.

    Args:
        path: The file; its folder is made where needed.

    Yields:
        The place, with the same suffix as `path`.

    Raises:
        InputError: If it cannot be written.
    """
    if not path.name:
        raise InputError("no file's name", file=path, expected="a file")
    beside = path.with_name(f".{path.stem}-{os.getpid()}{path.suffix}")
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        try:
            yield beside
            with beside.open("rb") as written:
                os.fsync(written.fileno())
            beside.replace(path)
        finally:
            beside.unlink(missing_ok=True)
    except OSError as error:
        raise InputError(f"cannot be written: {error.strerror or error}", file=path) from None


def checksums(folder: Path) -> dict[str, str]:
    """The SHA-256 of each file of a folder, by name."""
    found = {}
    for path in sorted(folder.iterdir()):
        with path.open("rb") as file:
            found[path.name] = hashlib.file_digest(file, "sha256").hexdigest()
    return found


def seal(folder: Path) -> None:
    """Write the checksums of all files of a folder into it."""
    lines = [f"{digest}  {name}\n" for name, digest in checksums(folder).items()]
    (folder / SUMS).write_text("".join(lines), encoding="utf-8")


def sync(path: Path) -> None:
    """Wait until a file's content, or the names in a folder, are on disk."""
    handle = os.open(path, os.O_RDONLY)
    try:
        os.fsync(handle)
    finally:
        os.close(handle)
