"""A typed function becomes a command: its signature the flags, its docstring the help."""

from __future__ import annotations

import inspect
import typing
from collections.abc import Callable, Sequence
from itertools import zip_longest
from pathlib import Path
from typing import TYPE_CHECKING, TypeVar

from synthpert.shipped import shipped_folder

if TYPE_CHECKING:
    from jsonargparse import ArgumentParser

Result = TypeVar("Result")


def shipped(word: str) -> str:
    """Find a recipe of this project from any directory, unless one of that name is nearer.

    Args:
        word: A word of the command line: `configs/NAME.yaml`, perhaps after `--config=`.

    Returns:
        The word with the shipped file's path, or the word as it was.
    """
    flag, equals, path = word.rpartition("=")
    if not (path.startswith("configs/") and path.endswith(".yaml")) or Path(path).exists():
        return word
    file = shipped_folder().parent / path
    return f"{flag}{equals}{file}" if file.exists() else word


def run(verb: str, function: Callable[..., Result], args: Sequence[str]) -> Result:
    """Parse `args` after `function`'s signature and call it.

    Parameters without a default are positional (a list takes one or more values), and so is a
    `tuple[str, ...]`, which takes any number; the others are flags, which `--config FILE` may give
    as YAML too. `--a-flag` is `--a_flag`, and a flag that is true or false is true where no value
    follows.

    Args:
        verb: The words typed after `synthpert`, for the usage line.
        function: Its Google docstring is the help text.
        args: The command line after the verb.

    Returns:
        What `function` returns.

    Raises:
        InputError: If an argument is unknown, missing or of the wrong type; one line.
    """
    import jsonargparse

    from synthpert.parse_errors import explain, written_keys
    from synthpert.recipe_keys import empty_values, odd_keys, swallowed_keys

    parser = parser_of(verb, function)
    words = _spelled(args, typing.get_type_hints(function))
    flags = {action.dest for action in parser._actions}
    written = written_keys(words)
    for odd in odd_keys(written, flags):
        raise odd
    try:
        parsed = parser.parse_args(words)
    except jsonargparse.ArgumentError as error:
        raise explain(str(error), [verb, *words], flags, written) from None
    for odd in (*swallowed_keys(written, parsed), *empty_values(written, parser._actions)):
        raise odd
    values = vars(parsed)
    values.pop("config", None)
    return function(**values)


def parser_of(verb: str, function: Callable[..., object]) -> ArgumentParser:
    """Make the parser that `run` parses with.

    Args:
        verb: The words typed after `synthpert`, for the usage line.
        function: Its signature and docstring are the flags and the help.
    """
    import jsonargparse
    from docstring_parser import parse

    docs = parse(inspect.getdoc(function) or "")
    parser = jsonargparse.ArgumentParser(
        prog=f"synthpert {verb}",
        description="\n\n".join(filter(None, (docs.short_description, docs.long_description))),
        exit_on_error=False,
        allow_abbrev=False,
    )
    parser.add_argument("--config", action="config", help="flags of this command, as YAML")
    told = {parameter.arg_name: parameter.description for parameter in docs.params}
    hints = typing.get_type_hints(function)
    many = {list: "+", tuple: "*"}
    positional = {
        name: many.get(typing.get_origin(hints[name]))
        for name, parameter in inspect.signature(function).parameters.items()
        if parameter.default is inspect.Parameter.empty or typing.get_origin(hints[name]) is tuple
    }
    for name, nargs in positional.items():
        kind = typing.get_args(hints[name])[0] if nargs else hints[name]
        parser.add_argument(name, type=kind, help=told.get(name), nargs=nargs)
    parser.add_function_arguments(function, skip=set(positional))
    return parser


def listed(args: Sequence[str], flag: str) -> list[str]:
    """Spell a flag that takes several words as the parser knows it.

    Args:
        args: The command line after the verb.
        flag: Its name without dashes.

    Returns:
        The words with `--flag A B` as `--flag=["A", "B"]`.
    """
    from json import dumps

    word = f"--{flag}"
    if word not in args:
        return list(args)
    start = args.index(word)
    end = next((i for i in range(start + 1, len(args)) if args[i].startswith("--")), len(args))
    return [*args[:start], f"{word}={dumps(args[start + 1 : end])}", *args[end:]]


def _spelled(args: Sequence[str], hints: dict[str, object]) -> list[str]:
    """The words as the parser knows them."""
    words = []
    for word, after in zip_longest(args, args[1:], fillvalue=""):
        flag, equals, value = word.partition("=")
        if flag.startswith("--"):
            flag = "--" + flag[2:].replace("-", "_")
            if hints.get(flag[2:]) is bool and not equals and after not in ("true", "false"):
                equals, value = "=", "true"
        words.append(flag + equals + value)
    return words
