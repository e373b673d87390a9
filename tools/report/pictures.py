"""The figures of a report, one small panel each, so that they stand beside or below one another."""

from __future__ import annotations

from collections.abc import Callable
from typing import TYPE_CHECKING, Any, Final, NamedTuple

from tools.report import curves
from tools.report.svg import FAINT, INK, REFERENCE, RULE, SERIES, SETTINGS, inline, printable
from tools.report.training import SHARES

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    import polars as pl
    from matplotlib.axes import Axes

    from tools.report.curves import Curve, Ranking
    from tools.report.training import Line

DASHES: Final = ("-", (0, (4, 2)), (0, (6, 1.6, 1.2, 1.6)), (0, (9, 3)))
"""Line styles of the reference rows, which are all grey."""

_SIZE: Final = (2.6, 2.35)
_WIDE: Final = (3.4, 2.2)
_CHANCE: Final = (0, (1, 3))


class Key(NamedTuple):
    """One entry of a key to colours.

    Attributes:
        name: What is drawn so.
        key: The colour's place, from 1; 0 for grey.
        dashes: As in SVG's stroke-dasharray.
    """

    name: str
    key: int
    dashes: str = ""


class Panel(NamedTuple):
    """One figure of a page.

    Attributes:
        title: Shown above it.
        svg: The element.
        key: What its colours are, where the page does not say it for all panels at once.
    """

    title: str
    svg: str
    key: tuple[Key, ...] = ()


class Kind(NamedTuple):
    """A kind of curve.

    Attributes:
        name: In ids.
        title: Its heading, with the name of its protocol.
        what: What its caption says.
        rank: Makes a ranking of one cell line's rows.
        curve: Makes a curve of a ranking.
        axes: The names of the x and the y axis.
        chance: Makes the curve that a ranking by chance has.
    """

    name: str
    title: str
    what: str
    rank: Callable[[pl.DataFrame], Ranking]
    curve: Callable[[Ranking], Curve | None]
    axes: tuple[str, str]
    chance: Callable[[Ranking], Curve]


_ROC: Final = ("false positive rate", "true positive rate")
_PR: Final = ("recall", "precision")
_PER_GENE: Final = (
    "The mean over the genes with both classes, at each false positive rate; the area is the "
    "official per-gene AUROC. Genes have few rows, so their curves have wide steps, and so has the "
    "mean. Dotted: what a random order has (area 0.5); equal scores give the straight diagonal."
)
_POOLED: Final = (
    "All rows of a cell line ranked together; the area is the pooled AUROC, which rewards knowing "
    "how often a gene changes, and is not the official figure. Dotted: chance."
)
_PRECISION: Final = (
    "All rows of a cell line ranked together. Dotted: the share of positive rows, which is the "
    "precision of chance."
)
_DE: Final = "Differential expression"
_DIR: Final = "Direction"
_AREA: Final = "ROC per gene (area: official AUROC)"
_P_R: Final = "precision and recall, pooled"
_STEPS, _EVEN, _SHARE = curves.per_gene_chance, curves.pooled_chance, curves.share_positive
_BY_DE, _BY_DIR = curves.rank_de, curves.rank_direction
_GENE, _POOL, _PREC = curves.per_gene_roc, curves.pooled_roc, curves.precision_recall
KINDS: Final = (
    Kind("de-gene", f"{_DE}: {_AREA}", _PER_GENE, _BY_DE, _GENE, _ROC, _STEPS),
    Kind("dir-gene", f"{_DIR}: {_AREA}", _PER_GENE, _BY_DIR, _GENE, _ROC, _STEPS),
    Kind("de-pooled", f"{_DE}: ROC pooled (not official)", _POOLED, _BY_DE, _POOL, _ROC, _EVEN),
    Kind("dir-pooled", f"{_DIR}: ROC pooled (not official)", _POOLED, _BY_DIR, _POOL, _ROC, _EVEN),
    Kind("de-pr", f"{_DE}: {_P_R}", _PRECISION, _BY_DE, _PREC, _PR, _SHARE),
    Kind("dir-pr", f"{_DIR} (up): {_P_R}", _PRECISION, _BY_DIR, _PREC, _PR, _SHARE),
)


def draw_curves(
    kind: Kind, tables: Mapping[str, pl.DataFrame], references: Mapping[str, pl.DataFrame]
) -> list[Panel]:
    """Draw a kind of curve, a panel for each cell line.

    Args:
        kind: One of `KINDS`.
        tables: System to its answers, as `answer_questions` returns them.
        references: The same of the reference rows to draw beside.

    Returns:
        Panels in the order of the cell lines; none for a line in which no curve exists.
    """
    lines = next(iter(tables.values()))["cell_line"].unique(maintain_order=True).to_list()
    panels = []
    for number, line in enumerate(lines):
        drawn = [_ranked(kind, each, line) for each in [*references.values(), *tables.values()]]
        found = [kind.curve(ranking) for ranking in drawn]
        if any(curve is not None for curve in found):
            chance = kind.chance(drawn[0])
            svg = _curve_panel(kind, number, line, found, len(references), chance)
            panels.append(Panel(line, svg))
    return panels


def _ranked(kind: Kind, table: pl.DataFrame, line: str) -> Ranking:
    return kind.rank(table.filter(table["cell_line"] == line))


