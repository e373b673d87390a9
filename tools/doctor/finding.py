"""One line of the table of `synthpert doctor`."""

from __future__ import annotations

from typing import Literal, NamedTuple

State = Literal["ok", "warn", "fail"]


class Finding(NamedTuple):
    """What one look at this machine found.

    Attributes:
        what: What was looked at.
        state: `ok`; `warn` for what some work needs; `fail` for what nothing goes right with.
        found: What is there.
        remedy: What to do, where that is not nothing.
    """

    what: str
    state: State
    found: str
    remedy: str = ""


def size(count: float) -> str:
    """Bytes as a person reads them: `66.5 GB`."""
    return f"{count / 1e9:,.1f} GB"
