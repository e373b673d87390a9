"""Where each key of a YAML file stands, so that what is wrong with it can be pointed at."""

from __future__ import annotations

import difflib
from collections.abc import Iterator
from pathlib import Path
from typing import Final, NamedTuple

import yaml

from synthpert.errors import InputError
from synthpert.files import no_such_file
from synthpert.shipped import shipped_folder

_YAML: Final = "tag:yaml.org,2002:"
# Of a mapping's keys: a text, `<<`, or a number inside of an argument (`scheduling: {4: 2}`).
_KEYS: Final = {f"{_YAML}str", f"{_YAML}merge"}
_NUMBER: Final = f"{_YAML}int"
# Keys this far down are no names of a recipe's arguments.
_INSIDE: Final = 2


class Place(NamedTuple):
    """A key of a YAML file.

    Attributes:
        file: The file.
        key: The key with those above it, dotted, places in lists left out.
        owner: The class that it is an argument of, where one is named.
        value: Its value, where that is one word or text.
        line: Its line, from 1.
        path: The keys from the top, places in lists as numbers.
        holds: `mapping`, `empty` (a mapping of nothing), `list`, `text`, `number` (true and false
            too) or `null`.
    """

    file: Path
    key: str
    owner: str | None
    value: str | None
    line: int
    path: tuple[str | int, ...]
    holds: str


def places(file: Path) -> list[Place]:
    """Find every key of a YAML file, the outer ones first.

    Args:
        file: The file.

    Returns:
        Its keys; none of an empty file.

    Raises:
        InputError: If the file cannot be read, is no YAML, holds no keys, one of them twice or one
            that is no text, a tag such as `!!python/object`, or itself.
    """
    root = _read(file)
    if root is None:
        return []
    if not isinstance(root, yaml.MappingNode):
        got = root.value if isinstance(root, yaml.ScalarNode) else "a list"
        raise InputError("holds no keys", file=file, row=1, got=got, expected="KEY: VALUE")
    _refuse_odd(file, root, "", 1, {})
    return list(_walk(file, root))


def _no_such_recipe(file: Path) -> InputError:
    """The error for a YAML that is not there; it may have been meant for a shipped one."""
    if file.is_symlink() or file.parent.is_dir():
        return no_such_file(file)
    home = shipped_folder()
    names = [f"configs/{path.relative_to(home).as_posix()}" for path in home.rglob("*.yaml")]
    near = difflib.get_close_matches(file.as_posix(), sorted(names), n=1)
    hint = f"; did you mean {near[0]!r}?" if near else ""
    expected = "a YAML file of yours, or one that `synthpert recipes ls` lists"
    return InputError(f"no such file{hint}", file=file, expected=expected)


def _read(file: Path) -> yaml.Node | None:
    try:
        found: yaml.Node | None = yaml.compose(
            file.read_text(encoding="utf-8-sig"), Loader=yaml.SafeLoader
        )
    except yaml.MarkedYAMLError as error:
        line = error.problem_mark.line + 1 if error.problem_mark else None
        raise InputError(f"this is no YAML: {error.problem}", file=file, row=line) from None
    except FileNotFoundError:
        raise _no_such_recipe(file) from None
    except IsADirectoryError:
        raise InputError("is a folder", file=file, expected="a YAML file") from None
    except RecursionError:
        raise InputError("nested too deep", file=file) from None
    except OSError as error:
        raise InputError(f"cannot be read: {error.strerror}", file=file) from None
    except (UnicodeDecodeError, yaml.YAMLError) as error:
        raise InputError(f"cannot read this file: {error}", file=file) from None
    return found