def _curve_panel(
    kind: Kind,
    number: int,
    line: str,
    found: Sequence[Curve | None],
    references: int,
    chance: Curve,
) -> str:
    def draw(axes: Axes) -> None:
        axes.plot(chance.x, chance.y, color=RULE, linestyle=_CHANCE, linewidth=1.2)
        for place, curve in enumerate(found):
            if curve is not None:
                axes.plot(curve.x, curve.y, **_style(place, references))
        axes.set(xlim=(-0.01, 1.01), ylim=(-0.01, 1.02), xlabel=kind.axes[0], ylabel=kind.axes[1])
        axes.set_xticks([0, 0.5, 1], ["0", "0.5", "1"])
        axes.set_yticks([0, 0.5, 1], ["0", "0.5", "1"])

    return _panel(f"{kind.name}-{number}", f"{kind.title}, {line}. {kind.what}", _SIZE, draw)


def _style(place: int, references: int) -> dict[str, Any]:
    """References first, in grey and below; then the systems, in colour."""
    if place < references:
        dashes = DASHES[place % len(DASHES)]
        return {"color": REFERENCE, "linestyle": dashes, "linewidth": 1.1}
    return {"color": SERIES[(place - references) % len(SERIES)], "linewidth": 1.7}


class Bin(NamedTuple):
    """One bin of a reliability plot.

    Attributes:
        confidence: Mean highest probability in it.
        right: Share of its rows that are right.
        n: Its rows.
    """

    confidence: float
    right: float
    n: int


def draw_reliability(name: str, number: int, bins: Sequence[Bin]) -> Panel:
    """Draw how often a system is right, by how sure it says it is.

    Args:
        name: The system.
        number: Its place.
        bins: Those with rows; not empty.
    """
    whole = sum(each.n for each in bins)
    colour = SERIES[number % len(SERIES)]

    def draw(axes: Axes) -> None:
        axes.plot([0, 1], [0, 1], color=RULE, linestyle=_CHANCE, linewidth=1.2)
        x = [each.confidence for each in bins]
        # How many rows a bin has, from the bottom up: a fifth of the height is all of them.
        tops = [0.2 * each.n / whole for each in bins]
        axes.bar(x, tops, width=0.03, color=FAINT, alpha=0.35, linewidth=0)
        axes.plot(x, [each.right for each in bins], color=colour, linewidth=1.2)
        axes.scatter(x, [each.right for each in bins], s=14, color=colour, zorder=3)
        axes.set(
            xlim=(0.3, 1.02), ylim=(0, 1.02), xlabel="highest probability", ylabel="share right"
        )
        axes.set_xticks([1 / 3, 0.5, 0.75, 1], ["1/3", "0.5", "0.75", "1"])
        axes.set_yticks([0, 0.5, 1], ["0", "0.5", "1"])

    told = "; ".join(f"{each.confidence:.2f}: {each.right:.2f} right of {each.n}" for each in bins)
    return Panel(name, _panel(f"reliability-{number}", f"Reliability. {told}", _SIZE, draw))


def draw_retention(name: str, number: int, points: Sequence[tuple[float, float]]) -> Panel:
    """Draw accuracy among the most confident answers, by their share.

    Args:
        name: The system.
        number: Its place.
        points: (share of the questions answered, accuracy among them); not empty.
    """
    colour = SERIES[number % len(SERIES)]

    def draw(axes: Axes) -> None:
        alone = "o" if len(points) == 1 else None
        x, y = [x for x, _ in points], [y for _, y in points]
        axes.plot(x, y, color=colour, linewidth=1.7, marker=alone, markersize=4)
        lowest = min(y for _, y in points)
        axes.set(xlim=(0, 1.02), ylim=(min(0.8, lowest) - 0.02, 1.01))
        axes.set(xlabel="share of questions answered", ylabel="accuracy among them")
        axes.set_xticks([0, 0.5, 1], ["0", "0.5", "1"])

    told = "; ".join(f"{x:.2f}: {y:.3f}" for x, y in points)
    return Panel(name, _panel(f"retention-{number}", f"Coverage and accuracy. {told}", _SIZE, draw))


def draw_training(panels: Mapping[str, Sequence[Line]]) -> list[Panel]:
    """Draw the curves of a run.

    Args:
        panels: Title to its lines.
    """
    return [
        Panel(title, _training_panel(number, title, lines), _training_key(lines))
        for number, (title, lines) in enumerate(panels.items())
    ]


def _training_key(lines: Sequence[Line]) -> tuple[Key, ...]:
    """None for a single line, which the title names."""
    keys = tuple(Key(line.name, i % len(SERIES) + 1) for i, line in enumerate(lines))
    return keys if len(keys) > 1 else ()


def _training_panel(number: int, title: str, lines: Sequence[Line]) -> str:
    def draw(axes: Axes) -> None:
        for place, line in enumerate(lines):
            alone = "o" if len(line.steps) == 1 else None
            colour = SERIES[place % len(SERIES)]
            axes.plot(
                line.steps, line.values, color=colour, linewidth=1.4, marker=alone, markersize=3
            )
        axes.set(xlabel="optimiser step")
        axes.margins(x=0.02, y=0.08)
        if title in SHARES:
            axes.set_ylim(0, 1.04)
        axes.locator_params(nbins=5)

    told = "; ".join(f"{each.name} ends at {each.values[-1]:.4g}" for each in lines)
    return _panel(f"training-{number}", f"{title}. {told}", _WIDE, draw)


def _panel(name: str, title: str, size: tuple[float, float], draw: Callable[[Axes], None]) -> str:
    import matplotlib
    from matplotlib.backends.backend_svg import FigureCanvasSVG
    from matplotlib.figure import Figure

    with matplotlib.rc_context(SETTINGS):  # type: ignore[arg-type]
        figure = Figure(figsize=size, layout="constrained")
        FigureCanvasSVG(figure)
        axes = figure.add_subplot()
        axes.tick_params(labelcolor=FAINT, color=RULE)
        draw(axes)
        for text in (axes.xaxis.label, axes.yaxis.label):
            text.set_color(FAINT)
        axes.title.set_color(INK)
        return inline(figure, name, printable(title))
