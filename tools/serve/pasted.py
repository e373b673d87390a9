"""Reads a pasted list of questions: CSV, TSV or words, and tells of each line what is wrong."""

from __future__ import annotations

import csv
import re
from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Final

import polars as pl

from synthpert.errors import InputError
from synthpert.questions import KEY, Question
from synthpert.questions.checks import check_names, check_symbols

MOST_QUESTIONS: Final = 500
MOST_CHARACTERS: Final = 50_000
_SHOWN: Final = 120


@dataclass(frozen=True, slots=True)
class Problem:
    """A line that is not asked.

    Attributes:
        line: Its number, from 1.
        text: What stands there, cut after 120 characters.
        what: What is wrong with it.
    """

    line: int
    text: str
    what: str


@dataclass(frozen=True)
class Pasted:
    """A list as it was read.

    Attributes:
        questions: In the order of their lines, none twice.
        problems: The lines that are none; empty ones and the header aside.
    """

    questions: tuple[Question, ...]
    problems: tuple[Problem, ...]


@dataclass(frozen=True)
class Names:
    """What names there are.

    Attributes:
        cell_lines: The only ones that are asked about.
        symbols: Genes of the benchmark by their letters in lower case; others are asked about too.
    """

    cell_lines: Collection[str]
    symbols: Mapping[str, str]

    def check(self, questions: Sequence[Question]) -> dict[Question, str]:
        """Say what is wrong with questions.

        Args:
            questions: Somebody's.

        Returns:
            A few words for each that is not sound.
        """
        columns = {name: {getattr(each, name) for each in questions} for name in KEY}
        wrong = {name: _wrong(name, sorted(values)) for name, values in columns.items()}
        found = {each: self._what(each, wrong) for each in questions}
        return {each: what for each, what in found.items() if what}

    def _what(self, question: Question, wrong: Mapping[str, Mapping[str, str]]) -> str:
        for name in KEY:
            what = wrong[name].get(getattr(question, name))
            if what:
                return f"{name}: {what}"
        if question.cell_line not in self.cell_lines:
            known = ", ".join(self.cell_lines)
            return f"unknown cell line {question.cell_line!r} (expected one of {known})"
        for symbol in (question.pert, question.gene):
            known = self.symbols.get(symbol.lower(), symbol)
            if known != symbol:
                return f"no gene {symbol!r} in the benchmark: did you mean {known!r}?"
        return ""


def _wrong(column: str, names: Sequence[str]) -> dict[str, str]:
    """What is wrong with names, as the checks of a table tell it of the first one."""
    table, place = pl.DataFrame({column: names}, schema={column: pl.String}), Path("list")
    try:
        check_symbols(table, place, [column])
        check_names(table, place, [column], dates=column != "cell_line")
    except InputError as error:
        if len(names) == 1:
            # Its place is a row of a file; ours is a line.
            return {names[0]: str(error).partition(": ")[2]}
        half = len(names) // 2
        return _wrong(column, names[:half]) | _wrong(column, names[half:])
    return {}


def read_pasted(text: str, names: Names) -> Pasted:
    """Read a list.

    A line is a cell line, a perturbation and a gene, with commas, tabs, semicolons or white space
    between; quotes as in CSV. A first line with the names of these three columns, in whatever order
    and among others, says which is which.

    Args:
        text: As pasted.
        names: What names there are.

    Returns:
        The questions, and each line that is none.

    Raises:
        InputError: If the list is empty, or longer than `MOST_QUESTIONS` or `MOST_CHARACTERS`.
    """
    if len(text) > MOST_CHARACTERS:
        raise _too_long("characters", len(text), MOST_CHARACTERS)
    lines = text.removeprefix("\ufeff").splitlines()
    full = [(number, line) for number, line in enumerate(lines, 1) if line.strip()]
    if not full:
        raise InputError("the list is empty", expected="a line such as: k562, AARS, A2M")
    places = _header(full[0][1])
    full = full[1:] if places else full
    if len(full) > MOST_QUESTIONS:
        raise _too_long("lines", len(full), MOST_QUESTIONS)
    columns = places or dict(zip(KEY, range(3), strict=True))
    made = [(number, line, _question(line, columns, exact=not places)) for number, line in full]
    wrong = names.check([each for *_, each in made if isinstance(each, Question)])
    questions: dict[Question, int] = {}
    problems = []
    for number, line, each in made:
        what = each if isinstance(each, str) else wrong.get(each, "")
        if isinstance(each, Question) and not what:
            first = questions.setdefault(each, number)
            what = f"the same question as line {first}" if first != number else ""
        if what:
            problems.append(Problem(number, _short(line), what))
    return Pasted(tuple(questions), tuple(problems))


def _too_long(unit: str, got: int, most: int) -> InputError:
    return InputError(
        f"the list is too long: {got:,} {unit}",
        expected=f"at most {most:,}; `synthpert predict --questions FILE` takes any number",
    )


def _header(line: str) -> dict[str, int] | None:
    """Where the three columns stand, if the line names them."""
    fields = _fields(line)
    if isinstance(fields, str):
        return None
    found = [field.lower() for field in fields]
    return {name: found.index(name) for name in KEY} if set(KEY) <= set(found) else None


def _question(line: str, places: Mapping[str, int], *, exact: bool) -> Question | str:
    """The question of a line, or what is wrong with it."""
    fields = _fields(line)
    if isinstance(fields, str):
        return fields
    if len(fields) <= max(places.values()) or (exact and len(fields) != len(KEY)):
        return f"{len(fields)} fields (expected 3: cell line, perturbation, gene)"
    return Question(*(fields[places[name]] for name in KEY))


def _fields(line: str) -> list[str] | str:
    """The fields of a line, or why it cannot be read."""
    separator = next((each for each in "\t,;" if each in line), None)
    if separator is None:
        return line.split()
    try:
        row = next(csv.reader([line], delimiter=separator, skipinitialspace=True, strict=True))
    except csv.Error as error:
        return f"cannot be read: {error}"
    return [field.strip() for field in row]


def _short(line: str) -> str:
    plain = re.sub(r"[^\S ]+", " ", line).strip()
    return plain if len(plain) <= _SHOWN else f"{plain[:_SHOWN]}…"
