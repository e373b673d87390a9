"""Several systems as one: weights fitted on train questions that each answered out of fold."""

from __future__ import annotations

import logging
from typing import TYPE_CHECKING, Any, Final

import numpy as np
import polars as pl

from synthpert.errors import InputError
from synthpert.predictions import KEY, PROBABILITIES, read_predictions, uniform_where_missing
from tools.baseline.knn import knn
from tools.baseline.network import physical
from tools.baseline.practised import answer_practised, logistic_regression
from tools.baseline.priors import gene_prior, gene_prior_other_lines, pair_lookup, pert_prior
from tools.baseline.rows import numbered, predictions

if TYPE_CHECKING:
    from pathlib import Path

    from numpy.typing import NDArray

    from tools.baseline.materials import Materials

logger = logging.getLogger(__name__)

MEMBERS: Final = (gene_prior, gene_prior_other_lines, pert_prior, pair_lookup, physical, knn)
"""What is combined where no file is given: baselines quick enough to be fitted again per fold."""
_LEAST: Final = 1e-4  # a probability of 0 has no logarithm
_FEWEST: Final = 100
"""Train questions that all files must answer before their weights are fitted."""


def stack(train: pl.DataFrame, test: pl.DataFrame, materials: Materials) -> pl.DataFrame:
    """A logistic regression on the log-odds of other systems (stacking, Wolpert 1992).

    Without files: six baselines, each fitted again without the fold it then answers. With files:
    those that also answer train questions, out of fold by whoever made them, get fitted weights;
    else all have the same weight and nothing is fitted (the logarithmic pool of Genest and
    Zidek 1986).
    """
    if materials.files:
        return _stack_files(train, test, materials.files)
    columns = [*KEY, "label"]
    every = pl.concat([train.select(columns), test.select(columns)])
    rows = numbered(every, every.clear())[0]

    def inputs(known: NDArray[np.bool_], asked: NDArray[np.bool_]) -> NDArray[np.float32]:
        parts = every.filter(known), every.filter(asked)
        return np.hstack([_log_odds(member(*parts, materials)) for member in MEMBERS])

    known = np.arange(len(rows)) < len(train)
    fallback = knn(train, test, materials).select(PROBABILITIES).to_numpy()
    answers = answer_practised(rows, known, fallback, inputs, logistic_regression)
    return predictions(test, answers)


def _log_odds(table: pl.DataFrame) -> NDArray[np.float32]:
    """(rows, 2): of differential expression, and of up against down."""
    not_de, up, down = np.maximum(table.select(PROBABILITIES).to_numpy(), _LEAST).T
    odds = np.column_stack([np.log((up + down) / not_de), np.log(up / down)])
    return odds.astype(np.float32)


def _stack_files(train: pl.DataFrame, test: pl.DataFrame, files: tuple[Path, ...]) -> pl.DataFrame:
    tables = [_known(read_predictions(path, text=False), train, test, path) for path in files]
    logs = np.hstack([_logarithms(test, table) for table in tables])
    shared = train
    for table in tables:
        shared = shared.join(table.select(KEY), on=KEY, how="semi", maintain_order="left")
    if len(shared) < _FEWEST or shared["label"].n_unique() < 3:
        logger.info("stack: the files share %d train questions: equal weights", len(shared))
        pooled = logs.reshape(len(test), len(files), 3).mean(axis=1)
        return predictions(test, np.exp(pooled))
    logger.info("stack: weights fitted on %s train questions", f"{len(shared):,}")
    learned = np.hstack([_logarithms(shared, table) for table in tables])
    model: Any = logistic_regression().fit(learned, shared["label"].to_physical().to_numpy())
    return predictions(test, model.predict_proba(logs))


def _known(
    table: pl.DataFrame, train: pl.DataFrame, test: pl.DataFrame, path: Path
) -> pl.DataFrame:
    """The answers to questions of the benchmark, all of them."""
    asked = pl.concat([train.select(KEY), test.select(KEY)])
    odd = table.select(KEY).join(asked, on=KEY, how="anti", maintain_order="left")
    if len(odd):
        got = ", ".join(odd.row(0))
        raise InputError("no question of this split", file=path, got=got, expected="train or test")
    if table.select(KEY).join(test, on=KEY, how="semi").is_empty():
        raise InputError("answers no test question", file=path, expected="cell_line, pert, gene")
    return uniform_where_missing(table)


def _logarithms(questions: pl.DataFrame, table: pl.DataFrame) -> NDArray[np.float64]:
    """(questions, 3), the log-probabilities; a question without an answer has the same for all."""
    told = questions.select(KEY).join(
        table.select(*KEY, *PROBABILITIES), on=KEY, how="left", maintain_order="left"
    )
    numbers = told.select(pl.col(PROBABILITIES).fill_null(1 / 3)).to_numpy()
    logs: NDArray[np.float64] = np.log(np.maximum(numbers, _LEAST))
    return logs
