"""Text files a piece at a time, cut where a row ends; plain or gzipped, in any size.

What is a row's end is told by the quotes alone, so every check of the rows stays where it is, in
`synthpert.tables`.
"""

from __future__ import annotations

import codecs
import gzip
import re
import stat
import zlib
from contextlib import contextmanager
from typing import IO, TYPE_CHECKING, Final

from synthpert.errors import InputError
from synthpert.files import no_such_file

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

CHUNK_BYTES: Final = 8 * 2**20
"""Bytes of a piece, about; a table of ordinary size is one piece."""
LONGEST_ROW: Final = 64 * 2**20
"""A row of more bytes than this is a quote that was never closed."""


def check_file(path: Path) -> None:
    """Refuse a path that is not a file.

    Raises:
        InputError: If `path` is missing, a folder, or behind a folder that lets nobody in.
    """
    try:
        mode = path.stat().st_mode
    except (FileNotFoundError, NotADirectoryError):
        raise no_such_file(path) from None
    except OSError as error:
        raise InputError(f"cannot be read: {error.strerror}", file=path) from None
    if stat.S_ISDIR(mode):
        raise InputError("is a folder", file=path, expected="a file")


def text_chunks(path: Path, separator: str, size: int = CHUNK_BYTES) -> Iterator[bytes]:
    """Read a text file in pieces of whole rows.

    Args:
        path: The file, plain or gzipped; a byte order mark is left out.
        separator: What stands between two values: a quote opens after it.
        size: Bytes to read at a time.

    Yields:
        Rows with LF between them and none at the end; blank lines at the file's end are left out,
        others begin the next piece.

    Raises:
        InputError: If the file cannot be read, is empty, or has a row that does not end.
    """
    held, first = b"", True
    for piece in _pieces(path, size):
        rows, held = _cut(held + piece, separator)
        if rows and first:
            rows, first = _begun(rows, path), False
        if rows:
            yield rows
        if len(held) > LONGEST_ROW:
            got, expected = f"{LONGEST_ROW:,} bytes and no end", "every quote closed"
            raise InputError("row does not end", file=path, got=got, expected=expected)
    rows = held.rstrip(b"\n")
    if first:
        rows = _begun(rows, path)
    if rows:
        yield rows


def _begun(rows: bytes, path: Path) -> bytes:
    """The first piece without its byte order mark."""
    rows = rows.removeprefix(codecs.BOM_UTF8)
    if not rows.strip():
        raise InputError("file is empty", file=path, expected="a header and rows")
    return rows


def _pieces(path: Path, size: int) -> Iterator[bytes]:
    """The file's bytes, unpacked, with LF line ends."""
    held = b""
    try:
        with _opened(path) as file:
            while piece := file.read(size):
                piece = held + piece
                # What follows decides whether it is half of a CRLF.
                held = b"\r" if piece.endswith(b"\r") else b""
                piece = piece.removesuffix(held)
                if b"\r" in piece:
                    piece = piece.replace(b"\r\n", b"\n").replace(b"\r", b"\n")
                yield piece
    except EOFError:
        raise InputError("gzip file is truncated", file=path) from None
    except (gzip.BadGzipFile, zlib.error) as error:
        raise InputError(f"not a sound gzip file: {error}", file=path) from None
    except OSError as error:
        raise InputError(f"cannot be read: {error.strerror}", file=path) from None
    if held:
        yield b"\n"


@contextmanager
def _opened(path: Path) -> Iterator[IO[bytes]]:
    check_file(path)
    with path.open("rb") as file:
        packed = file.read(2) == b"\x1f\x8b" or path.suffix == ".gz"
        file.seek(0)
        if not packed:
            yield file
            return
        with gzip.GzipFile(fileobj=file) as unpacked:
            yield unpacked  # type: ignore[misc]


def _cut(raw: bytes, separator: str) -> tuple[bytes, bytes]:
    """The whole rows, and what follows them."""
    rows = raw[: max(_last_row_end(raw, separator), 0)].rstrip(b"\n")
    # Whether blank lines end the file or stand in its midst shows only later.
    return (rows, raw[len(rows) + 1 :]) if rows else (b"", raw)


def _last_row_end(raw: bytes, separator: str) -> int:
    """The place of the last line end outside quotes; -1 where there is none."""
    if b'"' not in raw:
        return raw.rfind(b"\n")
    mark = re.escape(separator).encode()
    quoted = re.compile(rb"(?:\A|(?<=[" + mark + rb'\n]))"(?:[^"]|"")*+(?:"|\Z)')
    end, behind = -1, 0
    for found in quoted.finditer(raw):
        end = max(end, raw.rfind(b"\n", behind, found.start()))
        behind = found.end()
    return max(end, raw.rfind(b"\n", behind))
