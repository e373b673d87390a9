"""The two ways in which a command ends early, and the exit code of each."""

from __future__ import annotations

import reprlib
from pathlib import Path
from typing import Final

# A value is shown to be recognised: a cell of 10 MB is not, nor is an array 5,000 deep.
_SHORT: Final = reprlib.Repr()
_SHORT.maxstring = _SHORT.maxother = 200
_SHORT.maxlist = _SHORT.maxtuple = _SHORT.maxdict = _SHORT.maxset = 20
_LONGEST: Final = 1000


class InputError(ValueError):
    """The caller's input is wrong; the front door prints it as one line and exits with 2.

    Args:
        what: What is wrong, in a few words.
        file: The file, key or flag it was found in.
        row: The row in that file; the header is row 1, as in a spreadsheet.
        column: The column's name (or the key's, in a YAML file).
        got: The offending value.
        expected: What would have been right.
        near: The known word that may have been meant.

    Attributes:
        what: As given, and so are the others.
    """

    exit_code = 2

    def __init__(
        self,
        what: str,
        *,
        file: str | Path | None = None,
        row: int | None = None,
        column: str | None = None,
        got: object = None,
        expected: str | None = None,
        near: str | None = None,
    ) -> None:
        self.what, self.file, self.row, self.column = what, file, row, column
        self.got, self.expected, self.near = got, expected, near
        place = ":".join(str(part) for part in (file, row, column) if part is not None)
        facts = [f"got {_SHORT.repr(got)}"] if got is not None else []
        facts += [f"expected {_clipped(expected)}"] if expected is not None else []
        facts += [f"did you mean {near!r}?"] if near is not None else []
        line = f"{place}: {_clipped(what)}" if place else _clipped(what)
        line += f" ({'; '.join(facts)})" if facts else ""
        super().__init__(" ".join(line.split()))


class StoppedError(RuntimeError):
    """Work stopped on purpose (budget, quota, authentication) and the same command resumes it.

    The front door prints the message and exits with 3.
    """

    exit_code = 3


def _clipped(text: str) -> str:
    return text if len(text) <= _LONGEST else f"{text[:_LONGEST]} …"
