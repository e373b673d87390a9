"""A matplotlib figure as an SVG inside a page, without a style or a colour of its own.

A content security policy that trusts no inline style also ignores every `style="..."` that
matplotlib writes, and a page with a light and a dark face needs colours that follow it. So colours
become classes of the page's own style sheet, and everything else becomes attributes.
"""

from __future__ import annotations

import io
import re
from typing import TYPE_CHECKING, Final
from xml.etree import ElementTree

if TYPE_CHECKING:
    from matplotlib.figure import Figure

# Colours that nobody draws with, each for a role that page.css gives a colour to.
SERIES: Final = tuple(f"#0000a{i}" for i in range(1, 7))
"""Of the systems, in their order; a seventh begins again."""

INK: Final = "#0000b1"
FAINT: Final = "#0000b2"
RULE: Final = "#0000b3"
REFERENCE: Final = "#0000b4"
_ROLES: Final = {
    **{colour: f"s{i}" for i, colour in enumerate(SERIES, start=1)},
    INK: "ink",
    FAINT: "faint",
    RULE: "rule",
    REFERENCE: "ref",
}
SETTINGS: Final = {
    "svg.fonttype": "none",  # text stays text: it can be selected, and read aloud
    "svg.hashsalt": "synthpert",  # the same figure gives the same file
    "axes.edgecolor": RULE,
    "axes.labelcolor": FAINT,
    "axes.labelsize": 8.5,
    "axes.titlecolor": INK,
    "axes.titlesize": 9.5,
    "axes.titlelocation": "left",
    "axes.linewidth": 0.8,
    "axes.spines.top": False,
    "axes.spines.right": False,
    "xtick.color": FAINT,
    "ytick.color": FAINT,
    "xtick.labelsize": 8,
    "ytick.labelsize": 8,
    "xtick.major.size": 2.5,
    "ytick.major.size": 2.5,
    "text.color": INK,
    "text.parse_math": False,  # a dollar in a cell line's name is no formula
}
_SPACE: Final = "http://www.w3.org/2000/svg"
_LINK: Final = "{http://www.w3.org/1999/xlink}href"
_FONT_SIZE: Final = re.compile(r"([\d.]+)px")
_UNPRINTABLE: Final = re.compile(r"[\x00-\x08\x0b\x0c\x0e-\x1f\x7f\ufffe\uffff\ud800-\udfff]")


def inline(figure: Figure, name: str, title: str) -> str:
    """Turn a figure into an `<svg>` element for a page.

    Args:
        figure: Drawn with the colours above, under `SETTINGS`.
        name: Unique in the page; every id begins with it.
        title: What the picture shows, for who cannot see it.

    Returns:
        The element: no `style` element or attribute, no script, nothing to be loaded.
    """
    written = io.StringIO()
    # No date and no maker: the picture depends on its content alone.
    figure.savefig(
        written, format="svg", transparent=True, metadata={"Date": None, "Creator": None}
    )
    ElementTree.register_namespace("", _SPACE)
    root = ElementTree.fromstring(written.getvalue())
    for parent in list(root.iter()):
        for child in list(parent):
            if child.tag in (f"{{{_SPACE}}}metadata", f"{{{_SPACE}}}style"):
                parent.remove(child)
    _own_ids(root, name)
    for element in root.iter():
        _restyle(element)
    for size in ("width", "height"):
        root.attrib.pop(size, None)
    root.set("role", "img")
    root.set("aria-labelledby", f"{name}-title")
    told = ElementTree.Element(f"{{{_SPACE}}}title", {"id": f"{name}-title"})
    told.text = printable(title)
    root.insert(0, told)
    return ElementTree.tostring(root, encoding="unicode")


def printable(text: str) -> str:
    """The text without what no XML may hold."""
    return _UNPRINTABLE.sub("\ufffd", text)


def _own_ids(root: ElementTree.Element, name: str) -> None:
    """Keep the ids that something refers to, as `NAME-id`."""
    text = ElementTree.tostring(root, encoding="unicode")
    used = set(re.findall(r"url\(#([^)]+)\)", text)) | set(re.findall(r'href="#([^"]+)"', text))
    for element in root.iter():
        own = element.attrib.pop("id", None)
        if own in used:
            element.set("id", f"{name}-{own}")
        for key, value in list(element.attrib.items()):
            if key == _LINK:  # the plain attribute does the same in every browser of today
                del element.attrib[key]
                element.set("href", f"#{name}-{value[1:]}")
            elif "url(#" in value:
                element.set(key, value.replace("url(#", f"url(#{name}-"))


def _restyle(element: ElementTree.Element) -> None:
    """Make attributes and classes of an inline style."""
    told = dict(
        pair.strip().split(":", 1)
        for pair in element.attrib.pop("style", "").split(";")
        if ":" in pair
    )
    told |= {k: element.attrib.pop(k) for k in ("fill", "stroke") if k in element.attrib}
    classes = []
    for key, raw in told.items():
        value = raw.strip()
        if key == "font":
            size = _FONT_SIZE.search(value)
            element.set("font-size", size[1] if size else "9")
        elif key in ("fill", "stroke") and value in _ROLES:
            classes.append(f"{key[0]}-{_ROLES[value]}")
        elif key != "font-family":
            element.set(key, value.removesuffix("px") if key == "font-size" else value)
    if classes:
        element.set("class", " ".join(classes))
