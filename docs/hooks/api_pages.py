"""The API reference: a page for each package and module, found and not listed, with its navigation.

So no module can be forgotten. The text of a page is the docstrings, read by mkdocstrings.
"""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Any

from mkdocs.structure.files import File

if TYPE_CHECKING:
    from mkdocs.config.defaults import MkDocsConfig
    from mkdocs.structure.files import Files

ROOT = Path(__file__).resolve().parents[2]
PACKAGES = ("synthpert", "callbacks", "data_modules", "tools")
ENTRY = "API reference"
INTRODUCTION = """\
# API reference

Made from the docstrings. A page holds a module, or a package with all its modules. `synthpert` is
the domain and the model, `callbacks` and `data_modules` are Lightning's, `tools` are the verbs that
run outside Lightning. What a YAML may name by `class_path`, and what a package of your own
subclasses, is written for you to use; the rest is here so that it can be read.

"""


def modules(root: Path = ROOT) -> dict[str, list[str]]:
    """Find every module, under the page that shows it.

    Args:
        root: The top of the repository.

    Returns:
        Dotted names by page: `synthpert.losses` alone on its own, `synthpert.scoring` with all
        modules below it. A package's own docstring stands first.
    """
    pages: dict[str, list[str]] = {}
    for package in PACKAGES:
        for path in sorted((root / package).rglob("*.py")):
            parts = path.relative_to(root).with_suffix("").parts
            parts = parts[:-1] if parts[-1] == "__init__" else parts
            pages.setdefault(".".join(parts[:2]), []).append(".".join(parts))
    return {page: sorted(names) for page, names in pages.items()}


def on_config(config: MkDocsConfig) -> MkDocsConfig:
    """Put the pages into the navigation, in place of the one entry that `mkdocs.yml` has."""
    tree: list[Any] = ["api/index.md"]
    for package in PACKAGES:
        pages = [page for page in modules() if page.split(".")[0] == package]
        # The short name: the section says whose it is.
        tree.append({package: [{page.split(".")[-1]: f"api/{page}.md"} for page in pages]})
    config.nav = [{ENTRY: tree} if ENTRY in entry else entry for entry in config.nav or []]
    return config


def on_files(files: Files, config: MkDocsConfig) -> Files:
    """Write the pages."""
    pages = modules()
    listed = "".join(f"- [`{page}`]({page}.md)\n" for page in pages)
    files.append(File.generated(config, "api/index.md", content=INTRODUCTION + listed))
    for page, names in pages.items():
        text = f"# {page}\n\n" + "\n".join(f"::: {name}\n" for name in names)
        if len(names) == 1:
            text = f"::: {page}\n    options:\n      heading_level: 1\n"
        files.append(File.generated(config, f"api/{page}.md", content=text))
    return files
