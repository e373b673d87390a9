"""JSONL: one object a line, read strictly, to the row when something is wrong.

Python's own reader takes the last of two keys of one name, takes NaN, and ends in a traceback on
deep nesting. A file of training examples with one of these is not what its author meant.
"""

from __future__ import annotations

import json
import re
from collections.abc import Iterator
from pathlib import Path
from typing import Any, Final, NoReturn

from synthpert.errors import InputError
from synthpert.tables import check_file

DEEPEST: Final = 100
"""Objects and arrays within one another; messages and traces need five."""
_STRING: Final = re.compile(r'"(?:[^"\\]|\\.)*"?')
_BRACKETS: Final = re.compile(r"[\[{}\]]")
_EXPECTED: Final = "one object a line"


def read_json_lines(path: Path) -> Iterator[tuple[int, dict[str, Any]]]:
    """Read one object a line.

    Args:
        path: UTF-8 (a byte order mark is allowed), lines ended by LF or CRLF.

    Yields:
        The row, from 1, and the object on it; empty lines are none.

    Raises:
        InputError: If the file cannot be read, or a line is no JSON object, has a key twice, or is
            nested more than `DEEPEST` deep.
    """
    check_file(path)
    try:
        raw = path.read_bytes()
    except OSError as error:
        raise InputError(f"cannot be read: {error.strerror}", file=path) from None
    try:
        lines = raw.decode("utf-8-sig").split("\n")
    except UnicodeDecodeError as error:
        row = raw.count(b"\n", 0, error.start) + 1
        got = raw[error.start : error.start + 1]
        raise InputError("not UTF-8 text", file=path, row=row, got=got, expected="UTF-8") from None
    for row, line in enumerate(lines, 1):
        if line.strip():
            yield row, _read(line, path, row)


def _read(line: str, path: Path, row: int) -> dict[str, Any]:
    """The object on a line."""

    def whole(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
        found = dict(pairs)
        if len(found) < len(pairs):
            names = [name for name, _ in pairs]
            twice = next(name for name in names if names.count(name) > 1)
            raise InputError(
                "key stands twice", file=path, row=row, column=twice, expected="each key once"
            )
        return found

    def no_number(word: str) -> NoReturn:
        raise ValueError(f"{word} is no JSON")

    if _depth(line) > DEEPEST:
        raise InputError(f"nested more than {DEEPEST} deep", file=path, row=row, expected=_EXPECTED)
    try:
        found = json.loads(line, object_pairs_hook=whole, parse_constant=no_number)
    except InputError:
        raise
    except json.JSONDecodeError as error:
        what = f"not JSON: {error.msg} at character {error.colno}"
        raise InputError(what, file=path, row=row, expected=_EXPECTED) from None
    except ValueError as error:
        raise InputError(f"not JSON: {error}", file=path, row=row, expected=_EXPECTED) from None
    if not isinstance(found, dict):
        got = "an array" if isinstance(found, list) else type(found).__name__
        raise InputError(f"not an object but {got}", file=path, row=row, expected=_EXPECTED)
    return found


def _depth(line: str) -> int:
    """How deep a line is nested; what stands in strings does not count."""
    if line.count("[") + line.count("{") <= DEEPEST:
        return 0
    deepest = depth = 0
    for bracket in _BRACKETS.findall(_STRING.sub("", line)):
        depth += 1 if bracket in "[{" else -1
        deepest = max(deepest, depth)
    return deepest