def _refuse_odd(file: Path, node: yaml.Node, key: str, row: int, within: dict[int, bool]) -> None:
    """Refuse what jsonargparse and PyYAML end on with a traceback, or never.

    Args:
        file: The file.
        node: What is looked at, with all that is inside of it.
        key: Its key, dotted.
        row: The line of that key: an alias has only the line of what it names.
        within: Whether a collection that was met is one that is being looked at.
    """
    if node.tag not in yaml.SafeLoader.yaml_constructors:
        got = node.tag.replace(_YAML, "!!")
        what, expected = "a tag that is not read here", "a plain value"
        raise InputError(what, file=file, row=row, column=key or None, got=got, expected=expected)
    if not isinstance(node, yaml.CollectionNode):
        return
    if within.get(id(node)):
        what, expected = "contains itself", "an alias of what does not hold it"
        raise InputError(what, file=file, row=row, column=key or None, expected=expected)
    if id(node) in within:
        return
    within[id(node)] = True
    if isinstance(node, yaml.MappingNode):
        for name, value in node.value:
            _refuse_key(file, name, key)
            inside = f"{key}.{name.value}".strip(".")
            _refuse_odd(file, value, inside, name.start_mark.line + 1, within)
    else:
        for item in node.value:
            _refuse_odd(file, item, key, max(row, item.start_mark.line + 1), within)
    within[id(node)] = False


def _refuse_key(file: Path, node: yaml.Node, above: str) -> None:
    """Refuse a key that is no text: a list, or a word that YAML reads as true, false or null."""
    number = node.tag == _NUMBER and above.count(".") + 1 >= _INSIDE
    if isinstance(node, yaml.ScalarNode) and (node.tag in _KEYS or number):
        return
    got = node.value if isinstance(node, yaml.ScalarNode) else "a list or a mapping"
    what, expected, row = (
        "a key that is no text",
        "a name, or it in quotes",
        node.start_mark.line + 1,
    )
    raise InputError(what, file=file, row=row, column=above or None, got=got, expected=expected)


def _walk(file: Path, root: yaml.Node) -> Iterator[Place]:
    todo: list[tuple[yaml.Node, str, str | None, tuple[str | int, ...]]] = [(root, "", None, ())]
    # What several aliases name is looked at once.
    seen: set[int] = set()
    while todo:
        node, above, owner, path = todo.pop(0)
        if id(node) in seen:
            continue
        if isinstance(node, yaml.CollectionNode):
            seen.add(id(node))
        if isinstance(node, yaml.SequenceNode):
            todo += [(item, above, None, (*path, i)) for i, item in enumerate(node.value)]
        if not isinstance(node, yaml.MappingNode):
            continue
        scalars = _scalars(file, node)
        for key, value in node.value:
            name = str(key.value) if isinstance(key, yaml.ScalarNode) else "?"
            dotted = f"{above}.{name}".strip(".")
            line, inside = key.start_mark.line + 1, (*path, name)
            yield Place(file, dotted, owner, scalars.get(name), line, inside, _holds(value))
            named = scalars.get("class_path") if name == "init_args" else None
            todo.append((value, dotted, named, inside))


def _scalars(file: Path, node: yaml.MappingNode) -> dict[str, str]:
    """The keys of a mapping whose values are scalars; a key may stand there once."""
    lines: dict[str, int] = {}
    for key, _ in node.value:
        if isinstance(key, yaml.ScalarNode) and key.value != "<<":
            line = key.start_mark.line + 1
            if key.value in lines:
                what = f"key stands twice, also in line {lines[key.value]}"
                raise InputError(what, file=file, row=line, column=key.value)
            lines[key.value] = line
    return {
        key.value: value.value
        for key, value in node.value
        if isinstance(key, yaml.ScalarNode) and isinstance(value, yaml.ScalarNode)
    }


def _holds(node: yaml.Node) -> str:
    if isinstance(node, yaml.MappingNode):
        return "mapping" if node.value else "empty"
    if isinstance(node, yaml.SequenceNode):
        return "list"
    tag = node.tag.rpartition(":")[2]
    return {"null": "null", "str": "text"}.get(tag, "number")
