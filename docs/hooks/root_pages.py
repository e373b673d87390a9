"""Pages of the site whose text lies at the top of the repository: contributing, changelog.

The links of the text are made to lead to pages of the site, so that one text reads in both places.
"""

from __future__ import annotations

import posixpath
import re
from pathlib import Path
from typing import TYPE_CHECKING

from mkdocs.structure.files import File

if TYPE_CHECKING:
    from mkdocs.config.defaults import MkDocsConfig
    from mkdocs.structure.files import Files
    from mkdocs.structure.pages import Page

ROOT = Path(__file__).resolve().parents[2]
PAGES = {"CONTRIBUTING.md": "contributing.md", "CHANGELOG.md": "changelog.md"}
FRONT = {"README.md": "index.md", "configs": "recipes.md"}
PICTURES = ROOT / "docs" / "pictures"
PICTURE = re.compile(r"<!-- picture: (\S+) -->")
LINK = re.compile(r"\]\((?!\w+:|#)([^)#\s]+)(#[^)\s]*)?\)")


def on_files(files: Files, config: MkDocsConfig) -> Files:
    """Add the pages."""
    for source, page in PAGES.items():
        text = (ROOT / source).read_text(encoding="utf-8")
        # Their links start at the top of the repository.
        content = LINK.sub(_from_root, text)
        files.append(File.generated(config, page, content=content))
    return files


def on_page_markdown(markdown: str, page: Page, config: MkDocsConfig, files: Files) -> str:
    """Turn links that leave `docs/` for the top of the repository into links within the site."""
    folder = posixpath.dirname(page.file.src_uri)
    # Drawn within the page, so that it has the page's colours.
    markdown = PICTURE.sub(lambda found: (PICTURES / found[1]).read_text("utf-8"), markdown)
    return LINK.sub(lambda link: _from_docs(link, folder), markdown)


def _from_root(link: re.Match[str]) -> str:
    """A link of a text at the top, from a page of the site's first level."""
    target, anchor = link[1], link[2] or ""
    inside = target.removeprefix("docs/") if target.startswith("docs/") else _in_site(target)
    return f"]({inside}{anchor})" if inside else link[0]


def _from_docs(link: re.Match[str], folder: str) -> str:
    """A link of a page in `docs/`, from there."""
    target = posixpath.normpath(posixpath.join("docs", folder, link[1]))
    if target.startswith("docs/") or (inside := _in_site(target)) is None:
        return link[0]
    return f"]({posixpath.relpath(inside, folder or '.')}{link[2] or ''})"


def _in_site(target: str) -> str | None:
    """The page that shows a file of the repository's top level or of `configs/`."""
    return PAGES.get(target) or FRONT.get(target.split("/")[0])
