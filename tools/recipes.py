"""`synthpert recipes`: the shipped YAMLs, to list, to read and to copy."""

from __future__ import annotations

import difflib
import re
import sys
from collections.abc import Callable
from itertools import takewhile
from pathlib import Path
from typing import Final, NamedTuple

from synthpert.commands import run
from synthpert.errors import InputError
from synthpert.files import whole_file
from synthpert.shipped import shipped_folder

HELP: Final = """\
usage: synthpert recipes VERB ...

The recipes, overlays and prompt sets that come with SynthPert, comments and all.

verbs (synthpert recipes VERB --help tells more):
  ls    a table of them: what each is, and what it needs
            synthpert recipes ls
  show  one of them as it stands
            synthpert recipes show tiny
  cp    a copy to change; nothing is written over
            synthpert recipes cp synthpert mine.yaml
"""
_KINDS: Final = {
    "": "Recipes: by themselves",
    "overlay": "Overlays: given after a recipe",
    "prompts": "Prompt sets: --model.prompts NAME, or a copy's path",
}


class Recipe(NamedTuple):
    """A shipped YAML.

    Attributes:
        name: Its path below configs/, without the ending.
        file: Where it lies.
        text: Its whole text.
    """

    name: str
    file: Path
    text: str

    @property
    def about(self) -> str:
        """The first sentence of its first comment."""
        lines = takewhile(lambda line: re.match(r"# ?\S", line), self.text.splitlines())
        said = " ".join(line[1:].strip() for line in lines)
        said = re.sub(r"^Overlay, after a recipe: ", "", said)
        return re.split(r"(?<=\.) ", said, maxsplit=1)[0].rstrip(".:")

    @property
    def kind(self) -> str:
        """`overlay`, `prompts`, or nothing for one that goes by itself."""
        if self.name.startswith("prompts/"):
            return "prompts"
        return "overlay" if self.text.startswith("# Overlay") else ""

    @property
    def needs(self) -> str:
        """What it takes to run it, as far as its own keys and comments say."""
        if self.kind:
            return ""
        parts = []
        if re.search(r"^  accelerator: gpu", self.text, re.MULTILINE):
            parts.append("GPU of 80 GB" if "80 GB" in self.text else "GPU")
        elif re.search(r"^  accelerator: cpu", self.text, re.MULTILINE):
            parts.append("CPU, minutes" if "minutes" in self.about else "CPU")
        if re.search(r"^\s+traces: ", self.text, re.MULTILINE):
            parts.append("traces")
        models = re.findall(r"^(?!\s*#)[\s-]*model: (\S+/\S+)", self.text, re.MULTILINE)
        if models:
            paid = [model for model in models if not model.startswith("offline/")]
            parts.append(f"key of {paid[0].partition('/')[0]}" if paid else "no key")
        return ", ".join(parts)


def recipes() -> list[Recipe]:
    """Every shipped YAML, by name; those of one folder together."""
    home = shipped_folder()
    files = sorted(home.rglob("*.yaml"), key=lambda file: (len(file.parts), file))
    return [
        Recipe(
            file.relative_to(home).with_suffix("").as_posix(),
            file,
            file.read_text(encoding="utf-8"),
        )
        for file in files
    ]


def find(name: str) -> Recipe:
    """Find a shipped YAML.

    Args:
        name: `tiny`, `splits/strict`, `configs/tiny.yaml`, or the last word of its name where no
            other has it.

    Raises:
        InputError: If there is none of that name.
    """
    every = recipes()
    asked = name.removeprefix("configs/").removesuffix(".yaml")
    found = [each for each in every if asked == each.name]
    found = found or [each for each in every if each.name.rpartition("/")[2] == asked]
    found = found or [each for each in every if str(each.file) == name]
    if len(found) == 1:
        return found[0]
    names = [each.name for each in found or every]
    near = difflib.get_close_matches(asked, names, n=1)
    raise InputError(
        "several recipes of this name" if found else "no such recipe",
        file="synthpert recipes",
        got=name,
        expected=", ".join(names) if found else "a name of `synthpert recipes ls`",
        near=near[0] if near and not found else None,
    )


def ls() -> None:
    """List the shipped recipes, overlays and prompt sets.

    Example: synthpert recipes ls
    """
    from synthpert.display import show as show_table

    every = recipes()
    for kind, title in _KINDS.items():
        rows = [each for each in every if each.kind == kind]
        header = ["name", "what it is"] + ([] if kind else ["needs"])
        cells = [[each.name, each.about] + ([] if kind else [each.needs]) for each in rows]
        show_table(title, header, cells)
    sys.stdout.write("Next: synthpert recipes show NAME, or synthpert recipes cp NAME mine.yaml\n")


def show(name: str) -> None:
    """Print a shipped YAML as it stands, comments and all.

    Example: synthpert recipes show tiny

    Args:
        name: One of `synthpert recipes ls`.

    Raises:
        InputError: If there is none of that name.
    """
    sys.stdout.write(find(name).text)


def cp(name: str, dest: Path) -> None:
    """Copy a shipped YAML to change it; comments stay, and nothing is written over.

    Example: synthpert recipes cp synthpert mine.yaml

    Args:
        name: One of `synthpert recipes ls`.
        dest: The copy's file, or a folder that is there.

    Raises:
        InputError: If there is no such recipe, or the copy is there already.
    """
    recipe = find(name)
    target = dest / recipe.file.name if dest.is_dir() else dest
    if target.suffix not in (".yaml", ".yml"):
        raise InputError("a recipe is a YAML file", file=target, expected=f"{target}.yaml")
    if target.exists() or target.is_symlink():
        raise InputError(
            "is there already, and is not written over",
            file=target,
            expected="another name, or none of this name",
        )
    with whole_file(target) as place:
        place.write_text(recipe.text, encoding="utf-8")
    sys.stdout.write(f"{target} is a copy of {recipe.name}. {_next(recipe, target)}\n")


def _next(recipe: Recipe, target: Path) -> str:
    if recipe.kind == "prompts":
        return f"Edit its texts, then: synthpert check {target}; --model.prompts {target} uses it."
    if recipe.kind == "overlay":
        return f"Edit it, then: synthpert check configs/tiny.yaml {target}"
    verb = "traces plan" if "teacher:" in recipe.text else "fit"
    return f"Edit it, then: synthpert check {target} && synthpert {verb} --config {target}"


VERBS: Final[dict[str, Callable[..., None]]] = {"ls": ls, "show": show, "cp": cp}


def main(args: list[str]) -> int:
    """Run `recipes ls`, `show` or `cp`.

    Args:
        args: The command line after `recipes`.

    Returns:
        0, the exit code.

    Raises:
        InputError: If there is no such verb, or from the verb itself.
    """
    if not args or args[0] in ("-h", "--help"):
        sys.stdout.write(HELP)
        return 0
    if args[0] not in VERBS:
        near = difflib.get_close_matches(args[0], VERBS, n=1)
        raise InputError(
            "unknown verb",
            file="synthpert recipes",
            got=args[0],
            expected=f"one of {', '.join(VERBS)}",
            near=near[0] if near else None,
        )
    run(f"recipes {args[0]}", VERBS[args[0]], args[1:])
    return 0
