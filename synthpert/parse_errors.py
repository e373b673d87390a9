"""Turns jsonargparse's nested complaints into one line: file, line, key, what is wrong.

A complaint names every type of a union that did not fit, and prints the whole configuration. What
helps is its innermost cause, and the place in the YAML where that was written.
"""

from __future__ import annotations

import inspect
import re
import sys
from collections.abc import Iterable, Sequence
from itertools import pairwise
from pathlib import Path
from typing import NamedTuple

from synthpert.errors import InputError
from synthpert.recipe_keys import nearest
from synthpert.yaml_places import Place, places

_DENIED = re.compile(r"Importing '([^']+)' is not allowed")
_UNKNOWN = re.compile(r"(?:does not accept option|Option) '([^']+)'")
_NO_SUBCLASS = re.compile(r"Import path ?(\S*) does not correspond to a subclass of (\w+)")
_NO_PATH = re.compile(r"Expected a dot import path string: (\S+)")
_NO_CLASS = re.compile(r"Problem with given class_path '([^']+)':\s*(?!Parser key)(\S.*)")
_CLASS = re.compile(r"Problem with given class_path '([^']+)'")
_REQUIRED = re.compile(r"arguments are required: (.*)")
_UNKNOWN_FLAG = re.compile(r"unrecognized arguments: (\S+)")
# A cause in other words than those of the types that did not fit.
_SAID = re.compile(
    r"^ *- (?!Expected |Not a valid |Problem with |Does not |an? )(.+)$", re.MULTILINE
)
_KEY = re.compile(r'^( *)(?:- )?Parser key "([^"]+)"', re.MULTILINE)
_EXPECTED = re.compile(r"Expected an? (.+?)(?:\. Got value: (.*))?$", re.MULTILINE)
_GIVEN = re.compile(r"Given value: (?:NestedArg\(.*val=)?(.*?)\)?$", re.MULTILINE)
_LONG = 120
_OF_A_RECIPE = ("fit", "validate", "test", "predict")


def values(args: Sequence[str], *flags: str) -> list[str]:
    """What a command line gives for a flag: `--flag value` and `--flag=value`, in any place."""
    joined = [word.partition("=")[2] for word in args if word.partition("=")[0] in flags]
    apart = [value for word, value in pairwise(args) if word in flags]
    return [value for value in [*joined, *apart] if value]


def written_keys(args: Sequence[str]) -> list[Place]:
    """The keys of the YAMLs of a command line, without those that a flag of it overrides.

    Args:
        args: The command line.

    Raises:
        InputError: If a file cannot be read, or is not one of keys.
    """
    written = [x for file in values(args, "--config", "-c") for x in places(Path(file))]
    return [place for place in written if not _typed(place, args)]


def explain(
    text: str,
    args: Sequence[str],
    flags: Iterable[str],
    written: Sequence[Place] | None = None,
) -> InputError:
    """Find what a complaint of jsonargparse's is about.

    Args:
        text: What its error says.
        args: The command line, from the verb on.
        flags: The keys that the command knows, such as `trainer.max_steps`.
        written: The keys of the YAMLs; read from those of `args` if None.

    Returns:
        The error to raise: one line, with the file and line of the key where a YAML holds it.
    """
    try:
        known = written_keys(args) if written is None else list(written)
    except InputError as error:
        return error
    complaint = _Complaint(
        text,
        " ".join(["synthpert", *(word for word in args[:1] if not word.startswith("-"))]),
        known,
        list(flags),
        [found[2] for found in _KEY.finditer(text)],
        _CLASS.findall(text),
    )
    for rule in (_denied, _unknown_key, _no_subclass, _missing, _no_class, _unknown_flag):
        found = rule(complaint)
        if found is not None:
            return found
    return _wrong_value(complaint)


class _Complaint(NamedTuple):
    text: str
    command: str
    places: list[Place]
    flags: list[str]
    keys: list[str]
    classes: list[str]

    def error(
        self,
        what: str,
        place: Place | None,
        keys: Sequence[str],
        got: str | None = None,
        expected: str | None = None,
        near: str | None = None,
    ) -> InputError:
        """The error at its place in a YAML, or else at its flag."""
        short = None if got is None or len(got) > _LONG else got
        facts = {"got": short, "expected": expected, "near": near}
        if place is not None:
            where = {"file": place.file, "row": place.line, "column": place.key}
            return InputError(what, **where, **facts)  # type: ignore[arg-type]
        return InputError(what, file=self.command, column=".".join(keys) or None, **facts)  # type: ignore[arg-type]

    def place(
        self, *, key: str | None = None, owner: str | None = None, value: str | None = None
    ) -> Place | None:
        """The last place, below the outermost key, of a key (of a class, if named) or a value."""
        outer = "".join(self.keys[:1])
        for place in reversed([each for each in self.places if each.key.startswith(outer)]):
            if value is not None and place.value == value:
                return place
            named = key is not None and f".{place.key}".endswith(f".{key}")
            if named and (owner is None or place.owner in (owner, None)):
                return place
        return None


