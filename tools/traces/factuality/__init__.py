"""`traces factuality`: how much of what the thoughts say is true, after the paper's appendix B.

A thought is cut into clauses, a judge marks each TRUE, FALSE or UNSURE, and people may mark them
too, in the same table; a person's mark wins. A thought's score is the share of TRUE among its
marked clauses; the mean score is told for right and wrong answers apart.
"""

from __future__ import annotations

import logging
from dataclasses import astuple
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final

import numpy as np
import polars as pl

from synthpert.answers.marks import Mark
from synthpert.commands import run
from synthpert.display import show
from synthpert.errors import InputError
from synthpert.files import whole_file
from synthpert.prompts import load_prompts
from tools.score import name_files, write_json
from tools.traces.factuality.judging import GROUPS, Thought, ask_judge, read_thoughts
from tools.traces.factuality.mark_table import (
    THOUGHT_KEY,
    find_human_marks,
    mark_table,
    with_human_marks,
    with_judge,
    write_marks,
)
from tools.traces.settings import Model, check_model

if TYPE_CHECKING:
    from numpy.typing import NDArray

logger = logging.getLogger(__name__)

PUBLISHED: Final = {"right": 0.92, "wrong": 0.76}
"""The paper's mean factuality of thoughts with a right and with a wrong answer (appendix B)."""

# Samples of the bootstrap; with 2,000 the bounds move by less than the digits that are shown.
_RESAMPLES: Final = 2000
# Values, so that a file of any length takes a few megabytes.
_DRAWN_AT_ONCE: Final = 1_000_000
_NOBODY: Final = Model(model="")
_SCORES: Final = ("score", "score_decided")


def main(args: list[str]) -> int:
    """Run the verb.

    Args:
        args: The command line after `traces factuality`.

    Returns:
        The exit code.
    """
    run("traces factuality", factuality, args)
    return 0


def factuality(
    files: list[str],
    judge: Model = _NOBODY,
    prompts: str = "judge",
    each: int | None = 100,
    seed: int = 0,
    marks: Path | None = None,
    budget: float | None = None,
    attempts: int = 6,
    backoff: float = 1.0,
    journal: Path = Path("runs/factuality/journal.sqlite"),
    out: Path = Path("runs/factuality"),
    json: str | None = None,
) -> None:
    """Mark every clause of the thoughts, and score the thoughts by the marks.

    Writes marks.csv and marks.parquet, a row a clause, and factuality.parquet, a row a thought.
    Fill in the column `human` of marks.csv and type the same command again: a person's mark wins
    over the judge's, and no reply is paid for twice. Without a judge, people alone mark.
    Example: synthpert traces factuality predictions.parquet --judge.model openai/gpt-5.6-terra

    Args:
        files: Traces (.parquet, .jsonl, .csv) or predictions (.parquet, .csv) with reasoning.
        judge: Who marks; nobody if its `model` is empty.
        prompts: The judge's texts: a prompt set with a critic's texts, or a YAML file.
        each: Draw so many thoughts with a right answer from each file, and so many with a wrong
            one; null for all. A larger number keeps the thoughts of a smaller one.
        seed: Of the draw and of the intervals.
        marks: A CSV with people's marks; by default marks.csv of an earlier run.
        budget: US dollars that all calls in this journal may cost; never exceeded.
        attempts: How often a call is made while the trouble looks passing.
        backoff: Seconds; before the second attempt a random wait of up to this, then twice …
        journal: Where every reply of the judge is kept.
        out: The folder of the tables.
        json: Write every figure to this file too.

    Raises:
        InputError: If a file, a mark, the prompts or the judge is wrong.
        StoppedError: If key, quota, budget or provider ended the run; the same command goes on.
    """
    if not isinstance(judge, Model):
        # As a flag, it arrives as jsonargparse's namespace of its fields.
        judge = Model(**vars(judge))
    _check(judge, each)
    texts = load_prompts(prompts)
    thoughts = [
        thought
        for name, path in name_files(files).items()
        for thought in read_thoughts(path, name, each, seed)
    ]
    people = find_human_marks(marks, out / "marks.csv")
    table = mark_table(thoughts)
    if people is not None:
        # What is wrong there is said before the judge is paid.
        table = with_human_marks(table, people)
    if judge.model:
        patience: dict[str, Any] = {"attempts": attempts, "backoff": backoff, "budget": budget}
        table = with_judge(table, ask_judge(thoughts, texts, judge, journal, **patience))
    write_marks(table, out)
    scores = score_thoughts(thoughts, table)
    with whole_file(out / "factuality.parquet") as place:
        scores.write_parquet(place)
    figures = {
        "files": summarise(scores, seed),
        "agreement": agreement(table),
        "published": PUBLISHED,
        "judge": judge.model or None,
        "prompt_id": texts.prompt_id if judge.model else None,
        "seed": seed,
        "each": each,
    }
    if json is not None:
        write_json(figures, json)
    _show(figures)
    _log_unmarked(table, out)


