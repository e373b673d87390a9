"""Figures of the paper's Tables 1 and 2: a panel for each protocol, so that none is compared."""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

from synthpert.files import whole_file
from tools.report.paper_rows import PROTOCOLS, PUBLISHED
from tools.report.svg import printable

if TYPE_CHECKING:
    from collections.abc import Sequence
    from pathlib import Path

    from matplotlib.axes import Axes

    from tools.report.paper_rows import AurocRow

_INK, _FAINT, _RULE = "#1c2127", "#59626c", "#c9cbc6"
# Told apart by the colour-blind; a fifth cell line begins again.
_COLOURS: Final = ("#0b5fa5", "#b8420f", "#0c6f66", "#7d3a93")
_READING: Final = (
    "AUROC, under the protocol that each panel names. Hollow, *: published, not reproduced.\n"
    "Bars: 95 % intervals; in the middle panel one standard deviation over the subsets."
)
_SETTINGS: Final = {
    "svg.fonttype": "none",
    "svg.hashsalt": "synthpert",
    "text.parse_math": False,
    "axes.spines.top": False,
    "axes.spines.right": False,
    "axes.spines.left": False,
    "axes.edgecolor": _RULE,
    "text.color": _INK,
    "axes.labelcolor": _FAINT,
    "xtick.color": _FAINT,
    "ytick.color": _INK,
    "font.size": 9,
}


def draw_aurocs(path: Path, title: str, rows: Sequence[AurocRow], lines: Sequence[str]) -> None:
    """Draw every row's AUROCs as dots, a colour for each cell line.

    Args:
        path: Without a suffix; .png and .svg are written.
        title: Above the figure.
        rows: Of Table 1 or 2.
        lines: The cell lines, in the order of their colours.

    Raises:
        InputError: If a file cannot be written.
    """
    import matplotlib
    from matplotlib.backends.backend_agg import FigureCanvasAgg
    from matplotlib.figure import Figure

    blocks = [[row for row in rows if row.protocol == protocol] for protocol in PROTOCOLS]
    heights = [len(block) + 1.2 for block in blocks]
    with matplotlib.rc_context(_SETTINGS):  # type: ignore[arg-type]
        figure = Figure(figsize=(7.2, 0.23 * sum(heights) + 1.1), layout="constrained")
        FigureCanvasAgg(figure)
        every = figure.subplots(
            len(blocks), 1, sharex=True, squeeze=False, gridspec_kw={"height_ratios": heights}
        )
        for axes, block, protocol in zip(every[:, 0], blocks, PROTOCOLS, strict=True):
            _block(axes, block, protocol, lines)
        every[-1, 0].set_xlabel(_READING)
        figure.suptitle(title, x=0.01, ha="left", fontsize=12)
        handles = every[0, 0].get_legend_handles_labels()
        figure.legend(*handles, loc="outside lower left", ncols=6, frameon=False)
        for suffix in (".png", ".svg"):
            with whole_file(path.with_name(path.name + suffix)) as place:
                figure.savefig(place, dpi=160, metadata=_METADATA[suffix])


# No date: the same rows give the same file.
_METADATA: Final = {".png": {"Software": None}, ".svg": {"Date": None, "Creator": None}}


def _block(axes: Axes, block: Sequence[AurocRow], protocol: str, lines: Sequence[str]) -> None:
    """One protocol's rows from the top down; hollow dots are published figures."""
    axes.axvline(0.5, color=_RULE, linewidth=1, zorder=0)
    for place, line in enumerate(lines):
        colour = _COLOURS[place % len(_COLOURS)]
        axes.scatter([], [], s=22, color=colour, label=printable(line))
        # Beside one another, so that equal figures can be told apart.
        shift = (place - (len(lines) - 1) / 2) * 0.16
        for at, row in enumerate(block):
            figure = row.figures.get(line)
            if figure is None or figure.value is None:
                continue
            if figure.low is not None and figure.high is not None:
                ends = [figure.low, figure.high]
                axes.plot(ends, [at + shift] * 2, color=colour, linewidth=0.9, alpha=0.55)
            face = "white" if row.origin == PUBLISHED else colour
            axes.scatter(figure.value, at + shift, s=20, facecolor=face, edgecolor=colour, zorder=3)
    names = [printable(row.name + ("*" if row.origin == PUBLISHED else "")) for row in block]
    axes.set_yticks(range(len(block)), names)
    axes.set_ylim(len(block) - 0.4, -0.6)
    axes.tick_params(axis="y", length=0)
    axes.set_title(protocol, loc="left", fontsize=9, color=_FAINT)
