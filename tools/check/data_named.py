"""The data that a recipe names: benchmark, split, traces and what they give away, own tables."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Any, Final

from synthpert.errors import InputError
from synthpert.questions import find_data, read_questions, read_table, split_questions

if TYPE_CHECKING:
    import polars as pl

    from synthpert.encoding import Encoder
    from tools.building import Built
    from tools.check.findings import Findings

_ARGS: Final = "data.init_args"
# A look at a table of a million questions would take longer than the verdict may.
_READ_WHOLE: Final = 64 * 2**20
# Of traces, so many are put to the keep rule and encoded: enough to see that none would be left.
_LOOKED_AT: Final = 500


def check_data(found: Findings, built: Built, encoder: Encoder | None) -> None:
    """Check what the data module is to read.

    Args:
        found: Takes errors and facts.
        built: Student and data module.
        encoder: The student's renderer, where its tokenizer is here.
    """
    data = built.data
    if not all(hasattr(data, name) for name in ("data", "split", "cell_lines")):
        found.facts.append(f"data {type(data).__name__}, which is not looked into")
        return
    with found.noting(f"{_ARGS}.questions"):
        _check_questions(found, getattr(data, "questions", None))
    if (parts := _split(found, data)) is None:
        return
    train, test = parts
    if built.student.prompts.needs_evidence:
        with found.noting("model.evidence.knowledge"):
            found.facts.append(f"evidence {built.student.prompts.prompt_id}")
    if getattr(data, "traces", None) is not None:
        from tools.check.traces_named import check_traces

        with found.noting(f"{_ARGS}.traces"):
            check_traces(found, data, test, encoder)
    else:
        found.facts.append(f"{train.height:,} train questions")
    if getattr(data, "mixture", None) is not None:
        with found.noting(f"{_ARGS}.mix.file"):
            _check_mix(data, test)


def _split(found: Findings, data: Any) -> tuple[pl.DataFrame, pl.DataFrame] | None:  # noqa: ANN401
    """Train and test questions as the data module would split them."""
    with found.noting(f"{_ARGS}.data"):
        try:
            questions = read_questions(data.data, data.cell_lines)
        except InputError as error:
            if data.cell_lines is None or "cell line" not in error.what:
                raise
            found.add(error, f"{_ARGS}.cell_lines")
            return None
        with found.noting(f"{_ARGS}.split"):
            train, test = split_questions(questions, data.split)
            if not train.height or not test.height:
                part = "test" if train.height else "train"
                raise InputError(f"no {part} question in this split", got=data.split)
            lines = ", ".join(test["cell_line"].unique(maintain_order=True))
            found.facts.append(
                f"{test.height:,} test questions of {lines} "
                f"(split {data.split}, {_shown(find_data(data.data))})"
            )
            return train, test
    return None


def _shown(folder: Path) -> str:
    return "the bundled sample" if folder.parent.name == "synthpert" else str(folder)


def _check_questions(found: Findings, table: Path | None) -> None:
    """Read a table of one's own, whole where that is quick."""
    if table is None:
        return
    if Path(table).is_file() and Path(table).stat().st_size > _READ_WHOLE:
        found.facts.append(f"{table} is large and was not read")
        return
    found.facts.append(f"{read_table(table).height:,} questions in {table}")


def _check_mix(data: Any, test: pl.DataFrame) -> None:  # noqa: ANN401 - the data module
    file = Path(data.mixture.mix.file)
    if not file.is_file():
        raise InputError("no such file", got=str(file), expected="JSONL with `messages`")
    if file.stat().st_size <= _READ_WHOLE:
        # The perturbations that are validated on are drawn by the data module; here none is.
        data.mixture.read(test, data.split, ())
