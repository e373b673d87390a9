"""Keys, types and classes: parsed and built again and again, each time without the last fault."""

from __future__ import annotations

import tempfile
from collections.abc import Collection
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final

from synthpert.errors import InputError
from synthpert.parse_errors import explain
from synthpert.recipe_keys import empty_values, odd_keys, swallowed_keys
from synthpert.sound_values import unsound_values

if TYPE_CHECKING:
    from jsonargparse import ArgumentParser

    from tools.building import Built
    from tools.check.findings import Findings

# So many faults are not one person's slips; the file is of something else.
MOST: Final = 50
_MISSING: Final = "missing: "


def parse(
    found: Findings, parser: ArgumentParser, verb: str, first: Collection[str] = ()
) -> Any | None:  # noqa: ANN401 - jsonargparse's namespace
    """Parse YAMLs and flags; what is wrong is noted and taken out.

    Args:
        found: Takes the errors.
        parser: Of the command that the YAMLs are for.
        verb: Its name.
        first: Words that go before all others.

    Returns:
        The parsed settings; None where something needed is missing.
    """
    import jsonargparse

    flags = {action.dest for action in parser._actions}
    draft = found.draft
    _drop_all(found, odd_keys(draft.keys, flags))
    with tempfile.TemporaryDirectory() as folder:
        for _ in range(MOST):
            words = [*first, *draft.words(Path(folder))]
            try:
                parsed = parser.parse_args(words)
            except jsonargparse.ArgumentError as error:
                told = explain(str(error), [verb, *words], flags, draft.keys)
                if told.what.startswith(_MISSING) and told.row is None:
                    _note_missing(found, told)
                    return None
                if not draft.drop(found.add(told)):
                    return None
                continue
            passed_over = swallowed_keys(draft.keys, parsed)
            passed_over += empty_values(draft.keys, parser._actions)
            passed_over += unsound_values(draft.keys, parsed, verb)
            if not passed_over:
                return parsed
            _drop_all(found, passed_over)
    return None


def build(found: Findings, first: Collection[str] = ()) -> Built | None:
    """Build what a recipe describes; what a class refuses is noted and taken out.

    Args:
        found: Takes the errors.
        first: Words that go before all others.

    Returns:
        Student, data module and trainer; None where one of them cannot be built.
    """
    from tools.building import build as build_recipe

    with tempfile.TemporaryDirectory() as folder:
        for _ in range(MOST):
            try:
                return build_recipe([*first, *found.draft.words(Path(folder))])
            except InputError as error:
                if error.what.startswith(_MISSING):
                    return None
                told = _innermost(error)
                if not found.draft.drop(found.add(told, _key_by_value(found, told))):
                    return None
    return None


def _key_by_value(found: Findings, error: InputError) -> str | None:
    """The key of the value that an error shows, where it names no key and the value stands once."""
    if error.column is not None or error.got is None:
        return None
    keys = {place.key for place in found.draft.keys if place.value == str(error.got)}
    return keys.pop() if len(keys) == 1 else None


def _innermost(error: InputError) -> InputError:
    """What a class said itself: jsonargparse wraps it where the class stands in a list."""
    cause: BaseException | None = error
    while cause is not None:
        if isinstance(cause, InputError) and cause.column is not None:
            error = cause
        cause = cause.__cause__ or cause.__context__
    return error


def _drop_all(found: Findings, errors: list[InputError]) -> None:
    for error in errors:
        found.draft.drop(found.add(error))


def _note_missing(found: Findings, told: InputError) -> None:
    """Note what is missing, unless it is there under a wrong name or with a wrong value."""
    names = told.what.removeprefix(_MISSING).split(", ")
    spoilt = [str(error.column) for error in found.errors]
    spoilt += [_meant(error) for error in found.errors if error.near]
    left = [name for name in names if not any(_covers(each, name) for each in spoilt)]
    if left:
        where = found.draft.files[-1] if found.draft.files else "synthpert check"
        shown = ["data.class_path" if name == "data" else name for name in left]
        wanted = "these keys, or a recipe that this file goes over"
        found.add(InputError(_MISSING + ", ".join(shown), file=where, expected=wanted))


def _meant(error: InputError) -> str:
    above = str(error.column).rpartition(".")[0]
    return f"{above}.{error.near}".removeprefix(".")


def _covers(key: str, name: str) -> bool:
    return name == key or name.startswith(f"{key}.") or key.startswith(f"{name}.")
