"""Files that are there whole or not at all, and the checksums of a folder."""

from __future__ import annotations

import difflib
import hashlib
import os
import re
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Final

from synthpert.errors import InputError

_ALIKE: Final = 0.7
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
    with writing(path):
        path.parent.mkdir(parents=True, exist_ok=True)
        try:
            yield beside
            with beside.open("rb") as written:
                os.fsync(written.fileno())
            beside.replace(path)
        finally:
            beside.unlink(missing_ok=True)


@contextmanager
def writing(path: Path, remedy: str | None = None) -> Iterator[None]:
    """Say in one line that the disk is full or closed, whoever meets it inside the block.

    Args:
        path: What is written.
        remedy: What can be done about it.

    Raises:
        InputError: If it cannot be written.
    """
    try:
        yield
    except OSError as error:
        what = f"cannot be written: {error.strerror or error}"
        raise InputError(what, file=path, expected=remedy) from None
    except BaseException as error:
        if why := _disk_fault(error):
            raise InputError(f"cannot be written: {why}", file=path, expected=remedy) from None
        raise


def _disk_fault(error: BaseException) -> str | None:
    """What the system said where polars, which makes an error of its own of it, was writing."""
    said = re.search(r"\(os error (\d+)\)", str(error))
    if said is None or not type(error).__module__.startswith("polars"):
        return None
    return os.strerror(int(said[1]))


def no_such_file(path: Path) -> InputError:
    """The error for a path where nothing is: a slip, another folder, a link to what is gone.

    Args:
        path: As it was given.
    """
    if path.is_symlink():
        there = str(path.readlink())
        return InputError("the link leads nowhere", file=path, got=there, expected="a file there")
    if not path.parent.is_dir():
        return InputError("no such file", file=path, expected=f"a folder {path.parent}")
    try:
        beside = sorted(path.parent.iterdir())
    except OSError:  # a folder that may be passed through but not listed
        beside = []
    alike = [x.name for x in beside if _likeness(x.stem, path.stem) >= _ALIKE]
    near = max(alike, key=lambda name: _likeness(name, path.name), default=None)
    hint = f"; did you mean {str(path.with_name(near))!r}?" if near else ""
    return InputError(f"no such file{hint}", file=path)


def _likeness(one: str, other: str) -> float:
    return difflib.SequenceMatcher(None, one, other).ratio()


def sha256(path: Path) -> str:
    """The SHA-256 of a file's content, as hexadecimal digits.

    Raises:
        OSError: If it cannot be read.
    """
    with path.open("rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()


def checksums(folder: Path) -> dict[str, str]:
    """The SHA-256 of each file of a folder, by name."""
    found = {}
    for path in sorted(each for each in folder.iterdir() if each.is_file()):
        found[path.name] = sha256(path)
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