def _check(judge: Model, each: int | None) -> None:
    verb = "synthpert traces factuality"
    if judge.model.startswith("offline/"):
        raise InputError(
            "knows no facts to judge by",
            file=verb,
            column="judge.model",
            got=judge.model,
            expected="a language model, or nobody: then people mark",
        )
    check_model("judge", judge)
    if each is not None and each < 1:
        raise InputError("too small", file=verb, column="each", got=each, expected="1 or more")


def score_thoughts(thoughts: list[Thought], marks: pl.DataFrame) -> pl.DataFrame:
    """Score every thought by the marks of its clauses.

    Args:
        thoughts: What was marked.
        marks: Columns of `MARK_SCHEMA`, a row a clause.

    Returns:
        A row a thought: its place, label, answer and group; how many clauses it has, how many are
        true, false, unsure and unmarked, how many a person marked; `score`, the share of TRUE
        among its marked clauses, and `score_decided`, that among TRUE and FALSE alone. A score
        is null where nothing is marked.
    """
    mark = pl.col("mark")
    counts = marks.group_by(THOUGHT_KEY, maintain_order=True).agg(
        pl.len().cast(pl.Int64).alias("clauses"),
        *((mark == each.value).sum().cast(pl.Int64).alias(each.lower()) for each in Mark),
        mark.is_null().sum().cast(pl.Int64).alias("unmarked"),
        pl.col("human").is_not_null().sum().cast(pl.Int64).alias("human"),
    )
    about = [
        (it.file, *astuple(it.question), it.sample, it.label, it.answer, it.group)
        for it in thoughts
    ]
    columns = {name: marks.schema[name] for name in THOUGHT_KEY}
    columns |= dict.fromkeys(("label", "answer", "group"), pl.String())
    table = pl.DataFrame(about, schema=columns, orient="row")
    table = table.join(counts, on=THOUGHT_KEY, how="left", maintain_order="left")
    decided = pl.col("true") + pl.col("false")
    totals = (decided + pl.col("unsure"), decided)
    return table.with_columns(
        pl.when(total > 0).then(pl.col("true") / total).alias(name)
        for name, total in zip(_SCORES, totals, strict=True)
    )


def summarise(scores: pl.DataFrame, seed: int) -> dict[str, dict[str, dict[str, Any]]]:
    """The mean score for right and wrong answers, of each file.

    Args:
        scores: What `score_thoughts` returns.
        seed: Of the bootstrap.

    Returns:
        File to group to the number of thoughts, of those scored, of clauses by mark, and each
        score's mean over the thoughts with its 95 % interval (percentile bootstrap over thoughts;
        null where fewer than two are scored). `all` comes last.
    """
    summary: dict[str, dict[str, dict[str, Any]]] = {}
    for (name,), rows in scores.group_by("file", maintain_order=True):
        parts = {group: rows.filter(pl.col("group") == group) for group in GROUPS}
        parts = {group: part for group, part in parts.items() if part.height} | {"all": rows}
        summary[str(name)] = {group: _block(part, seed) for group, part in parts.items()}
    return summary


