"""The keys of a recipe that jsonargparse passes over in silence.

It flattens a YAML to its leaves, so an empty mapping under an unknown key (`modle: {}`) leaves no
trace, and neither does what stands where a group of keys belongs (`trainer: [1]`).
"""

from __future__ import annotations

import argparse
import difflib
import sys
import typing
from collections.abc import Collection, Sequence
from dataclasses import is_dataclass
from typing import Any, Final

from synthpert.errors import InputError
from synthpert.yaml_places import Place

# Flags that are no keys.
_NO_KEYS: Final = {"help", "config", "print_config"}
_MOST: Final = 12


def odd_keys(written: Sequence[Place], flags: Collection[str]) -> list[InputError]:
    """Find unknown keys, and what stands in place of a group of keys.

    Args:
        written: The keys of the YAMLs.
        flags: The keys that the command knows, such as `trainer.max_steps`.

    Returns:
        An error for each, in the order of `written`; what is inside of these is not looked at.
    """
    keys = _children(flags)
    found: list[InputError] = []
    for place in written:
        above, _, name = place.key.rpartition(".")
        if above not in keys:
            continue
        if name not in keys[above]:
            found.append(unknown_key(place, name, sorted(keys[above])))
        elif place.key in keys and _is_no_group(place):
            got = {"list": "a list", "null": "nothing"}.get(place.holds, place.value)
            inside = ", ".join(sorted(keys[place.key])[:3])
            found.append(_at(place, "wrong value", got=got, expected=f"keys such as {inside}"))
    return found


def swallowed_keys(written: Sequence[Place], parsed: Any) -> list[InputError]:  # noqa: ANN401
    """Find empty mappings that are nowhere in what was parsed.

    Args:
        written: The keys of the YAMLs, without those that a flag overrides.
        parsed: jsonargparse's namespace of all of them.

    Returns:
        An error for each.
    """
    last = {place.path: place for place in written}
    found = []
    for place in last.values():
        if place.holds == "empty" and not _is_there(parsed, place.path):
            known = _names(_inside(parsed, place.path[:-1]))
            found.append(unknown_key(place, str(place.path[-1]), known))
    return found


def empty_values(written: Sequence[Place], actions: Sequence[argparse.Action]) -> list[InputError]:
    """Find keys with nothing behind them whose types take no null; jsonargparse lets them through.

    Args:
        written: The keys of the YAMLs.
        actions: Of the command's parser, after it has imported the classes that are named.

    Returns:
        An error for each.
    """
    kinds = {action.dest: getattr(action, "_typehint", None) for action in actions}
    found = []
    for place in written:
        kind = _kind(place, kinds) if place.holds == "null" else None
        if kind is not None and type(None) not in (kind, *typing.get_args(kind)) and kind != Any:
            shown = getattr(kind, "__name__", str(kind))
            found.append(_at(place, "wrong value", got="null", expected=shown))
    return found


def _kind(place: Place, kinds: dict[str, Any]) -> Any:  # noqa: ANN401 - a type
    """The type of a key; None where it is not known."""
    if place.owner is not None:
        module, _, name = place.owner.rpartition(".")
        owner = getattr(sys.modules.get(module), name, None)
        return _hints(getattr(owner, "__init__", None)).get(str(place.path[-1]))
    above, _, name = place.key.rpartition(".")
    if place.key in kinds or above not in kinds:
        return kinds.get(place.key)
    # A dataclass as a whole, such as LoRA's settings.
    parts = [each for each in (kinds[above], *typing.get_args(kinds[above])) if is_dataclass(each)]
    return _hints(parts[0]).get(name) if parts else None


def _hints(of: Any) -> dict[str, Any]:  # noqa: ANN401 - a class or a function
    try:
        return typing.get_type_hints(of)
    except (NameError, TypeError):
        # Names that are imported for type checkers alone.
        return {}


def unknown_key(place: Place, name: str, known: Sequence[str]) -> InputError:
    """The error for a key that nobody knows, with the likely one, or all where they are few."""
    near = nearest(name, known)
    listed = None if near or not known or len(known) > _MOST else ", ".join(known)
    return _at(place, "unknown key", got=name, expected=listed, near=near)


def nearest(word: str, known: Sequence[str]) -> str | None:
    """The known word that may have been meant: of the same letters (`modle`), or much alike."""
    same = [each for each in known if sorted(each) == sorted(word)]
    return next(iter(same or difflib.get_close_matches(word, known, n=1)), None)


def _children(flags: Collection[str]) -> dict[str, set[str]]:
    """The names below the top and below each group, by the group's own key."""
    found: dict[str, set[str]] = {"": set()}
    for flag in flags:
        parts = flag.split(".")
        # `--data.help NAME` is a flag of a class that a YAML names; its keys are not known here.
        if parts[-1] in _NO_KEYS:
            continue
        for depth, part in enumerate(parts):
            found.setdefault(".".join(parts[:depth]), set()).add(part)
    return found


def _is_no_group(place: Place) -> bool:
    # A text may be the path of a YAML with the group's keys, and jsonargparse says whether it is.
    return place.holds in ("list", "number", "null")


def _is_there(parsed: Any, path: Sequence[str | int]) -> bool:  # noqa: ANN401
    above = _inside(parsed, path[:-1])
    if isinstance(above, list):
        return int(path[-1]) < len(above)
    return path[-1] in _names(above)


def _inside(parsed: Any, path: Sequence[str | int]) -> Any:  # noqa: ANN401
    """What stands at a path; None where there is nothing."""
    for part in path:
        if isinstance(part, int):
            parsed = parsed[part] if isinstance(parsed, list) and part < len(parsed) else None
        else:
            inside = parsed if isinstance(parsed, dict) else getattr(parsed, "__dict__", {})
            parsed = inside.get(part)
    return parsed


def _names(parsed: Any) -> list[str]:  # noqa: ANN401
    inside = parsed if isinstance(parsed, dict) else getattr(parsed, "__dict__", {})
    return [str(name) for name in inside]


def _at(place: Place, what: str, **facts: Any) -> InputError:
    return InputError(what, file=place.file, row=place.line, column=place.key, **facts)
