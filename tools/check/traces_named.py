"""The traces that a recipe trains on: columns, cell lines, grades, the test split."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Any, Final

from synthpert.errors import InputError
from synthpert.questions import Label, find_data, to_questions
from synthpert.traces import read_traces, select
from synthpert.traces.leaks import leaked, refuse_other_lines

if TYPE_CHECKING:
    import polars as pl

    from synthpert.encoding import Encoder
    from tools.check.findings import Findings

# So many are put to the keep rule and encoded: enough to see that none would be left.
_LOOKED_AT: Final = 500
_MAKE: Final = "a file of traces, as `synthpert traces make` writes it"


def check_traces(found: Findings, data: Any, test: pl.DataFrame, encoder: Encoder | None) -> None:  # noqa: ANN401
    """Check a file of traces against the recipe and its split.

    Args:
        found: Takes errors and facts.
        data: The data module.
        test: The test questions of its split.
        encoder: The student's renderer, where its tokenizer is here.

    Raises:
        InputError: If there is no such file, a row is wrong, or one is of a test perturbation.
    """
    file = Path(data.traces)
    if not file.exists():
        raise InputError("no such file", got=str(file), expected=_MAKE)
    traces = read_traces(file)
    with found.noting("data.init_args.grades"):
        select(traces.head(0), data.grades)
        with found.noting("data.init_args.traces"):
            refuse_other_lines(traces, find_data(data.data), file)
            _refuse_test(data, traces, test)
            _refuse_useless(data, traces, encoder)
    found.facts.append(f"{traces.height:,} traces in {file}")


def _refuse_test(data: Any, traces: pl.DataFrame, test: pl.DataFrame) -> None:  # noqa: ANN401
    """As the data module does: a kept trace of a test perturbation is refused."""
    tested = traces.filter(leaked(traces, test, data.split))
    if tested.is_empty() or data.test_traces != "refuse":
        return
    # Only these are put to the keep rule; all of a large file would take a quarter of a minute.
    kept, _ = select(tested, data.grades)
    if kept.height:
        first = " ".join(kept.select("cell_line", "pert", "gene").row(0))
        raise InputError(
            f"{kept.height:,} traces that would be kept are of test perturbations",
            column="data.init_args.traces",
            got=first,
            expected=f"traces to train {data.split} on; test_traces: drop leaves them out",
        )


def _refuse_useless(data: Any, traces: pl.DataFrame, encoder: Encoder | None) -> None:  # noqa: ANN401
    """Refuse a file of which the keep rule and `max_tokens` would leave nothing."""
    some = traces.gather_every(max(1, traces.height // _LOOKED_AT)).head(_LOOKED_AT)
    kept, reasons = select(some, data.grades)
    if kept.is_empty():
        shown = ", ".join(f"{reason} {count}" for reason, count in reasons.items()) or "no rows"
        what = f"none of {some.height:,} traces looked at is kept"
        raise InputError(what, column="data.init_args.traces", got=shown, expected="traces to keep")
    if encoder is None:
        return
    labels = [Label(label) for label in kept["label"]]
    made = encoder.examples(to_questions(kept), labels, kept["reasoning"].to_list())
    if not any(made):
        what = f"all of {kept.height:,} traces looked at are longer than max_tokens"
        raise InputError(what, column="model.max_tokens", got=encoder.max_tokens)
