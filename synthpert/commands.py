"""A typed function becomes a command: its signature the flags, its docstring the help."""

from __future__ import annotations

import inspect
import typing
from collections.abc import Callable, Sequence
from itertools import zip_longest
from pathlib import Path
from typing import TypeVar

from synthpert.errors import InputError

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
    file = Path(__file__).resolve().parent.parent / path
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
    try:
        values = vars(parser.parse_args(_spelled(args, hints)))
    except jsonargparse.ArgumentError as error:
        raise InputError(str(error), file=f"synthpert {verb}") from None
    values.pop("config", None)
    return function(**values)


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
