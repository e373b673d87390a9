"""Asking what the journal lacks, then reading all of it into a prediction file."""

from __future__ import annotations

import logging
from collections import Counter
from typing import TYPE_CHECKING, Any, TypeVar

import polars as pl
from rich.console import Console

from synthpert import __version__
from synthpert.errors import StoppedError
from synthpert.predictions import PREDICTION_SCHEMA, write_predictions
from synthpert.questions import to_questions
from tools.traces.journal import Journal
from tools.traces.walk import NOT_ANSWERED, replay

if TYPE_CHECKING:
    from collections.abc import Iterator

    from tools.ask.drawing import Drawn
    from tools.ask.settings import Settings
    from tools.ask.ways import Walk, Way

logger = logging.getLogger(__name__)

T = TypeVar("T")
# Not part of what decides an answer: where the server stands, how long one waits for it.
_NO_DECODING = ("api_base", "base_url", "timeout")


def ask(settings: Settings, way: Way[T], drawn: Drawn) -> None:
    """Ask what the journal does not hold, and write the predictions.

    Args:
        settings: Samples, budget, journal, and where to write.
        way: How a question is asked.
        drawn: The questions.

    Raises:
        InputError: If the model cannot be asked, or something cannot be written.
        StoppedError: If key, quota, budget or provider ended the run; every reply is kept.
        KeyboardInterrupt: After SIGINT, when the calls under way have come to their end.
        SystemExit: After SIGTERM, likewise, with the code 143.
    """
    # A second run is refused before anything is asked.
    with Journal(settings.journal, write=not settings.export) as journal:
        if not settings.export:
            try:
                _ask(settings, way, drawn, journal)
            except (StoppedError, KeyboardInterrupt, SystemExit):
                told = "every reply is kept in %s; the same command goes on, --export writes what"
                logger.info(f"{told} is there", settings.journal)
                raise
        said = [
            [replay(way.walk(question, number), journal.answer) for number in settings.numbers]
            for question in to_questions(drawn.asked)
        ]
    _write(settings, way, drawn, said)


def _ask(settings: Settings, way: Way[T], drawn: Drawn, journal: Journal) -> None:
    questions = to_questions(drawn.asked)

    def walks() -> Iterator[Walk[T]]:
        for number in settings.numbers:
            for question in questions:
                yield way.walk(question, number)

    if settings.batch:
        from tools.traces.batches import run_batches

        run_batches(
            journal,
            [way.model],
            walks,
            way.is_answered,
            way.read,
            budget=settings.budget,
            poll=settings.poll,
        )
        return
    from tools.traces.asking.running import run

    run(
        journal,
        [way.model],
        walks(),
        way.is_answered,
        way.read,
        total=len(questions) * settings.samples,
        budget=settings.budget,
        attempts=settings.attempts,
        backoff=settings.backoff,
        title="answers",
    )


def _write(settings: Settings, way: Way[T], drawn: Drawn, said: list[list[T]]) -> None:
    """Write a row a question; after `--export` of those alone whose samples are all there.

    Raises:
        StoppedError: If there is not a single reply.
    """
    whole = [all(map(way.is_answered, samples)) for samples in said]
    rows = [way.row(samples) for samples in said]
    table = pl.DataFrame(rows, {name: PREDICTION_SCHEMA[name] for name in rows[0]})
    if (table["parse_status"] == NOT_ANSWERED).all():
        raise StoppedError(f"{settings.model}: no call got a reply")
    fixed = {
        "n_samples": settings.samples,
        "model": "/".join(filter(None, (way.model.model, settings.probe))),
        "prompt_id": way.prompt_id,
        "seed": settings.seed,
    }
    table = drawn.kept.hstack(table).with_columns(
        pl.lit(value, PREDICTION_SCHEMA[name]).alias(name) for name, value in fixed.items()
    )
    if settings.export:
        table = table.filter(pl.Series(whole, dtype=pl.Boolean))
    write_predictions(table, settings.place, {**fixed, **record_of(settings, way, drawn)})
    _tell(settings, table, len(said))


def record_of(settings: Settings, way: Way[T], drawn: Drawn) -> dict[str, Any]:
    """How the answers came about, beside the columns of the file.

    Args:
        settings: Decoding and probe.
        way: How they were asked.
        drawn: Which questions.

    Returns:
        Names and plain values.
    """
    told = way.model.parameters
    decoding = {name: value for name, value in told.items() if name not in _NO_DECODING}
    return {
        "system": "ask",
        "decoding": {"temperature": "the provider's own", **decoding},
        "engine": way.model.engine,
        "probe": settings.probe,
        "questions": drawn.record,
        "version": __version__,
        **way.facts(),
    }


def _tell(settings: Settings, table: pl.DataFrame, asked: int) -> None:
    unread = table.filter(pl.col("answer").is_null())
    counts = Counter(unread["parse_status"].to_list())
    told = "".join(f", {reason} {count:,}" for reason, count in counts.most_common())
    line = f"{settings.place}: {table.height:,} predictions by {settings.model}"
    read = table.height - unread.height
    Console().print(f"{line}, {read:,} read{told}", markup=False, highlight=False, soft_wrap=True)
    if settings.export and table.height < asked:
        logger.warning("%s questions wait for replies, and are left out", asked - table.height)
    elif counts[NOT_ANSWERED]:
        logger.warning("the same command asks again for what was not answered")
