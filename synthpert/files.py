"""Files that are there whole or not at all."""

from __future__ import annotations

import os
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from synthpert.errors import InputError


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
