"""The funnel as a picture: how many came how far in every cell line, and why others did not."""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

from synthpert.files import whole_file
from synthpert.questions import LABELS, Label
from tools.traces.status.funnel import KEPT, STAGES, merge, stages

if TYPE_CHECKING:
    from collections import Counter
    from collections.abc import Mapping, Sequence
    from pathlib import Path

    from matplotlib.axes import Axes

    from tools.traces.status.funnel import Group

# Told apart by the colour-blind, and in grey.
_COLOURS: Final = {Label.NOT_DE: "#a8b3bd", Label.UP: "#d95f4c", Label.DOWN: "#2f6f9f"}
_INK, _PALE = "#22303c", "#e6eaee"
_COLUMNS: Final = 3
# Longer names would leave no room for the bars.
_MOST_REASONS: Final = 12


def draw_funnel(counts: Mapping[Group, Counter[str]], path: Path) -> None:
    """Draw bars for every stage, of all samples and of each cell line, and for every reason.

    Args:
        counts: As `Funnel.counts` gives them; not empty.
        path: A .png file.

    Raises:
        InputError: If it cannot be written.
    """
    from matplotlib.backends.backend_agg import FigureCanvasAgg
    from matplotlib.figure import Figure
    from matplotlib.patches import Patch

    lines = sorted({group.cell_line for group in counts})
    names = ["all cell lines", *lines] if len(lines) > 1 else lines
    reasons = [r for r, _ in merge(counts).most_common(_MOST_REASONS + 1) if r != KEPT]
    rows = -(-len(names) // _COLUMNS)
    heights = [2.3] * rows + [0.5 + 0.3 * max(len(reasons), 1)]
    figure = Figure(figsize=(12.0, sum(heights) + 1.2), dpi=120, layout="constrained")
    FigureCanvasAgg(figure)
    grid = figure.add_gridspec(rows + 1, _COLUMNS, height_ratios=heights)
    for place, name in enumerate(names):
        axes = figure.add_subplot(grid[place // _COLUMNS, place % _COLUMNS])
        which = {"cell_line": name} if name in lines else {}
        by_label = {label: stages(merge(counts, label=label, **which)) for label in LABELS}
        _bars(axes, name, STAGES, by_label, sum(each["sent"] for each in by_label.values()))
    why = figure.add_subplot(grid[rows, :])
    lost = {label: merge(counts, label=label) for label in LABELS}
    total = sum(merge(counts).values())
    _bars(why, "why the others are not kept", reasons, lost, total)
    figure.suptitle("From sent to kept, and the share of those sent", color=_INK, fontsize=15)
    handles = [Patch(color=_COLOURS[label], label=label.value) for label in LABELS]
    figure.legend(handles=handles, loc="outside lower center", ncols=3, frameon=False)
    with whole_file(path) as place_on_disk:
        figure.savefig(place_on_disk, format="png", facecolor="white")


def _bars(
    axes: Axes,
    title: str,
    names: Sequence[str],
    by_label: Mapping[Label, Mapping[str, int]],
    whole: int,
) -> None:
    """One bar a name from the top down, its labels beside one another, and its number and share."""
    ends = [0] * len(names)
    for label, numbers in by_label.items():
        widths = [numbers[name] for name in names]
        axes.barh(range(len(names)), widths, left=ends, color=_COLOURS[label], height=0.72)
        ends = [end + width for end, width in zip(ends, widths, strict=True)]
    for place, end in enumerate(ends):
        share = f" {end:,} ({end / whole:.1%})" if whole else f" {end:,}"
        axes.text(end, place, share, va="center", ha="left", color=_INK, fontsize=9)
    axes.set_yticks(range(len(names)), [name.replace("_", " ") for name in names], color=_INK)
    axes.invert_yaxis()
    # Room for the longest bar's number.
    axes.set_xlim(0, max([*ends, 1]) * (1.55 if names is STAGES else 1.12))
    axes.set_title(title.replace("_", " "), loc="left", color=_INK, fontsize=11, fontweight="bold")
    axes.locator_params(axis="x", nbins=5, integer=True)
    axes.tick_params(length=0, labelsize=9, colors=_INK)
    axes.grid(axis="x", color=_PALE)
    axes.set_axisbelow(True)
    for side in axes.spines.values():
        side.set_visible(False)
