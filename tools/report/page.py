"""From what was found to one file of HTML that needs nothing but a browser.

Whatever comes from a file (gene, reasoning, system, run) goes through Jinja's autoescape, or in
compressed blocks that a script shows as text. `safe` are the page's own style sheet and script and
the drawings of `svg.py`, which are serialised XML.
"""

from __future__ import annotations

import base64
import hashlib
from importlib import resources
from typing import TYPE_CHECKING, Any, Final

if TYPE_CHECKING:
    from collections.abc import Mapping

LARGEST: Final = 5_000_000
"""Bytes of a page that can still be mailed."""

_FOLDER: Final = "tools.report"


def render(context: Mapping[str, Any]) -> str:
    """Fill the page's template.

    Args:
        context: What `page.html.j2` names.

    Returns:
        HTML in which no script or style runs but the page's own two, by their checksums.
    """
    import jinja2

    environment = jinja2.Environment(
        loader=jinja2.PackageLoader(_FOLDER, "."),
        autoescape=True,
        undefined=jinja2.StrictUndefined,
    )
    style, script = _shipped("page.css"), _shipped("browser.js")
    page = environment.get_template("page.html.j2")
    return page.render(**context, style=style, script=script, policy=policy(style, script))


def policy(style: str, script: str) -> str:
    """The content security policy of a page.

    Args:
        style: The only style sheet.
        script: The only script.

    Returns:
        Nothing may be loaded, sent or framed; only these two run, and no text becomes markup.
    """
    return "; ".join(
        [
            "default-src 'none'",
            f"style-src '{_checksum(style)}'",
            f"script-src '{_checksum(script)}'",
            "img-src data:",
            "base-uri 'none'",
            "form-action 'none'",
            "require-trusted-types-for 'script'",
            "trusted-types 'none'",
        ]
    )


def _checksum(text: str) -> str:
    digest = hashlib.sha256(text.encode()).digest()
    return f"sha256-{base64.b64encode(digest).decode('ascii')}"


def _shipped(name: str) -> str:
    return resources.files(_FOLDER).joinpath(name).read_text(encoding="utf-8")
