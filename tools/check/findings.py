"""What a check finds: errors, each at its place in a YAML, and what the recipe comes to."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from typing import TYPE_CHECKING

from synthpert.errors import InputError

if TYPE_CHECKING:
    from tools.check.draft import Draft


@dataclass
class Findings:
    """The errors and the facts of one check.

    Attributes:
        draft: What is checked.
        errors: Each with its file, row and key as far as they are known.
        facts: What the recipe comes to, in the words of the line for a sound one.
    """

    draft: Draft
    errors: list[InputError] = field(default_factory=list)
    facts: list[str] = field(default_factory=list)

    def add(self, error: InputError, key: str | None = None) -> InputError:
        """Note an error, at the key it is about.

        Args:
            error: As the project's own code raises it.
            key: The key, where the error does not say it.

        Returns:
            The error with its place.
        """
        found = self._placed(error, key)
        if str(found) not in map(str, self.errors):
            self.errors.append(found)
        return found

    @contextmanager
    def noting(self, key: str | None = None) -> Iterator[None]:
        """Note an error that the block ends with, and go on.

        Args:
            key: The key that the block is about.
        """
        try:
            yield
        except InputError as error:
            self.add(error, key)

    def lines(self) -> list[str]:
        """The errors, a line each, in the order of the files and their rows."""
        order = {str(file): number for number, file in enumerate(self.draft.given)}

        def place(error: InputError) -> tuple[int, bool, int]:
            row = error.row
            return order.get(str(error.file), len(order)), row is None, row or 0

        ranked = sorted(self.errors, key=place)
        return [str(error) for error in ranked]

    def _placed(self, error: InputError, key: str | None) -> InputError:
        if error.file in self.draft.written or (key is None and error.column is None):
            return error
        if error.row and key is None:
            return error
        named = self._named(error, key)
        place = self.draft.find(named) if named else None
        what = error.what
        if error.file is not None and not _is_verb(error.file):
            # A fault inside of what a key names: a table's row and column, say.
            column = None if error.column == named else error.column
            inner = [str(part) for part in (error.file, error.row, column) if part is not None]
            what = f"{':'.join(inner)}: {what}"
        facts = {"got": error.got, "expected": error.expected, "near": error.near}
        if place is not None:
            where = {"file": place.file, "row": place.line, "column": place.key}
            return InputError(what, **where, **facts)  # type: ignore[arg-type]
        flag = named and self.draft.says(named)
        file = "synthpert check" if flag or not self.draft.files else self.draft.files[-1]
        return InputError(what, file=file, column=named, **facts)  # type: ignore[arg-type]

    def _named(self, error: InputError, key: str | None) -> str | None:
        """The key that an error is about: the one it says itself, or else where it was raised."""
        said = error.column
        if said and ("." in said or key is None):
            return said
        if said and error.file is None and (place := self.draft.find(said)):
            return place.key
        return key


def _is_verb(file: object) -> bool:
    """Whether an error's file is none: the command, or a word for what was asked."""
    text = str(file)
    return text.startswith(("synthpert", "--")) or text in ("split", "ask", "traces", "trainer")
