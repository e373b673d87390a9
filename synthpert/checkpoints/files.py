"""Checkpoint files that are whole or absent, and known by their SHA-256.

Beside `NAME.ckpt` lies `NAME.ckpt.sha256`, in the form that `sha256sum --check` reads. A kill at
any moment leaves each checkpoint with its checksum: the list gets the new one before the file gets
its name, and loses the old one after. The checkpoint that a save replaces stays, as
`NAME-previous.ckpt`, so there is one to go back to.
"""

from __future__ import annotations

import hashlib
import os
import pickle
import re
import shutil
from collections.abc import Sequence
from pathlib import Path
from typing import IO, Any

import torch

from synthpert.errors import InputError
from synthpert.files import sha256, sync

SUFFIX = ".ckpt"
_LINE = re.compile(r"^([0-9a-f]{64}) [ *]", re.MULTILINE)
# One name for all: saves follow one another, so the next writes over what a kill has left.
_HALF = ".unfinished"


def save(checkpoint: dict[str, Any], path: Path) -> None:
    """Write a checkpoint, whole or not at all, and its checksum.

    It is written beside its place, not through `TMPDIR`, since a rename is whole within one file
    system only. Whatever goes wrong, the checkpoint that was there is there still, under its own
    name or as `NAME-previous.ckpt`.

    Args:
        checkpoint: What `torch.load(weights_only=True)` reads.
        path: Its place; the folder is made where needed.

    Raises:
        InputError: If it cannot be written: disk full, folder read-only.
    """
    half = path.with_name(_HALF)
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        try:
            digest = _write(checkpoint, half)
            if path.exists():
                _move(path, previous(path), _listed(path))
            _move(half, path, [digest])
        finally:
            half.unlink(missing_ok=True)
    except OSError as error:
        raise InputError(f"cannot be written: {error.strerror or error}", file=path) from None


def load(path: Path) -> Any:  # noqa: ANN401 - whatever was saved
    """Read a checkpoint that is whole and holds nothing that runs; tensors land on the CPU.

    Raises:
        InputError: If it is damaged, unknown, or holds objects beside tensors and plain values.
    """
    refuse_damaged(path)
    try:
        return torch.load(path, map_location="cpu", weights_only=True)
    except pickle.UnpicklingError:
        raise InputError(
            "not loaded: it holds code or objects", file=path, expected="weights and plain values"
        ) from None
    except (OSError, RuntimeError, EOFError, ValueError, LookupError) as error:
        raise InputError(f"this is no checkpoint: {_first(error)}", file=path) from None


def refuse_damaged(path: Path) -> None:
    """Refuse a checkpoint whose content is not what was written.

    A folder, which a sharded strategy writes, has no checksum and is not looked into.

    Raises:
        InputError: If it has no checksum, or another.
    """
    if path.is_dir():
        return
    listed = _listed(path)
    name, sums = path.name, checksums(path).name
    if not listed:
        raise InputError(
            "the checkpoint has no checksum",
            file=path,
            expected=f"{sums} beside it; if you trust the file: sha256sum {name} > {sums}",
        )
    try:
        digest = sha256(path)
    except OSError as error:
        raise InputError(f"cannot be read: {error.strerror or error}", file=path) from None
    if digest not in listed:
        raise InputError(
            "the checkpoint is damaged: its SHA-256 is another",
            file=path,
            got=f"{digest[:12]}...",
            expected=f"{listed[-1][:12]}... as in {sums}",
        )


def digest(path: Path) -> str:
    """The SHA-256 of a checkpoint; of a folder, that of all its files' names and contents.

    Raises:
        InputError: If it cannot be read.
    """
    whole = hashlib.sha256()
    files = sorted(each for each in path.rglob("*") if each.is_file()) if path.is_dir() else [path]
    try:
        for each in files:
            found = sha256(each)
            if each == path:
                return found
            whole.update(f"{each.relative_to(path)} {found}\n".encode())
    except OSError as error:
        raise InputError(f"cannot be read: {error.strerror or error}", file=path) from None
    return whole.hexdigest()


def remove(path: Path) -> None:
    """Delete a checkpoint, the one that it replaced, and their checksums."""
    for each in (path, previous(path)):
        if each.is_dir():
            shutil.rmtree(each)
        # The file first: a checksum without one is no harm.
        each.unlink(missing_ok=True)
        checksums(each).unlink(missing_ok=True)


def previous(path: Path) -> Path:
    """Where the checkpoint stays that a save to `path` replaces."""
    return path.with_name(f"{path.stem}-previous{path.suffix}")


def checksums(path: Path) -> Path:
    """The file with a checkpoint's checksum."""
    return path.with_name(f"{path.name}.sha256")


class _Hashed:
    """A file that is hashed as it is written.

    torch turns what `write` raises into an error of its own, without the reason: it is kept here.
    """

    def __init__(self, file: IO[bytes]) -> None:
        self.file = file
        self.hash = hashlib.sha256()
        self.error: OSError | None = None

    def write(self, part: bytes | memoryview) -> int:
        if self.error is None:
            try:
                self.file.write(part)
                self.hash.update(part)
            except OSError as error:
                self.error = error
        return len(part)

    def flush(self) -> None:
        if self.error is None:
            self.file.flush()


def _write(checkpoint: dict[str, Any], place: Path) -> str:
    with place.open("wb") as file:
        hashed = _Hashed(file)
        torch.save(checkpoint, hashed)  # type: ignore[arg-type]
        if hashed.error is not None:
            raise hashed.error
        file.flush()
        os.fsync(file.fileno())
    return hashed.hash.hexdigest()


def _move(source: Path, target: Path, digests: Sequence[str]) -> None:
    """Give a file its name; at every moment the list beside it holds its checksum."""
    _list(target, [*_listed(target), *digests])
    source.replace(target)
    sync(target.parent)
    _list(target, digests)


def _list(path: Path, digests: Sequence[str]) -> None:
    half = path.with_name(f"{_HALF}.sha256")
    lines = "".join(f"{digest}  {path.name}\n" for digest in dict.fromkeys(digests))
    with half.open("w", encoding="utf-8") as file:
        file.write(lines)
        file.flush()
        os.fsync(file.fileno())
    half.replace(checksums(path))
    sync(path.parent)


def _listed(path: Path) -> list[str]:
    """The checksums a checkpoint may have: one, or two where a save was killed."""
    try:
        text = checksums(path).read_text(encoding="utf-8", errors="replace")
    except OSError:
        return []
    return _LINE.findall(text)


def _first(error: Exception) -> str:
    return next(iter(str(error).splitlines()), type(error).__name__)
