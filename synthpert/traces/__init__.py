"""Traces: a teacher's reasoning and answer, graded by a critic; their file, and which are kept."""

from __future__ import annotations

import re
from collections import Counter
from pathlib import Path
from typing import TYPE_CHECKING, Any

import polars as pl

from synthpert.answers import Grade, parse_answer, parse_grade
from synthpert.errors import InputError
from synthpert.files import whole_file
from synthpert.json_lines import read_json_lines
from synthpert.questions import LABEL_DTYPE, LABELS, Label, Question
from synthpert.tables import FIRST_ROW, read_parquet_table, read_text_table
from synthpert.traces.gates import RejectReason, gate, grade_gate

if TYPE_CHECKING:
    from collections.abc import Callable, Collection, Sequence

GRADE_DTYPE = pl.Enum([grade.value for grade in Grade])
TRACE_SCHEMA = pl.Schema(
    {
        "cell_line": pl.String(),
        "pert": pl.String(),
        "gene": pl.String(),
        "label": LABEL_DTYPE,
        "question": pl.String(),
        "reasoning": pl.String(),
        "answer": LABEL_DTYPE,
        "response": pl.String(),
        "grade": GRADE_DTYPE,
        "critique": pl.String(),
        "teacher": pl.String(),
        "critic": pl.String(),
        "prompt_id": pl.String(),
        "label_blind": pl.Boolean(),
        "key": pl.String(),
    }
)
_KEY = ("cell_line", "pert", "gene")
_JUDGED = (*_KEY, "label", "answer", "reasoning", "response", "grade")
_NEEDED = (*_KEY, "label", "reasoning", "answer")
# The columns of the CSV that the paper's authors released, and ours.
RELEASED = {
    "pert": "pert",
    "gene": "gene",
    "cell_type": "cell_line",
    "true_answer": "label",
    "user_prompt": "question",
    "assistant_response": "response",
    "generated_thinking": "reasoning",
    "generated_answer": "answer",
    "critic_evaluation": "grade",
    "critic_reasoning": "critique",
}
_SURROGATE = re.compile("[\ud800-\udfff]")


def select(
    traces: pl.DataFrame, grades: Collection[str], least_words: int = 0
) -> tuple[pl.DataFrame, dict[str, int]]:
    """Apply the keep rule to a table, as far as its columns go: a null response is not judged.

    Args:
        traces: Columns of `TRACE_SCHEMA`.
        grades: The grades to keep; if empty, no grade is asked for.
        least_words: A thought of fewer words is rejected; how many it takes was settled when the
            traces were made, so by default none is.

    Returns:
        The kept rows in their order, and the number of rejected rows by reason.

    Raises:
        InputError: If one of `grades` is no grade.
    """
    for grade in grades:
        if grade not in list(Grade):
            raise InputError("unknown grade", got=str(grade), expected=", ".join(Grade))
    reasons = [_reason(row, grades, least_words) for row in traces.select(_JUDGED).iter_rows()]
    counts = Counter(reasons)
    kept = pl.Series([reason is None for reason in reasons], dtype=pl.Boolean)
    rejected = {str(reason): counts[reason] for reason in RejectReason if counts[reason]}
    return traces.filter(kept), rejected


def _reason(row: tuple[Any, ...], grades: Collection[str], least_words: int) -> RejectReason | None:
    *key, label, answer, reasoning, response, grade = row
    reason = gate(
        answer and Label(answer),
        Question(*key),
        Label(label),
        reasoning,
        response,
        least_words=least_words,
    )
    return reason or grade_gate(grade and Grade(grade), grades)


def write_traces(traces: pl.DataFrame, path: Path | str) -> None:
    """Write a trace file whole or not at all.

    Args:
        traces: Columns of `TRACE_SCHEMA`; those it lacks are written as nulls.
        path: Ends in .parquet or .jsonl; its folder is made where needed.

    Raises:
        InputError: If the path ends otherwise, or cannot be written.
        ValueError: If the table has a column that the schema has not.
    """
    path = Path(path)
    writers: dict[str, Callable[[pl.DataFrame, Path], object]] = {
        ".parquet": lambda frame, file: frame.write_parquet(file),
        ".jsonl": lambda frame, file: frame.write_ndjson(file),
    }
    if path.suffix not in writers:
        raise InputError("traces are written by suffix", file=path, expected=" or ".join(writers))
    unknown = sorted(set(traces.columns) - set(TRACE_SCHEMA))
    if unknown:
        raise ValueError(f"not columns of a trace: {', '.join(unknown)}")
    with whole_file(path) as place:
        writers[path.suffix](_complete(traces), place)