def _denied(it: _Complaint) -> InputError | None:
    if not (found := _DENIED.search(it.text)):
        return None
    return it.error(
        "a class from outside the packages that a YAML may name",
        it.place(value=found[1]),
        it.keys[:1],
        got=found[1],
        expected="a class of this project, Lightning or PyTorch; --import-from PACKAGE lets in "
        "one of your own",
    )


def _unknown_key(it: _Complaint) -> InputError | None:
    if not (found := _UNKNOWN.search(it.text)):
        return None
    key, owner = found[1], it.classes[-1] if it.classes else None
    near = nearest(key, it.flags if owner is None else _parameters(owner))
    place = it.place(key=key, owner=owner)
    return it.error("unknown key", place, [*it.keys[:1], key], got=key, near=near)


def _no_subclass(it: _Complaint) -> InputError | None:
    if not (found := _NO_SUBCLASS.search(it.text)):
        return None
    given = found[1] or _given(it.text)
    return it.error(f"not a {found[2]}", it.place(value=given), it.keys[:1], got=given)


def _missing(it: _Complaint) -> InputError | None:
    if not (found := _REQUIRED.search(it.text)):
        return None
    names = re.sub(rf"\b({'|'.join(_OF_A_RECIPE)})\.", "", found[1])
    if it.classes:
        place = it.place(value=it.classes[-1])
        return it.error(f"missing: {names}", place, it.keys[:1], got=it.classes[-1])
    wanted = "--config FILE, or these as flags"
    if not it.command.endswith(_OF_A_RECIPE):
        wanted = f"what `{it.command} --help` says"
    return it.error(f"missing: {names}", None, [], expected=wanted)


def _no_class(it: _Complaint) -> InputError | None:
    if not (found := _NO_PATH.search(it.text) or _NO_CLASS.search(it.text)):
        return None
    why = ": ".join(["no such class", *found.groups()[1:]])
    near = _near_class(found[1])
    return it.error(why, it.place(value=found[1]), it.keys[:1], got=found[1], near=near)


def _unknown_flag(it: _Complaint) -> InputError | None:
    if not (found := _UNKNOWN_FLAG.search(it.text)):
        return None
    near = nearest(found[1].lstrip("-").partition("=")[0], it.flags)
    return it.error("unknown flag", None, [], got=found[1], near=near and f"--{near}")


def _wrong_value(it: _Complaint) -> InputError:
    """What the innermost key was given, and what it takes; or whatever else is said of it."""
    block = it.text
    if it.keys:
        last = list(_KEY.finditer(it.text))[-1]
        block = it.text[last.end() :]
        if last[1]:  # What follows at the key's own depth is about an outer one.
            block = re.split(rf"\n {{0,{len(last[1])}}}(?=\S)", block)[0]
    owner = it.classes[-1] if len(it.keys) > 1 and it.classes else None
    place = it.place(key=it.keys[-1], owner=owner) if it.keys else None
    found = _EXPECTED.findall(block)
    said = _SAID.search(block)
    if said or not found:
        what = said[1] if said else " ".join(block.split())
        return it.error(what if len(what) <= _LONG else f"{what[:_LONG]} …", place, it.keys)
    got = next((given for _, given in found if given), None) or _given(block)
    expected = " or ".join(dict.fromkeys(_plain(kind) for kind, _ in found))
    return it.error("wrong value", place, it.keys, got=got, expected=expected)


def _typed(place: Place, args: Sequence[str]) -> bool:
    """Whether the command line gives this key too, and so overrides the YAML."""
    typed = [word.partition("=")[0].removeprefix("--") for word in args if word.startswith("--")]
    short = place.key.replace(".init_args.", ".")
    return any(word in (place.key, short) for word in typed)


def _given(text: str) -> str | None:
    found = _GIVEN.findall(text)
    return found[-1].strip("'") if found else None


def _plain(kind: str) -> str:
    """A type as a reader of YAML knows it."""
    if kind.startswith("typing.Literal["):
        return re.sub(r"typing.Literal\[|\]|'", "", kind)
    named = re.fullmatch(r"<class '(?:.*\.)?(\w+)'>", kind)
    return {"NoneType": "null"}.get(named[1], named[1]) if named else kind


def _parameters(path: str) -> list[str]:
    """The arguments of a class that has been imported, its parents' included."""
    module, _, name = path.rpartition(".")
    kind = getattr(sys.modules.get(module), name, None)
    parents = inspect.getmro(kind) if inspect.isclass(kind) else ()
    names = [name for each in parents for name in inspect.signature(each).parameters]
    return list(dict.fromkeys(name for name in names if name not in ("self", "args", "kwargs")))


def _near_class(path: str) -> str | None:
    """The class of a like name in the module that was named; nothing is imported for it."""
    module, _, name = path.rpartition(".")
    inside = vars(sys.modules.get(module, object)).items()
    near = nearest(name, [key for key, value in inside if inspect.isclass(value)])
    return near and f"{module}.{near}"
