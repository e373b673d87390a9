"""A folder that is there whole or not at all."""

from __future__ import annotations

import os
import shutil
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from synthpert.errors import InputError
from synthpert.files import sync


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
            sync(path)
        sync(half)
        # An empty folder of that name gives way.
        half.rename(folder)
        sync(folder.parent)
    except (OSError, SafetensorError) as error:
        said = getattr(error, "strerror", None) or error
        raise InputError(f"cannot be written: {said}", file=folder) from None
    finally:
        shutil.rmtree(half, ignore_errors=True)
