"""The files of prompt sets: found by name, read, and checked to the key."""

from __future__ import annotations

import difflib
import re
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final

import yaml

from synthpert.errors import InputError
from synthpert.questions import Label
from synthpert.tables import check_file

if TYPE_CHECKING:
    from collections.abc import Sequence

# Not importlib.resources: `configs` is no name of ours alone, and a regular package of that name
# in the user's working folder would hide this one.
_FOLDER = Path(__file__).resolve().parents[2] / "configs" / "prompts"
SLOT: Final = re.compile(r"\{([A-Za-z_]\w*)\}")
_QUESTION: Final = frozenset({"cell_line", "pert", "gene"})
_ASKED: Final = _QUESTION | {"evidence"}
# For each text of a set: the slots it must have, and those it may have.
SLOTS: Final[dict[str, tuple[frozenset[str], frozenset[str]]]] = {
    "system": (frozenset(), _ASKED),
    "user": (_QUESTION, _ASKED),
    "answer": (frozenset({"label"}), frozenset({"label"})),
    "generator_system": (frozenset({"label"}), _ASKED | {"label"}),
    "predictor_system": (frozenset(), _ASKED),
    "critic_system": (frozenset(), frozenset()),
    "critic_user": (frozenset({"thinking"}), frozenset({"user_query", "thinking"})),
}


def read_texts(name_or_path: str | Path, keys: Sequence[str]) -> tuple[Path, dict[str, Any]]:
    """Find a prompt set's file and read it.

    Args:
        name_or_path: The name of a set of this project, or the path of a YAML file.
        keys: The keys that a set may have.

    Returns:
        The file, and its texts by key; `labels` is a dict of `Label` to text.

    Raises:
        InputError: If there is no such set or file, or a key, a text or a slot is wrong.
    """
    path = _find(name_or_path)
    texts = _read_mapping(path)
    for key, value in texts.items():
        if key not in keys:
            what = f"unknown key{_hint(str(key), list(keys))}"
            raise InputError(what, file=path, got=key, expected=", ".join(keys))
        if key == "labels":
            texts[key] = _labels(path, value)
        elif not isinstance(value, str):
            raise InputError("not a text", file=path, column=key, got=value, expected="a string")
    if "user" not in texts:
        raise InputError("missing key", file=path, column="user", expected="the question's text")
    for key in SLOTS:
        if key in texts:
            _check_slots(path, key, texts[key])
    return path, texts


def _find(name_or_path: str | Path) -> Path:
    sets = {path.stem: path for path in sorted(_FOLDER.glob("*.yaml"))}
    if isinstance(name_or_path, str) and name_or_path in sets:
        return sets[name_or_path]
    path = Path(name_or_path)
    if path.suffix not in (".yaml", ".yml"):
        raise InputError(
            f"unknown prompt set{_hint(str(name_or_path), list(sets))}",
            got=str(name_or_path),
            expected=", ".join(sets) + " or a YAML file",
        )
    check_file(path)
    return path


def _read_mapping(path: Path) -> dict[str, Any]:
    try:
        texts = yaml.safe_load(path.read_text(encoding="utf-8"))
    except yaml.MarkedYAMLError as error:
        row = error.problem_mark.line + 1 if error.problem_mark else None
        raise InputError(f"not YAML: {error.problem}", file=path, row=row) from None
    except (UnicodeDecodeError, yaml.YAMLError) as error:
        raise InputError(f"not YAML: {error}", file=path) from None
    if not isinstance(texts, dict):
        raise InputError("not a prompt set", file=path, got=type(texts).__name__, expected="keys")
    return texts


def _labels(path: Path, value: object) -> dict[Label, str]:
    if not isinstance(value, dict) or not value:
        raise InputError(
            "not a table of labels", file=path, column="labels", got=value, expected="label: text"
        )
    official = [str(label) for label in Label]
    for key, text in value.items():
        if key not in official:
            raise InputError(
                "unknown label", file=path, column="labels", got=key, expected=", ".join(official)
            )
        if not isinstance(text, str) or not text.strip():
            raise InputError(
                "not a text", file=path, column=f"labels.{key}", got=text, expected="a string"
            )
    return {label: value[label.value] for label in Label if label.value in value}


def _check_slots(path: Path, key: str, text: str) -> None:
    needed, allowed = SLOTS[key]
    found = SLOT.findall(text)
    for slot in found:
        if slot not in allowed:
            raise InputError(
                f"unknown slot{_hint(slot, sorted(allowed))}",
                file=path,
                column=key,
                got=f"{{{slot}}}",
                expected=", ".join(f"{{{name}}}" for name in sorted(allowed)) or "no slots",
            )
    for slot in sorted(needed - set(found)):
        raise InputError("missing slot", file=path, column=key, expected=f"{{{slot}}} in the text")
    if key == "answer" and len(found) > 1:
        raise InputError("slot given twice", file=path, column=key, expected="one {label}")


def _hint(word: str, known: list[str]) -> str:
    close = difflib.get_close_matches(word, known, n=1)
    return f"; did you mean {close[0]}?" if close else ""
