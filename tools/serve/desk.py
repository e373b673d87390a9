"""Between page and student: checks what was typed, asks, and says what the page is to show."""

from __future__ import annotations

import logging
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from threading import Event
from time import monotonic
from typing import TYPE_CHECKING, Any, Final

import polars as pl

from synthpert.errors import InputError
from synthpert.questions import Question
from tools.serve import drawing
from tools.serve.asking import MODES, Words
from tools.serve.pasted import Names, Problem, read_pasted

if TYPE_CHECKING:
    from synthpert.generation.decoding import Mode
    from tools.serve.alike import Traces
    from tools.serve.asking import Asker
    from tools.serve.beside import Benchmark, Beside

log = logging.getLogger(__name__)

# What a question can run into that is nobody's mistake in this code: memory, a GPU, a full disk.
TROUBLES: Final = (InputError, RuntimeError, ValueError, IndexError, OSError)


@dataclass(frozen=True)
class View:
    """What the page shows at a moment of one question; None leaves a part as it is.

    Attributes:
        status: One line.
        text: What the student has written.
        answer: HTML of the answer and its probabilities.
        known: HTML of what is known.
        traces: HTML of the traces like it.
        table: The prediction, once it is there.
    """

    status: str
    text: str | None = None
    answer: str | None = None
    known: str | None = None
    traces: str | None = None
    table: pl.DataFrame | None = None


@dataclass(frozen=True)
class ListView:
    """What the page shows at a moment of a list.

    Attributes:
        status: One line.
        problems: HTML of the lines that are not asked.
        table: The predictions so far.
    """

    status: str
    problems: str
    table: pl.DataFrame | None = None


@dataclass
class Desk:
    """All that a page asks.

    Attributes:
        asker: Asks the student.
        benchmark: What is known without it.
        traces: Those that it was trained on; None where there are none.
        why_no_traces: Why there are none.
    """

    asker: Asker
    benchmark: Benchmark
    traces: Traces | None = None
    why_no_traces: str = ""
    names: Names = field(init=False)

    def __post_init__(self) -> None:
        self.names = Names(self.benchmark.cell_lines, self.benchmark.symbols())

    def one(self, fields: Sequence[object], mode: object, stop: Event) -> Iterator[View]:
        """Ask one question.

        Args:
            fields: Cell line, perturbation and gene, as the page sent them.
            mode: The same.
            stop: Ends the writing.

        Yields:
            What to show, several times a second.

        Raises:
            InputError: If it is no sound question or no mode.
        """
        question, way = self._question(fields), _mode(mode)
        start = monotonic()
        yield View("Looking up …", "", "", "", "")
        beside = self.benchmark.beside(question)
        known, traces = self._around(question, beside)
        waiting = drawing.answer(question, None, beside, "asking …")
        yield View("Asking …", "", waiting, known, traces)
        for found in self.asker.stream(question, beside.measured, way, stop):
            if isinstance(found, Words):
                which = f", sample {found.sample} of {found.samples}" if found.samples > 1 else ""
                yield View(f"Writing{which} … {monotonic() - start:.0f} s", found.text)
                continue
            row = found.row(0, named=True)
            done = f"Answered in {monotonic() - start:.1f} s."
            yield View(done, _text(row), drawing.answer(question, row, beside), table=found)
            return
        yield View("Stopped: no answer.", answer=drawing.answer(question, None, beside, "stopped"))

    def shown(self, row: dict[str, Any]) -> View:
        """Show a prediction of before with all that stands beside it.

        Args:
            row: Of a table of predictions.
        """
        question = Question(row["cell_line"], row["pert"], row["gene"])
        beside = self.benchmark.beside(question)
        known, traces = self._around(question, beside)
        return View("", _text(row), drawing.answer(question, row, beside), known, traces)

    def many(self, text: object, mode: object, stop: Event) -> Iterator[ListView]:
        """Ask the questions of a pasted list.

        Args:
            text: As the page sent it.
            mode: The same.
            stop: Ends the work after the questions that are being answered.

        Yields:
            What to show, after every few questions.

        Raises:
            InputError: If the list is empty or too long, or there is no such mode.
        """
        pasted, way = read_pasted(str(text or ""), self.names), _mode(mode)
        problems = drawing.problems(pasted.problems)
        total, start = len(pasted.questions), monotonic()
        lines = f"{total + len(pasted.problems):,} lines: {total:,} to ask" + _and(pasted.problems)
        yield ListView(f"{lines} …" if total else f"{lines}.", problems)
        labels = self.benchmark.outcomes(pasted.questions)
        tables: list[pl.DataFrame] = []
        for table in self.asker.tables(pasted.questions, labels, way, stop):
            tables.append(table)
            done = sum(map(len, tables))
            left = (monotonic() - start) / done * (total - done)
            told = f"{lines}; {done:,} of {total:,} answered" + (
                f", about {left:.0f} s left …" if left else f" in {monotonic() - start:.1f} s."
            )
            yield ListView(told, problems, pl.concat(tables))
        done = sum(map(len, tables))
        if done < total:
            told = f"Stopped: {done:,} of {total:,} answered."
            yield ListView(told, problems, pl.concat(tables) if tables else None)

    def _question(self, fields: Sequence[object]) -> Question:
        question = Question(*(str(value or "").strip() for value in fields))
        wrong = self.names.check([question])
        if wrong:
            raise InputError(wrong[question])
        return question

    def _around(self, question: Question, beside: Beside) -> tuple[str, str]:
        alike = self.traces.like(question) if self.traces is not None else []
        many = len(self.traces) if self.traces is not None else 0
        return (
            drawing.known(question, beside),
            drawing.traces(alike, self.why_no_traces, many),
        )


def _text(row: dict[str, Any]) -> str:
    return row["response"] or ("(direct: nothing is written)" if row["mode"] == "direct" else "")


def _mode(value: object) -> Mode:
    for mode in MODES:
        if value == mode:
            return mode
    raise InputError("unknown mode", got=value, expected=", ".join(MODES))


def _and(problems: Sequence[Problem]) -> str:
    return f", {len(problems):,} not asked (below)" if problems else ""
