"""What the pictures share: colours, letters, axes of names, and files that a second run repeats."""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

import numpy as np

from synthpert.files import whole_file
from tools.report.svg import printable

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence
    from contextlib import AbstractContextManager
    from pathlib import Path

    from matplotlib.axes import Axes
    from matplotlib.cm import ScalarMappable
    from matplotlib.colors import Colormap
    from matplotlib.figure import Figure
    from numpy.typing import NDArray

INK: Final = "#1c2127"
FAINT: Final = "#59626c"
RULE: Final = "#c9cbc6"
MISSING: Final = "#dcdfe3"
"""Neither white, which is no change, nor one of the map's colours."""

_SETTINGS: Final = {
    "svg.fonttype": "none",
    "svg.hashsalt": "synthpert",
    "text.parse_math": False,
    "axes.edgecolor": RULE,
    "axes.linewidth": 0.8,
    "text.color": INK,
    "axes.labelcolor": FAINT,
    "xtick.color": INK,
    "ytick.color": INK,
    "font.size": 9,
}
# No date and no version: the same rows give the same file.
_METADATA: Final = {".png": {"Software": None}, ".svg": {"Date": None, "Creator": None}}
_DPI: Final = 150
_READABLE: Final = 4.0  # points


def settings() -> AbstractContextManager[None]:
    """The look of the pictures, while one is drawn."""
    import matplotlib

    return matplotlib.rc_context(_SETTINGS)  # type: ignore[arg-type]


def diverging() -> Colormap:
    """Blue by way of white to red, ColorBrewer's RdBu: told apart by the colour-blind.

    Its darkest tenths are left off: there both are nearly black, in a colour-blind eye too.
    """
    import matplotlib
    from matplotlib.colors import ListedColormap

    return ListedColormap(matplotlib.colormaps["RdBu_r"](np.linspace(0.1, 0.9, 255)))


def new_figure(width: float, height: float) -> Figure:
    """Make a figure that no window shows.

    Args:
        width: In inches.
        height: In inches.
    """
    from matplotlib.backends.backend_agg import FigureCanvasAgg
    from matplotlib.figure import Figure

    figure = Figure(figsize=(width, height))
    FigureCanvasAgg(figure)
    return figure


def axes_at(figure: Figure, place: tuple[float, float, float, float]) -> Axes:
    """Add axes at a place in inches.

    Args:
        figure: The figure.
        place: Left end, lower end, width and height.
    """
    across, up = figure.get_size_inches()
    left, bottom, width, height = place
    return figure.add_axes((left / across, bottom / up, width / across, height / up))


def write_title(figure: Figure, title: str, note: str) -> None:
    """Write a title, and what is left out below it.

    Args:
        figure: The figure.
        title: One line.
        note: One or more lines.
    """
    across, up = figure.get_size_inches()
    figure.text(0.25 / across, 1 - 0.3 / up, printable(title), fontsize=12, va="center")
    figure.text(0.25 / across, 1 - 0.45 / up, printable(note), fontsize=8, va="top", color=FAINT)


def missing_key(figure: Figure, place: tuple[float, float], text: str) -> None:
    """Say what grey is.

    Args:
        figure: The figure.
        place: Left and lower end, in inches.
        text: A few words.
    """
    from matplotlib.patches import Rectangle

    across, up = figure.get_size_inches()
    left, bottom = place
    box = Rectangle((left / across, bottom / up), 0.16 / across, 0.1 / up, color=MISSING)
    figure.add_artist(box)
    spot = ((left + 0.23) / across, (bottom + 0.05) / up)
    figure.text(*spot, text, fontsize=7.5, va="center", color=FAINT)


def save(figure: Figure, path: Path) -> list[Path]:
    """Write a figure as .png and as .svg, each whole or not at all.

    Args:
        figure: Drawn inside `settings`.
        path: Without a suffix.

    Returns:
        The two files.

    Raises:
        InputError: If one cannot be written.
    """
    made = [path.with_name(path.name + suffix) for suffix in _METADATA]
    for file in made:
        with whole_file(file) as place:
            figure.savefig(place, dpi=_DPI, metadata=_METADATA[file.suffix], facecolor="white")
    return made


