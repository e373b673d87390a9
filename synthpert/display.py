"""One way to show a table: by rich on a terminal, as GitHub Markdown when piped or redirected."""

from __future__ import annotations

from typing import TYPE_CHECKING

from rich import box
from rich.cells import cell_len
from rich.console import Console
from rich.table import Table
from rich.text import Text

if TYPE_CHECKING:
    from collections.abc import Sequence


def show(
    title: str,
    header: Sequence[str],
    rows: Sequence[Sequence[object]],
    caption: str = "",
) -> None:
    """Print a table on stdout.

    Integers get thousands separators, floats four digits after the point; None and not-a-number
    are shown as a dash. Columns of numbers are set flush right.

    Args:
        title: Shown above the table.
        header: The name of each column.
        rows: One sequence per row, each as long as `header`.
        caption: Shown below the table.

    Raises:
        ValueError: If a row is not as long as the header.
    """
    console = Console()
    if not console.is_terminal:
        text = markdown(title, header, rows, caption)
        # soft_wrap: a redirected table must not be broken at the width of some terminal
        console.print(text, markup=False, highlight=False, emoji=False, soft_wrap=True)
        return
    table, width = _rich(header, *_prepared(title, header, rows))
    console.print(Text(title, style="bold"))
    # wider than the terminal rather than with numbers cut short
    console.print(table, width=max(width, console.width), crop=False, no_wrap=True)
    console.print(Text(f"{caption}\n" if caption else "", style="dim"))


def markdown(
    title: str,
    header: Sequence[str],
    rows: Sequence[Sequence[object]],
    caption: str = "",
) -> str:
    """Write a table as GitHub Markdown, as `show` does where its output is piped.

    Args:
        title: Above the table.
        header: The name of each column.
        rows: One sequence per row, each as long as `header`.
        caption: Below the table.

    Returns:
        Lines, the last one ended too.

    Raises:
        ValueError: If a row is not as long as the header.
    """
    return _markdown(title, header, *_prepared(title, header, rows), caption)


def _prepared(
    title: str, header: Sequence[str], rows: Sequence[Sequence[object]]
) -> tuple[list[list[str]], list[bool]]:
    """The cells as text, and which columns are set flush right."""
    if any(len(row) != len(header) for row in rows):
        raise ValueError(f"table {title!r}: every row needs {len(header)} cells")
    texts = [[_text(cell) for cell in row] for row in rows]
    return texts, [_numeric([row[i] for row in rows]) for i in range(len(header))]


def _text(cell: object) -> str:
    """One cell as text."""
    if cell is None or cell != cell:  # only not-a-number differs from itself
        return "–"
    if isinstance(cell, float):
        return f"{cell:.4f}"
    if isinstance(cell, int) and not isinstance(cell, bool):
        return f"{cell:,}"
    return str(cell)


def _numeric(cells: Sequence[object]) -> bool:
    """Whether a column holds numbers only (missing ones aside)."""
    return all(cell is None or isinstance(cell, (int, float)) for cell in cells)


def _rich(
    header: Sequence[str], texts: Sequence[Sequence[str]], right: Sequence[bool]
) -> tuple[Table, int]:
    """The table, and the width below which it would have to break a word or a number."""
    table = Table(box=box.SIMPLE_HEAD, padding=(0, 1, 0, 0), pad_edge=False)
    width = len(header) + 2
    for i, (name, flush_right) in enumerate(zip(header, right, strict=True)):
        words = [*name.split(), *(word for row in texts for word in row[i].split())]
        narrowest = max(map(cell_len, words), default=0)
        width += narrowest
        table.add_column(
            Text(name),
            justify="right" if flush_right else "left",
            min_width=narrowest,
            overflow="fold",
        )
    for row in texts:
        table.add_row(*(Text(cell) for cell in row))
    return table, width


def _markdown(
    title: str,
    header: Sequence[str],
    texts: Sequence[Sequence[str]],
    right: Sequence[bool],
    caption: str,
) -> str:
    def line(cells: Sequence[str]) -> str:
        escaped = (" ".join(cell.replace("|", "\\|").split()) for cell in cells)
        return "| " + " | ".join(escaped) + " |"

    rule = "| " + " | ".join("---:" if flush_right else "---" for flush_right in right) + " |"
    parts = [f"**{title}**", "", line(header), rule, *map(line, texts)]
    return "\n".join([*parts, "", caption] if caption else parts) + "\n"
