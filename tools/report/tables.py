"""Tables of a page as plain data: what a template needs to draw them, and no more."""

from __future__ import annotations

import math
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any, Final, NamedTuple

if TYPE_CHECKING:
    from collections.abc import Iterable, Sequence

DASH: Final = "–"
MARK_WIDTH: Final = 120
"""Of the strip on which an interval is drawn, in its own units."""


def plain_number(value: float, *, signed: bool = False) -> str:
    """Three digits, with the minus of print; what rounds to nought has no sign.

    Args:
        value: A finite number.
        signed: Whether a positive one gets a plus.
    """
    text = f"{value:+.3f}" if signed else f"{value:.3f}"
    return text.lstrip("+-") if not float(text) else text.replace("-", "−")


class Figure(NamedTuple):
    """A figure with its 95 % interval, as far as there is one."""

    value: float | None
    low: float | None = None
    high: float | None = None

    def __str__(self) -> str:
        if self.value is None:
            return DASH
        return plain_number(self.value)

    @property
    def interval(self) -> str:
        """The interval as text; empty where there is none."""
        if self.low is None or self.high is None:
            return ""
        low, high = plain_number(self.low), plain_number(self.high)
        # A dash between signed numbers reads as another sign.
        return f"{low} to {high}" if self.low < 0 else f"{low}–{high}"


class Mark(NamedTuple):
    """Where a figure and its interval stand on a strip of `MARK_WIDTH`."""

    x: float
    low: float
    high: float


@dataclass(frozen=True)
class Cell:
    """One cell of a table.

    Attributes:
        text: What stands there.
        below: A second, smaller line: the interval.
        number: Whether it is set flush right.
        heat: 0 to 10, how dark its ground is.
        mark: An interval to draw.
    """

    text: str
    below: str = ""
    number: bool = False
    heat: int = 0
    mark: Mark | None = None


@dataclass(frozen=True)
class Row:
    """One row.

    Attributes:
        cells: The first is the row's header.
        reference: Whether it is a reference row, set in grey.
        key: The system's place among those drawn in colour, from 1; 0 for none.
    """

    cells: list[Cell]
    reference: bool = False
    key: int = 0


@dataclass(frozen=True)
class Table:
    """One table.

    Attributes:
        title: Its caption.
        header: A name for each column.
        rows: Each with as many cells as `header`.
        note: Below it.
    """

    title: str
    header: list[str]
    rows: list[Row] = field(default_factory=list)
    note: str = ""


def read_figure(raw: Any) -> Figure:  # noqa: ANN401 - a number, an object of score.json, or null
    """Read a figure of score.json, with or without its interval.

    Args:
        raw: A number, `{"value", "low", "high"}`, or None where it does not exist.
    """
    if isinstance(raw, dict):
        return Figure(_finite(raw.get("value")), _finite(raw.get("low")), _finite(raw.get("high")))
    return Figure(_finite(raw))


def _finite(raw: Any) -> float | None:  # noqa: ANN401
    return float(raw) if isinstance(raw, (int, float)) and math.isfinite(raw) else None


def figure_cell(figure: Figure, mark: Mark | None = None) -> Cell:
    """A figure over its interval."""
    return Cell(str(figure), figure.interval, number=True, mark=mark)


def cell(value: object) -> Cell:
    """Any value: whole numbers with separators, other numbers with three digits, none as a dash."""
    if value is None or value != value:  # only not-a-number differs from itself
        return Cell(DASH, number=True)
    if isinstance(value, Figure):
        return figure_cell(value)
    if isinstance(value, bool) or not isinstance(value, (int, float)):
        return Cell(str(value))
    return Cell(f"{value:,}" if isinstance(value, int) else plain_number(value), number=True)


def plain_table(
    title: str, header: Sequence[str], rows: Iterable[Sequence[object]], note: str = ""
) -> Table:
    """A table of plain values.

    Args:
        title: Its caption.
        header: A name for each column.
        rows: Values, each as `cell` shows them.
        note: Below it.
    """
    return Table(title, list(header), [Row([cell(each) for each in row]) for row in rows], note)


def marks(figures: Sequence[Figure]) -> list[Mark | None]:
    """Place the figures of a column on one strip, from the lowest to the highest end.

    Args:
        figures: Of the column, from the top down.

    Returns:
        A mark each; None where there is no figure.
    """
    ends = [end for each in figures for end in each if end is not None]
    if not ends:
        return [None] * len(figures)
    low, span = min(ends), (max(ends) - min(ends)) or 1.0

    def at(value: float) -> float:
        return round(4 + (MARK_WIDTH - 8) * (value - low) / span, 1)

    return [
        None
        if each.value is None
        else Mark(
            at(each.value),
            at(each.value if each.low is None else each.low),
            at(each.value if each.high is None else each.high),
        )
        for each in figures
    ]
