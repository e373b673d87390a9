"""The top genes of each perturbation, and what is counted of perturbations and genes."""

from __future__ import annotations

from typing import Final

import polars as pl

from synthpert.questions import Label

DIRECTIONS: Final = {"up": Label.UP, "down": Label.DOWN}
HITS: Final = (
    *("cell_line", "pert", "direction", "rank", "gene", "probability"),
    *("p_not_de", "p_up", "p_down", "answer", "called", "label"),
)
"""The columns of hits.csv."""
_GROUP: Final = ("cell_line", "pert")


def top_genes(part: pl.DataFrame, top: int) -> pl.DataFrame:
    """The genes most probably up and most probably down, of each perturbation.

    Args:
        part: Whole perturbations, as `Parts` gives them.
        top: How many at most, of each perturbation and direction.

    Returns:
        Columns `HITS`, sorted by cell line, perturbation, direction (up first), rank and gene.
        Equal probabilities share a rank (the lowest) and stand by gene name. A gene with
        probability 0, or whose answer could not be read, is not listed.
    """
    lists = [_listed(part, direction, top) for direction in DIRECTIONS]
    return pl.concat(lists).sort(*_GROUP, maintain_order=True)


def _listed(part: pl.DataFrame, direction: str, top: int) -> pl.DataFrame:
    probability = f"p_{direction}"
    rows = part.filter(pl.col("answer").is_not_null(), pl.col(probability) > 0)
    rows = rows.sort(*_GROUP, probability, "gene", descending=[False, False, True, False])
    # The first of a sorted group only: the rank within them is the rank among all.
    first = rows.group_by(_GROUP, maintain_order=True).head(top)
    rank = pl.col(probability).rank("min", descending=True).over(_GROUP)
    return first.with_columns(
        direction=pl.lit(direction), rank=rank, probability=probability, called=direction
    ).select(HITS)


def tally_perts(part: pl.DataFrame) -> pl.DataFrame:
    """Count each perturbation's answers.

    Args:
        part: Whole perturbations.

    Returns:
        Columns cell_line, pert; as counts asked, unread, up and down (genes called), labelled and
        label_up and label_down (genes with a label, and with that one), soft (rows with a
        probability other than 0 and 1); and activity, the sum of |p_up - p_down|.
    """
    soft = pl.any_horizontal(pl.col("p_not_de", "p_up", "p_down").is_between(0, 1, "none"))
    return part.group_by(_GROUP, maintain_order=True).agg(
        asked=pl.len(),
        unread=pl.col("answer").null_count(),
        up=pl.sum("up"),
        down=pl.sum("down"),
        labelled=pl.col("label").count(),
        label_up=(pl.col("label") == Label.UP.value).sum(),
        label_down=(pl.col("label") == Label.DOWN.value).sum(),
        soft=soft.sum(),
        activity=pl.col("signed").abs().sum(),
    )


def tally_genes(part: pl.DataFrame) -> pl.DataFrame:
    """Add up each gene's activity.

    Args:
        part: Whole perturbations.

    Returns:
        Columns cell_line, gene, and activity, the sum of |p_up - p_down|.
    """
    return part.group_by("cell_line", "gene").agg(activity=pl.col("signed").abs().sum())


def add_up(tallies: list[pl.DataFrame]) -> pl.DataFrame:
    """Join `tally_genes` of several parts into one.

    Args:
        tallies: One or more.

    Returns:
        The same columns, a row for each cell line and gene.
    """
    return pl.concat(tallies).group_by("cell_line", "gene").agg(pl.sum("activity"))