def name_axis(axes: Axes, side: str, names: Sequence[str], inches: float, longest: int) -> bool:
    """Write names along an axis, in letters that fit.

    Args:
        axes: With a place for each whole number.
        side: "x", letters upright, or "y".
        names: One a place.
        inches: The room of each.
        longest: Letters of a name; a longer one is cut.

    Returns:
        Whether the letters are large enough to be read; otherwise none are written.
    """
    size = _letters(inches)
    readable = size >= _READABLE
    texts = [shortened(name, longest) for name in names] if readable else []
    places = range(len(texts))
    if side == "x":
        axes.set_xticks(places, texts, rotation=90, fontsize=size)
    else:
        axes.set_yticks(places, texts, fontsize=size)
    axes.tick_params(axis="x" if side == "x" else "y", length=0, pad=2)
    return readable


def widest(names: Sequence[str], inches: float, longest: int) -> float:
    """How much room names need beside an axis.

    Args:
        names: One a place.
        inches: The room of each along the axis.
        longest: Letters of a name; a longer one is cut.

    Returns:
        Inches; of names too small to be read, none.
    """
    from matplotlib.backends.backend_agg import RendererAgg
    from matplotlib.font_manager import FontProperties

    size = _letters(inches)
    if size < _READABLE:
        return 0.0
    renderer = RendererAgg(10, 10, _DPI)
    font = FontProperties(size=size)
    texts = {shortened(name, longest) for name in names}
    wide = [renderer.get_text_width_height_descent(text, font, ismath=False)[0] for text in texts]
    return float(max(wide)) / _DPI


def _letters(inches: float) -> float:
    """The size of letters, in points, that stand in so much room."""
    return min(8.0, inches * 72 * 0.82)


def shortened(name: str, longest: int) -> str:
    """A name that can be printed, cut in the middle of nowhere but at its end.

    Args:
        name: Any text.
        longest: Letters.
    """
    text = printable(name)
    return text if len(text) <= longest else text[: longest - 1].rstrip() + "…"


def limit(values: NDArray[np.float64]) -> float:
    """The end of a colour scale that is as long below 0 as above.

    Args:
        values: Any shape; not-a-number is missing.

    Returns:
        The largest absolute value, at least 0.05.
    """
    known = np.abs(values[~np.isnan(values)])
    return max(0.05, float(known.max(initial=0.0)))


def colour_bar(
    figure: Figure, drawn: ScalarMappable, place: tuple[float, float], width: float
) -> None:
    """Draw the colour scale: what is up, what is down.

    Args:
        figure: The figure.
        drawn: What has the colours.
        place: Left and lower end, in inches.
        width: In inches.
    """
    axes = axes_at(figure, (*place, width, 0.1))
    bar = figure.colorbar(drawn, cax=axes, orientation="horizontal")
    bar.outline.set_visible(False)
    axes.tick_params(labelsize=7, length=2, colors=FAINT)
    axes.locator_params(axis="x", nbins=5)
    axes.set_title("p(up) − p(down)", fontsize=7.5, color=FAINT, pad=3)


def segments(tree: NDArray[np.float64] | None) -> Iterator[tuple[NDArray[np.float64], ...]]:
    """The lines of a tree.

    Args:
        tree: scipy's linkage; None for a single leaf.

    Yields:
        Places (0 is the first leaf in the tree's order) and heights of a line's four points.
    """
    from scipy.cluster.hierarchy import dendrogram

    if tree is None:
        return
    drawn = dendrogram(tree, no_plot=True)
    for places, heights in zip(drawn["icoord"], drawn["dcoord"], strict=True):
        # scipy puts leaf i at 10 i + 5
        yield (np.asarray(places) - 5) / 10, np.asarray(heights)
