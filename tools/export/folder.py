"""A folder that is there whole or not at all, with the checksums of what it holds."""

from __future__ import annotations

import hashlib
import os
import shutil
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Final

from synthpert.errors import InputError

SUMS: Final = "SHA256SUMS"
"""The file with the checksums, as `sha256sum --check` reads it."""


def refuse_taken(folder: Path) -> None:
    """Refuse a folder that holds anything, or a file in its place.

    Raises:
        InputError: If there is something.
    """
    if folder.exists() and not folder.is_dir():
        raise InputError("this is a file", file=folder, expected="a new folder")
    if folder.exists() and any(folder.iterdir()):
        raise InputError("the folder is not empty", file=folder, expected="a new or empty one")


@contextmanager
def whole_folder(folder: Path) -> Iterator[Path]:
    """Give a place to write to; it gets the name `folder` when all of it is on disk.

    Args:
        folder: New or empty. What it is in is made where needed.

    Yields:
        A folder beside it, since a rename is whole within one file system only.

    Raises:
        InputError: If it is taken, or cannot be written. Nothing is left of it then.
    """
    from safetensors import SafetensorError

    folder = folder.absolute()
    refuse_taken(folder)
    half = folder.with_name(f".{folder.name}-{os.getpid()}")
    try:
        half.mkdir(parents=True)
        yield half
        for path in half.iterdir():
            # safetensors lets nobody but the owner read.
            path.chmod(0o644)
            _sync(path)
        _sync(half)
        # An empty folder of that name gives way.
        half.rename(folder)
        _sync(folder.parent)
    except (OSError, SafetensorError) as error:
        said = getattr(error, "strerror", None) or error
        raise InputError(f"cannot be written: {said}", file=folder) from None
    finally:
        shutil.rmtree(half, ignore_errors=True)


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


def _sync(path: Path) -> None:
    handle = os.open(path, os.O_RDONLY)
    try:
        os.fsync(handle)
    finally:
        os.close(handle)
