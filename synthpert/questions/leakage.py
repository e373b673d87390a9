"""The leakage audit: how much of a test set the training set has already seen."""

from __future__ import annotations

import polars as pl

from synthpert.questions import Label


def leakage(train: pl.DataFrame, test: pl.DataFrame) -> pl.DataFrame:
    """Count how much of a test set the training set has already seen.

    Args:
        train: Columns cell_line, pert, gene.
        test: The same and label.

    Returns:
        One row per cell line of `test` and one called `all`: `rows`, `perts` (distinct
        perturbations), `de_rows`; the rows whose perturbation is trained on in another cell line
        (`other_line`), in the same one (`same_line`) or in none (`unseen`); the rows whose exact
        (pert, gene) pair is trained on in another cell line (`pairs`) and those of them that
        are differentially expressed (`de_pairs`). Each count has a `…_share`, from 0 to 1:
        of the rows, and for `de_pairs` of `de_rows` (NaN where there are none).
    """
    seen_pert = trained_elsewhere(train, test, ["pert"])
    seen_pair = trained_elsewhere(train, test, ["pert", "gene"])
    facts = test.select(
        "cell_line",
        "pert",
        de=pl.col("label") != Label.NOT_DE.value,
        other_line=seen_pert["elsewhere"],
        same_line=seen_pert["here"],
        pair=seen_pair["elsewhere"],
    )
    counts = {
        "rows": pl.len(),
        "perts": pl.col("pert").n_unique(),
        "de_rows": pl.col("de").sum(),
        "other_line": pl.col("other_line").sum(),
        "same_line": pl.col("same_line").sum(),
        "unseen": (~pl.col("other_line") & ~pl.col("same_line")).sum(),
        "pairs": pl.col("pair").sum(),
        "de_pairs": (pl.col("pair") & pl.col("de")).sum(),
    }
    each = facts.group_by("cell_line", maintain_order=True).agg(**counts)
    whole = facts.select(cell_line=pl.lit("all"), **counts)
    shares = {
        f"{name}_share": pl.col(name) / pl.col("de_rows" if name == "de_pairs" else "rows")
        for name in ("other_line", "same_line", "unseen", "pairs", "de_pairs")
    }
    return pl.concat([each, whole]).with_columns(**shares)


def trained_elsewhere(train: pl.DataFrame, test: pl.DataFrame, key: list[str]) -> pl.DataFrame:
    """Whether the train split has a test row's perturbation, or its pair.

    Args:
        train: Columns cell_line, pert, gene.
        test: The same.
        key: What is looked for: `["pert"]` or `["pert", "gene"]`.

    Returns:
        A row per row of `test`: `here`, trained on in the row's own cell line, and `elsewhere`, in
        another one.
    """
    trained = train.select("cell_line", *key).unique()
    lines = trained.group_by(key).agg(lines=pl.len())
    own = trained.with_columns(own=pl.lit(1, pl.UInt32))
    keys = test.select("cell_line", *key)
    joined = keys.join(lines, on=key, how="left", maintain_order="left").join(
        own, on=["cell_line", *key], how="left", maintain_order="left"
    )
    return joined.select(
        here=pl.col("own").is_not_null(),
        elsewhere=pl.col("lines").fill_null(0) > pl.col("own").fill_null(0),
    )