def _block(rows: pl.DataFrame, seed: int) -> dict[str, Any]:
    counted = ("clauses", "true", "false", "unsure", "unmarked")
    block: dict[str, Any] = {"thoughts": rows.height, "scored": rows["score"].count()}
    block |= {name: int(rows[name].sum()) for name in counted}
    return block | {name: _mean(rows[name].drop_nulls().to_numpy(), seed) for name in _SCORES}


def _mean(values: NDArray[np.float64], seed: int) -> dict[str, float | None]:
    if not len(values):
        return {"value": None, "low": None, "high": None}
    low = high = None
    if len(values) > 1:
        random, rows = np.random.default_rng(seed), _DRAWN_AT_ONCE // len(values) + 1
        means = [
            random.choice(values, (min(rows, _RESAMPLES - done), len(values))).mean(axis=1)
            for done in range(0, _RESAMPLES, rows)
        ]
        low, high = map(float, np.quantile(np.concatenate(means), [0.025, 0.975]))
    return {"value": float(values.mean()), "low": low, "high": high}


def agreement(marks: pl.DataFrame) -> dict[str, float | int | None] | None:
    """How far judge and people agree on the clauses that both have marked.

    Args:
        marks: Columns of `MARK_SCHEMA`.

    Returns:
        The number of such clauses, the share marked alike and Cohen's kappa (null where all marks
        are the same one); None if there is no such clause.
    """
    both = marks.drop_nulls(["judge", "human"])
    if both.is_empty():
        return None
    judge, human = both["judge"].to_list(), both["human"].to_list()
    kappa = None
    if len({*judge, *human}) > 1:
        # Heavy, and not wanted in most runs.
        from sklearn.metrics import cohen_kappa_score

        kappa = float(cohen_kappa_score(judge, human))
    same = sum(a == b for a, b in zip(judge, human, strict=True))
    return {"clauses": both.height, "agree": same / both.height, "kappa": kappa}


def _show(figures: dict[str, Any]) -> None:
    head = ("file", "answers", "thoughts", "scored", "clauses", *Mark, "unmarked")
    head += ("score", "low", "high", "decided", "low", "high")
    rows = []
    for name, groups in figures["files"].items():
        for group, block in groups.items():
            counts = [value for value in block.values() if not isinstance(value, dict)]
            bounds = [value for score in _SCORES for value in block[score].values()]
            rows.append((name, group, *counts, *bounds))
    published = ", ".join(f"{value} {group}" for group, value in PUBLISHED.items())
    show(
        "Factuality of the thoughts",
        head,
        rows,
        "Score: the share of TRUE among a thought's marked clauses; decided: among TRUE and FALSE."
        " Means over thoughts, with 95 % bootstrap intervals over thoughts."
        f" The paper reports {published}, on thoughts and by marks of its own.",
    )
    if figures["agreement"] is not None:
        show(
            "Judge and people",
            ("clauses marked by both", "share alike", "Cohen's kappa"),
            [tuple(figures["agreement"].values())],
        )


def _log_unmarked(marks: pl.DataFrame, out: Path) -> None:
    """Say which clauses have no mark, and why."""
    unmarked = marks.filter(pl.col("mark").is_null())
    reasons = unmarked["reason"].fill_null("not marked by anybody").value_counts(sort=True)
    told = ", ".join(f"{reason} {count:,}" for reason, count in reasons.iter_rows())
    counts = f"{marks.height - unmarked.height:,} of {marks.height:,} clauses marked"
    logger.info("%s: %s%s", out / "marks.csv", counts, f"; {told}" if told else "")
