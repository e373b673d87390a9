"""The YAMLs and flags that are checked, from which what is found wrong is taken out.

So that the next fault shows: jsonargparse and the classes themselves stop at the first one.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import yaml

from synthpert.errors import InputError
from synthpert.yaml_places import Place, places

Keys = tuple[str | int, ...]

# What a run's own config.yaml holds beside a recipe.
_OF_THE_RUN = ("ckpt_path", "run", "weights_only")


@dataclass
class Draft:
    """YAMLs in their order, and the flags that follow them.

    Attributes:
        files: The YAMLs.
        flags: The rest of the command line: `--KEY VALUE` or `--KEY=VALUE`.
        written: The keys of each file.
        gone: The keys that were taken out, of each file.
        given: The YAMLs as they were given, unreadable ones among them.
    """

    files: list[Path]
    flags: list[str]
    written: dict[Path, list[Place]] = field(default_factory=dict)
    gone: dict[Path, set[Keys]] = field(default_factory=dict)
    given: list[Path] = field(default_factory=list)

    def __post_init__(self) -> None:
        self.given = list(self.files)

    def read(self) -> list[InputError]:
        """Read the files.

        Returns:
            An error for each that cannot be read, or is no YAML; it is left out from here on.
        """
        errors = []
        for file in self.files:
            try:
                self.written[file] = places(file)
            except InputError as error:
                errors.append(error)
                continue
            tops = {place.key for place in self.written[file]}
            own = [(name,) for name in _OF_THE_RUN if "ckpt_path" in tops]
            self.gone[file] = set(own)
        self.files = [file for file in self.files if file in self.written]
        return errors

    @property
    def keys(self) -> list[Place]:
        """The keys that are still there and that no flag overrides, in the order of the files."""
        return [
            place
            for file in self.files
            for place in self.written[file]
            if not self._is_gone(file, place.path) and not self._flag(place.key)
        ]

    def find(self, key: str) -> Place | None:
        """The place of a key that counts: the last one; of a part of a key, that key's.

        Args:
            key: Dotted, or its last words.
        """
        found = [place for place in self.keys if f".{place.key}".endswith(f".{key}")]
        exact = [place for place in found if place.key == key]
        return (exact or found or [None])[-1]  # type: ignore[list-item]

    def says(self, key: str) -> bool:
        """Whether a file or a flag gives a key, or one below it."""
        below = f"{key}."
        written = any(f"{place.key}.".startswith(below) for place in self.keys)
        return written or any(f"{_key(word)}.".startswith(below) for word in self.flags)

    def drop(self, error: InputError) -> bool:
        """Take out what an error is about.

        Args:
            error: With file, row and column of a key, or the column alone for a flag.

        Returns:
            Whether there was anything to take out.
        """
        for place in self.keys:
            if (place.file, place.line, place.key) == (error.file, error.row, error.column):
                # A class that does not exist takes its arguments with it.
                whole = place.path[-1] == "class_path"
                self.gone[place.file].add(place.path[:-1] if whole else place.path)
                return True
        kept = self._without(str(error.column))
        dropped = len(kept) < len(self.flags)
        self.flags = kept
        return dropped

    def words(self, folder: Path) -> list[str]:
        """The command line that is left.

        Args:
            folder: Where files are written that something was taken out of.
        """
        found: list[str] = []
        for number, file in enumerate(self.files):
            shown = file
            if self.gone[file]:
                whole = yaml.safe_load(file.read_text(encoding="utf-8-sig"))
                shown = folder / f"{number}-{file.name}"
                left = yaml.safe_dump(_without(whole, (), self.gone[file]), sort_keys=False)
                shown.write_text(left, encoding="utf-8")
            if self.written[file]:
                found += ["--config", str(shown)]
        return found + self.flags

    def _is_gone(self, file: Path, path: Keys) -> bool:
        return any(path[: len(gone)] == gone for gone in self.gone[file])

    def _flag(self, key: str) -> bool:
        short = key.replace(".init_args.", ".")
        return any(_key(word) in (key, short) for word in self.flags)

    def _without(self, key: str) -> list[str]:
        kept, skip = [], False
        for word in self.flags:
            if word.startswith("--"):
                skip = bool(key) and _key(word) == key.removeprefix("--")
            if not skip:
                kept.append(word)
        return kept


def _key(word: str) -> str:
    """The key of a flag; nothing for a value."""
    return word.partition("=")[0].removeprefix("--") if word.startswith("--") else ""


def _without(value: Any, path: Keys, gone: set[Keys]) -> Any:  # noqa: ANN401 - of any YAML
    if isinstance(value, dict):
        kept = {key: each for key, each in value.items() if (*path, str(key)) not in gone}
        return {key: _without(each, (*path, str(key)), gone) for key, each in kept.items()}
    if isinstance(value, list):
        return [
            _without(each, (*path, index), gone)
            for index, each in enumerate(value)
            if (*path, index) not in gone
        ]
    return value


def split_words(words: Sequence[str]) -> tuple[list[Path], list[str]]:
    """The YAMLs of a command line, and its flags.

    Args:
        words: `CONFIG ...`, `--config CONFIG`, and `--KEY VALUE`.
    """
    files: list[Path] = []
    flags: list[str] = []
    taking = True
    rest = list(words)
    while rest:
        word = rest.pop(0)
        flag, equals, value = word.partition("=")
        if flag in ("--config", "-c"):
            files += [Path(value)] if equals else [Path(each) for each in rest[:1]]
            rest = rest if equals else rest[1:]
        elif taking and not word.startswith("-"):
            files.append(Path(word))
        else:
            taking = False
            flags.append(word)
    return files, flags