def read_traces(path: Path | str) -> pl.DataFrame:
    """Read a trace file and check every row.

    Answers and grades are in the official words or null; in the released CSV they are model text,
    null where not readable.

    Args:
        path: A .parquet or .jsonl file with the columns of `TRACE_SCHEMA`, of which the question's,
            label, reasoning and answer are needed, or a .csv file with those of the release.

    Returns:
        The columns of `TRACE_SCHEMA` in the order of the file's rows; other columns are left out.

    Raises:
        InputError: If the file cannot be read, lacks a needed column, or a row has no question or
            one in white space, or an unknown label, answer or grade.
    """
    path = Path(path)
    rows: Sequence[int] | None = None
    if path.suffix == ".parquet":
        texts = [name for name, dtype in TRACE_SCHEMA.items() if dtype != pl.Boolean()]
        table = read_parquet_table(path, _NEEDED, texts)
        blind = table.schema.get("label_blind", pl.Boolean())
        if blind != pl.Boolean():
            raise InputError(
                "wrong type", file=path, column="label_blind", got=str(blind), expected="Boolean"
            )
    elif path.suffix == ".jsonl":
        table, rows = _read_jsonl(path)
    elif path.suffix == ".csv" or path.suffixes[-2:] == [".csv", ".gz"]:
        table = _read_released(path)
    else:
        raise InputError("not a trace file", file=path, expected=".parquet, .jsonl or .csv")
    _check(table, path, rows or range(FIRST_ROW, FIRST_ROW + len(table)))
    return _complete(table)


def _complete(table: pl.DataFrame) -> pl.DataFrame:
    return table.select(
        (pl.col(name) if name in table.columns else pl.lit(None).alias(name)).cast(dtype)
        for name, dtype in TRACE_SCHEMA.items()
    )


def _read_jsonl(path: Path) -> tuple[pl.DataFrame, list[int]]:
    """The traces, and the line of each."""
    found = list(read_json_lines(path))
    values = [_values(trace, path, row) for row, trace in found]
    schema = dict.fromkeys(TRACE_SCHEMA, pl.String()) | {"label_blind": pl.Boolean()}
    return pl.DataFrame(values, schema=schema, orient="row"), [row for row, _ in found]


def _values(trace: dict[str, Any], path: Path, row: int) -> list[Any]:
    for name in _NEEDED:
        if name not in trace:
            raise InputError("column is missing", file=path, row=row, column=name)
    values = [trace.get(name) for name in TRACE_SCHEMA]
    for name, value in zip(TRACE_SCHEMA, values, strict=True):
        kind, expected = (bool, "true or false") if name == "label_blind" else (str, "a string")
        # JSON can escape half a surrogate pair, which no file in UTF-8 can hold.
        broken = isinstance(value, str) and _SURROGATE.search(value)
        if value is not None and (broken or not isinstance(value, kind)):
            raise InputError(
                "wrong value", file=path, row=row, column=name, got=value, expected=expected
            )
    return values


def _read_released(path: Path) -> pl.DataFrame:
    needed = [theirs for theirs, ours in RELEASED.items() if ours in _NEEDED]
    table = read_text_table(path, needed)
    table = table.select(
        pl.col(theirs).alias(ours) for theirs, ours in RELEASED.items() if theirs in table.columns
    )
    answers = [parse_answer(text or "").label for text in table["answer"]]
    given = table["grade"] if "grade" in table.columns else [""] * len(table)
    grades = [parse_grade(text or "").grade for text in given]
    return table.with_columns(
        pl.col("cell_line").str.to_lowercase(),
        pl.col("label").str.strip_chars().str.to_lowercase(),
        pl.Series("answer", [label and label.value for label in answers], dtype=pl.String),
        pl.Series("grade", [grade and grade.value for grade in grades], dtype=pl.String),
    )


def _check(table: pl.DataFrame, path: Path, rows: Sequence[int]) -> None:
    """Refuse a table at the first row of a column that holds what it must not."""
    labels, grades = [label.value for label in LABELS], [grade.value for grade in Grade]
    allowed = {"label": labels, "answer": labels, "grade": grades}
    for column in [name for name in (*_KEY, *allowed) if name in table.columns]:
        value = pl.col(column)
        if column in _KEY:
            # In white space, a name would pass by the test question that it is.
            bad = (value.fill_null("") == "") | (value != value.str.strip_chars())
        else:
            bad = ~value.is_in(allowed[column]).fill_null(column != "label")
        index = table.select(bad.arg_true().first()).item()
        if index is not None:
            got = table[column][index] or ""
            what, expected = f"unknown {column}", ", ".join(allowed.get(column, []))
            if column in _KEY:
                what = "white space around the name" if got.strip() else f"{column} is empty"
                expected = repr(got.strip()) if got.strip() else "a name"
            raise InputError(
                what, file=path, row=rows[index], column=column, got=got, expected=expected
            )
