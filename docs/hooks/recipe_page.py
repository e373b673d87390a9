"""The page of recipes, made from `configs/**/*.yaml`: what stands there is what is shipped."""

from __future__ import annotations

import html
import re
from itertools import takewhile
from typing import TYPE_CHECKING, Final

from tools.recipes import Recipe, recipes

if TYPE_CHECKING:
    from mkdocs.config.defaults import MkDocsConfig
    from mkdocs.structure.files import Files
    from mkdocs.structure.pages import Page

PAGE: Final = "recipes.md"
PLACE: Final = re.compile(r"<!-- recipes: (\S+) -->")


def part_of(recipe: Recipe) -> str:
    """The part of the page that shows a recipe: training, traces, overlay or prompts."""
    if recipe.kind:
        return recipe.kind
    return "training" if re.search(r"^trainer:", recipe.text, re.MULTILINE) else "traces"


def show(recipe: Recipe) -> str:
    """A recipe as a section: what its first lines say, and the whole file to unfold."""
    lines = takewhile(lambda line: line.startswith("#"), recipe.text.splitlines())
    comment = [line.removeprefix("#").removeprefix(" ") for line in lines]
    # An indented line is a command to type, the others are prose.
    commands = "".join(f"{line.strip()}\n" for line in comment if line.startswith("  synthpert "))
    prose = html.escape("\n".join(line for line in comment if not line.startswith("  synthpert ")))
    # Markdown begins a list after an empty line only.
    told = re.sub(r"\n(- .*)", r"\n\n\1", prose, count=1)
    needs = f"Needs: {recipe.needs}.\n\n" if recipe.needs else ""
    block = f"```\n{commands}```\n\n" if commands else ""
    body = "".join(f"    {line}\n" if line else "\n" for line in recipe.text.splitlines())
    file = f'??? note "configs/{recipe.name}.yaml"\n\n    ```yaml\n{body}    ```\n\n'
    return f"### `{recipe.name}`\n\n{told}\n\n{needs}{block}{file}"


def on_page_markdown(markdown: str, page: Page, config: MkDocsConfig, files: Files) -> str:
    """Fill the page's parts.

    Raises:
        ValueError: If a recipe is of no part of the page.
    """
    if page.file.src_uri != PAGE:
        return markdown
    every, parts = recipes(), set(PLACE.findall(markdown))
    if lost := [recipe.name for recipe in every if part_of(recipe) not in parts]:
        raise ValueError(f"{PAGE}: no part for {', '.join(lost)}")

    def part(place: re.Match[str]) -> str:
        return "".join(show(recipe) for recipe in every if part_of(recipe) == place[1])

    return PLACE.sub(part, markdown)
