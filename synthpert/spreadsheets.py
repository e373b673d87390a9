"""What is written for people who open it in a spreadsheet."""

from __future__ import annotations

from typing import Final

import polars as pl

_FORMULA: Final = ("=", "+", "-", "@", "\t", "\r")


def defused(name: str) -> pl.Expr:
    """A column of text in which nothing is taken for a formula; a quote before it makes it text.

    Args:
        name: The column, String.
    """
    text = pl.col(name)
    formula = pl.any_horizontal([text.str.starts_with(sign) for sign in _FORMULA])
    return pl.when(formula).then("'" + text).otherwise(text).alias(name)
