"""Thoughts put before a judge: read from a file, drawn, cut into clauses, asked about once."""

from __future__ import annotations

import logging
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Final

import numpy as np
import polars as pl

from synthpert.answers.marks import parse_marks
from synthpert.errors import InputError
from synthpert.predictions import KEY, read_predictions
from synthpert.questions import Question
from synthpert.questions.checks import check_symbols
from synthpert.tables import check_file
from synthpert.traces import read_traces
from synthpert.traces.gates import REFUSALS
from tools.traces.factuality.clauses import split_clauses
from tools.traces.journal import Journal
from tools.traces.journal.records import Call, Reading

if TYPE_CHECKING:
    from collections.abc import Generator, Iterable, Mapping, Sequence

    from synthpert.answers.marks import Mark
    from synthpert.prompts import PromptSet
    from tools.traces.journal.records import Reply
    from tools.traces.settings import Model

logger = logging.getLogger(__name__)

GROUPS: Final = ("right", "wrong", "unread", "unlabelled")
"""What became of the answer: equal to the label or not, not to be read, or no label to compare."""

# Columns that a file of predictions has not; the last is of the paper's own release.
_OF_TRACES = frozenset(("teacher", "critic", "grade", "critique", "generated_thinking"))
# Beside the reasons of `MarkStatus`.
_NOT_ANSWERED = "not_answered"
_REFUSED = "refused"


@dataclass(frozen=True)
class Thought:
    """The reasoning to one answer, and the question it is on.

    Attributes:
        file: Name of the file it is from.
        question: What was asked.
        sample: Counts the thoughts on the same question in a file, from 0.
        label: The outcome, in the official words; None if the file does not say.
        answer: The answer; None if it could not be read.
        group: One of `GROUPS`.
        clauses: What it says, in order.
    """

    file: str
    question: Question
    sample: int
    label: str | None
    answer: str | None
    group: str
    clauses: list[str]


def read_thoughts(path: Path, name: str, each: int | None, seed: int) -> list[Thought]:
    """Read a file of traces or predictions, told apart by their columns, and draw from it.

    Args:
        path: .parquet, .jsonl or .csv.
        name: What the file is called in the tables.
        each: How many thoughts to draw of each group at most; None for all. A larger number keeps
            the thoughts of a smaller one.
        seed: Of the draw.

    Returns:
        The thoughts drawn, in the order of the file; those without a clause are left out, and
        counted in the log.

    Raises:
        InputError: If the file cannot be read, has no thought, or a name in it could carry an
            instruction into a prompt.
    """
    table = read_traces(path) if _has_traces(path) else read_predictions(path)
    check_symbols(table, path, KEY)
    label, answer = pl.col("label"), pl.col("answer")
    table = table.select(
        *KEY,
        "reasoning",
        label.cast(pl.String),
        answer.cast(pl.String),
        pl.int_range(pl.len()).over(KEY).alias("sample"),
        pl.when(label.is_null())
        .then(pl.lit("unlabelled"))
        .when(answer.is_null())
        .then(pl.lit("unread"))
        .when(answer == label)
        .then(pl.lit("right"))
        .otherwise(pl.lit("wrong"))
        .alias("group"),
    ).with_row_index()
    says = [any(map(str.isalnum, text or "")) for text in table["reasoning"]]
    thoughtful = table.filter(pl.Series(says, dtype=pl.Boolean))
    if thoughtful.is_empty():
        expected = "a column reasoning with what was thought"
        raise InputError(
            "no thought in this file", file=path, column="reasoning", expected=expected
        )
    drawn = _draw(thoughtful, each, seed)
    _log_draw(name, table, thoughtful, drawn)
    return [_thought(name, row) for row in drawn.iter_rows(named=True)]


def _has_traces(path: Path) -> bool:
    check_file(path)
    if path.suffix == ".jsonl":
        return True
    try:
        if path.suffix == ".parquet":
            columns = set(pl.read_parquet_schema(path))
        else:
            columns = set(pl.read_csv(path, n_rows=0, infer_schema=False).columns)
    except (pl.exceptions.PolarsError, OSError):
        # Whoever reads all of the file says better what is wrong with it.
        return False
    return not columns.isdisjoint(_OF_TRACES)


