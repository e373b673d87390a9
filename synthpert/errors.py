"""The two ways in which a command ends early, and the exit code of each."""

from __future__ import annotations

from pathlib import Path


class InputError(ValueError):
    """The caller's input is wrong; the front door prints it as one line and exits with 2.

    Args:
        what: What is wrong, in a few words.
        file: The file, key or flag it was found in.
        row: The row in that file; the header is row 1, as in a spreadsheet.
        column: The column's name (or the key's, in a YAML file).
        got: The offending value.
        expected: What would have been right.
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
    ) -> None:
        place = ":".join(str(part) for part in (file, row, column) if part is not None)
        facts = [f"got {got!r}"] if got is not None else []
        facts += [f"expected {expected}"] if expected is not None else []
        line = f"{place}: {what}" if place else what
        line += f" ({'; '.join(facts)})" if facts else ""
        super().__init__(" ".join(line.split()))


class StoppedError(RuntimeError):
    """Work stopped on purpose (budget, quota, authentication) and the same command resumes it.

    The front door prints the message and exits with 3.
    """

    exit_code = 3
