"""Draws the questions that an evaluation asks: few, the same each time, by whole perturbations."""

from __future__ import annotations

import hashlib

import polars as pl

from synthpert.errors import InputError
from synthpert.questions import LABELS


def draw_subset(table: pl.DataFrame, size: int, seed: int) -> pl.DataFrame:
    """Draw a subset of questions by whole perturbations, then in the label shares of the table.

    1. Each label that occurs gets its share of `size` (largest remainder), at least one.
    2. Perturbations (one in one cell line) are taken whole, in an order that only `seed` and their
       names decide, until there are enough questions of every label.
    3. Of these, each label keeps as many as it was given, again in an order of seed and names.

    The order comes from SHA-256: no random state is read or moved, the order of `table`'s rows
    does not matter, and a question keeps its place when others are added.

    Args:
        table: cell_line, pert, gene, label; other columns are left out.
        size: How many questions to draw; all where there are fewer.
        seed: Chooses them.

    Returns:
        The subset in the order of step 3, mixed over labels and perturbations.

    Raises:
        InputError: If there is no question, or one without a label.
    """
    table = table.select("cell_line", "pert", "gene", "label")
    unlabelled = table["label"].null_count()
    if table.is_empty() or unlabelled:
        raise InputError(
            "evaluation needs labelled questions",
            file="data",
            got=f"{table.height} questions, {unlabelled} without a label",
        )
    quota = _quota(table, size)
    by_pert = table.partition_by("cell_line", "pert", as_dict=True)
    taken, missing = [], dict(quota)
    for pert in sorted(by_pert, key=lambda key: _place(seed, *key)):
        taken.append(by_pert[pert])
        for label in by_pert[pert]["label"]:
            missing[label] -= 1
        if max(missing.values()) <= 0:
            break
    pool = pl.concat(taken)
    place = [_place(seed, *row) for row in pool.select("cell_line", "pert", "gene").iter_rows()]
    pool = pool.with_columns(place=pl.Series(place)).sort("place")
    kept = [pool.filter(pl.col("label") == label).head(count) for label, count in quota.items()]
    return pl.concat(kept).sort("place").drop("place")


def _quota(table: pl.DataFrame, size: int) -> dict[str, int]:
    """How many questions of each label: its share, by largest remainder, at least one."""
    counts = {label: int((table["label"] == label).sum()) for label in LABELS}
    counts = {label: count for label, count in counts.items() if count}
    size = min(size, table.height)
    exact = {label: size * count / table.height for label, count in counts.items()}
    quota = {label: max(1, int(share)) for label, share in exact.items()}
    while sum(quota.values()) > max(size, len(quota)):  # room for those that got one for none
        quota[max(quota, key=lambda each: quota[each])] -= 1
    for label in sorted(exact, key=lambda each: int(exact[each]) - exact[each]):
        if sum(quota.values()) < size and quota[label] < counts[label]:
            quota[label] += 1
    return {str(label): count for label, count in quota.items()}


def _place(seed: int, *names: str) -> str:
    return hashlib.sha256("\t".join([str(seed), *names]).encode()).hexdigest()