def _draw(table: pl.DataFrame, each: int | None, seed: int) -> pl.DataFrame:
    if each is None:
        return table
    shuffled = table[np.random.default_rng(seed).permutation(table.height)]
    return shuffled.group_by("group", maintain_order=True).head(each).sort("index")


def _log_draw(name: str, table: pl.DataFrame, full: pl.DataFrame, drawn: pl.DataFrame) -> None:
    without = table.height - full.height
    there = dict(full["group"].value_counts().iter_rows())
    taken = dict(drawn["group"].value_counts().iter_rows())
    counts = [f"{taken[g]:,} of {there[g]:,} {g}" for g in GROUPS if g in there]
    logger.info("%s: %s; %s without a thought", name, ", ".join(counts), f"{without:,}")


def _thought(file: str, row: Mapping[str, str]) -> Thought:
    question = Question(row["cell_line"], row["pert"], row["gene"])
    return Thought(
        file=file,
        question=question,
        sample=int(row["sample"]),
        label=row["label"],
        answer=row["answer"],
        group=row["group"],
        clauses=split_clauses(row["reasoning"]),
    )


def judge_call(thought: Thought, prompts: PromptSet, judge: Model) -> Call:
    """Ask a judge to mark every clause of a thought; it is told neither outcome nor answer.

    Args:
        thought: What is to be marked.
        prompts: A set with a critic's texts, such as `judge`; its slot `{thinking}` is filled with
            the numbered clauses.
        judge: Who is asked.

    Raises:
        InputError: If the set has no texts for a critic.
    """
    numbered = "\n".join(f"{place}: {text}" for place, text in enumerate(thought.clauses, 1))
    return Call(
        role="judge",
        question=thought.question,
        label=None,
        sample=0,
        to=judge,
        messages=prompts.critic_messages(thought.question, numbered),
        prompt_id=prompts.prompt_id,
    )


def ask_judge(
    thoughts: Sequence[Thought],
    prompts: PromptSet,
    judge: Model,
    journal: Path,
    *,
    budget: float | None = None,
    attempts: int = 6,
    backoff: float = 1.0,
) -> list[list[tuple[Mark | None, str]]]:
    """Have every thought marked that the journal does not know yet, and read the marks.

    Args:
        thoughts: What is to be marked; two with the same clauses are asked about once.
        prompts: The judge's texts.
        judge: Who is asked.
        journal: Where every reply is kept.
        budget: US dollars that everything in the journal may cost.
        attempts: How often a call is made while the trouble looks passing.
        backoff: Seconds, the bound of the first random wait between attempts.

    Returns:
        For each thought, for each of its clauses: the mark, or None, and why.

    Raises:
        InputError: If the judge cannot be asked.
        StoppedError: If key, quota, budget or provider ended the run; every reply is kept.
    """
    # Not above: it brings what only asking needs.
    from tools.traces.asking.running import run

    calls = [judge_call(thought, prompts, judge) for thought in thoughts]
    distinct = {call.key: call for call in calls}
    counts = {call.key: len(it.clauses) for call, it in zip(calls, thoughts, strict=True)}

    def read(call: Call, reply: Reply) -> Reading:
        said = {reason for _, reason in _marks(reply, counts[call.key])}
        return Reading(" ".join(sorted(said)))

    with Journal(journal, write=True) as book:
        run(
            book,
            [judge],
            _walks(distinct.values()),
            bool,
            read,
            total=len(distinct),
            budget=budget,
            attempts=attempts,
            backoff=backoff,
            title="thoughts",
        )
        return [_marks(book.answer(call.key), counts[call.key]) for call in calls]


def _walks(calls: Iterable[Call]) -> Iterable[Generator[Call, Reply | None, bool]]:
    def walk(call: Call) -> Generator[Call, Reply | None, bool]:
        reply = yield call
        return reply is not None

    return (walk(call) for call in calls)


def _marks(reply: Reply | None, count: int) -> list[tuple[Mark | None, str]]:
    """What a reply says of each clause."""
    if reply is None:
        return [(None, _NOT_ANSWERED)] * count
    if reply.finish_reason in REFUSALS:
        return [(None, _REFUSED)] * count
    return [(it.mark, str(it.status)) for it in parse_marks(reply.text, count, reply.finish_reason)]
