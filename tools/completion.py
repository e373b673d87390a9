"""`synthpert completion`: what a shell offers at Tab, as a script that asks Python nothing.

The flags are those of the verbs' own parsers, read once when the script is made
(https://github.com/iterative/shtab writes it).
"""

from __future__ import annotations

import argparse
import sys
import typing
from collections.abc import Callable, Iterable, Sequence
from importlib import import_module
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final, Literal

from synthpert.commands import run
from synthpert.verbs import VERBS

if TYPE_CHECKING:
    from synthpert.verbs import Verb

SHELLS: Final = ("bash", "zsh", "tcsh")
NESTED: Final = {
    "data": ("fetch", "audit"),
    "traces": ("plan", "make", "status", "export", "cancel", "factuality"),
    "recipes": ("ls", "show", "cp"),
}
"""The verbs with verbs of their own."""
_OF_FLAGS: Final = ("preview", "estimate", "serve", "export")
_OVER_RECIPES: Final = ("preview", "estimate")
_FILES: Final = ("config", "files", "data", "out", "run", "traces", "journal", "json", "knowledge")
_UNSEEN: Final = ("help", "print_config")


def main(args: list[str]) -> int:
    """Run the verb.

    Args:
        args: The command line after `completion`.

    Returns:
        The exit code.
    """
    run("completion", completion, args)
    return 0


def completion(shell: Literal["bash", "zsh", "tcsh"]) -> None:
    """Print a script that completes verbs, flags, their choices and files.

    To have it in every shell from now on: bash: synthpert completion bash >
    ~/.local/share/bash-completion/completions/synthpert. zsh: synthpert completion zsh >
    ~/.zfunc/_synthpert, with fpath+=~/.zfunc before compinit in ~/.zshrc. tcsh: synthpert
    completion tcsh > ~/.synthpert.tcsh, and source it in ~/.tcshrc. Making it takes some seconds.
    Example: eval "$(synthpert completion bash)"

    Args:
        shell: bash, zsh or tcsh.
    """
    import shtab

    sys.stdout.write(shtab.complete(tree(), shell=shell) + "\n")


def tree() -> argparse.ArgumentParser:
    """The whole command line as plain argparse: each verb, its flags, their choices."""
    root = argparse.ArgumentParser("synthpert", add_help=False)
    for flag, said in (("--help", "show help"), ("--version", "show the version")):
        root.add_argument(flag, action="store_true", help=said)
    root.add_argument("--debug", action="store_true", help="show the traceback of an error")
    verbs = root.add_subparsers(dest="verb")
    recipe = _recipe_parsers()
    for verb in VERBS:
        branch = verbs.add_parser(verb.name, help=_plain(verb.line), add_help=False)
        branch.add_argument("--help", action="store_true", help="show help")
        if verb.name in NESTED:
            inner = branch.add_subparsers(dest="inner")
            for name in NESTED[verb.name]:
                leaf = inner.add_parser(name, help=name, add_help=False)
                leaf.add_argument("--help", action="store_true", help="show help")
                _copy(leaf, _actions(verb, [name]), values=False)
        elif verb.name in recipe:
            _copy(branch, recipe[verb.name]._actions, values=True)
        elif verb.name == "check":
            _files(branch.add_argument("configs", nargs="+"))
            _copy(branch, recipe["fit"]._actions, values=True)
        else:
            _copy(branch, _actions(verb, []), values=verb.name in _OF_FLAGS)
            if verb.name in _OVER_RECIPES:
                _copy(branch, recipe["fit"]._actions, values=True)
    return root


def _recipe_parsers() -> dict[str, Any]:
    """The parsers of fit, validate, test and predict."""
    import jsonargparse

    from synthpert.cli import cli
    from synthpert.watching import quieten

    quieten()
    root = jsonargparse.capture_parser(lambda: cli(["fit"]))
    action = next(each for each in root._actions if isinstance(each.choices, dict))
    return dict(action.choices)  # type: ignore[arg-type]


def _actions(verb: Verb, words: list[str]) -> Sequence[argparse.Action]:
    """The flags of a verb, from the parser that it makes itself."""
    import jsonargparse

    from tools.building import flags_of

    call: Callable[[], Any] = lambda: import_module(verb.module).main(words)  # noqa: E731
    if verb.name in _OF_FLAGS:
        return flags_of(call)._actions
    parser = jsonargparse.capture_parser(call)
    return parser._actions


def _copy(
    branch: argparse.ArgumentParser, actions: Iterable[argparse.Action], *, values: bool
) -> None:
    """Add flags to a branch.

    Args:
        branch: Of the tree.
        actions: Of the verb's parser.
        values: Whether a flag that is true or false needs one of the two words after it.
    """
    for action in actions:
        last = action.dest.rpartition(".")[2]
        hidden = action.help == argparse.SUPPRESS or last in _UNSEEN
        flags = [
            each for each in action.option_strings if each.startswith("--") and "+" not in each
        ]
        if hidden or (action.option_strings and not flags):
            continue
        kind = getattr(action, "_typehint", None) or action.type
        options: dict[str, Any] = {"help": _plain(action.help or "")}
        found = list(action.choices or _choices(kind))
        if set(found) == {"true", "false"} and not values:
            branch.add_argument(*flags, action="store_true", **options)
            continue
        if isinstance(action, argparse._StoreTrueAction):
            branch.add_argument(*flags, action="store_true", **options)
            continue
        found = found or _named(branch.prog, last)
        made = (
            branch.add_argument(*flags, dest=action.dest, **options)
            if flags
            else branch.add_argument(last, nargs=action.nargs, **options)
        )
        if found:
            made.choices = found
        elif _is_path(kind) or last in _FILES:
            _files(made)


def _choices(kind: Any) -> list[str]:  # noqa: ANN401 - any type hint
    """The words that a type allows, where it is a list of words."""
    if kind is bool:
        return ["true", "false"]
    if typing.get_origin(kind) is Literal:
        return [str(each) for each in typing.get_args(kind)]
    # Optional and unions; a plain type among them takes any word.
    parts = [each for each in typing.get_args(kind) if each is not type(None)]
    if parts and all(each is bool or typing.get_origin(each) is Literal for each in parts):
        return list(dict.fromkeys(word for each in parts for word in _choices(each)))
    return []


def _named(branch: str, name: str) -> list[str]:
    """Names that only the project knows: of baselines, of recipes."""
    if branch.endswith("baseline") and name == "name":
        from tools.baseline.answering import BASELINES

        return sorted([*BASELINES, "summer"])
    if branch.endswith((" show", " cp")) and name == "name":
        from tools.recipes import recipes

        return [each.name for each in recipes()]
    return []


def _is_path(kind: Any) -> bool:  # noqa: ANN401 - any type hint
    return kind is Path or Path in typing.get_args(kind)


def _files(action: argparse.Action) -> None:
    import shtab

    action.complete = shtab.FILE  # type: ignore[attr-defined]


def _plain(text: str) -> str:
    """A help text without what argparse or a shell would take for its own signs."""
    first = " ".join(text.split()).partition(". ")[0]
    return first.replace("%", "%%").translate(str.maketrans("", "", "`'\"$\\[]"))
