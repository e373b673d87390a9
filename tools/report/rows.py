"""The single predictions as the page holds them: packed columns, and the texts of a sample.

Every row's short fields go in, as far as the budget allows; reasoning is long, so that of a
stratified sample goes in, drawn with a seed, in pages that the browser unpacks when they are asked
for.
"""

from __future__ import annotations

import base64
import gzip
import json
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Final

import numpy as np
import polars as pl

from synthpert.predictions import KEY
from synthpert.questions import LABELS

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from numpy.typing import NDArray

ROW_BUDGET: Final = 1_500_000
"""Characters of all packed columns."""

TEXT_BUDGET: Final = 2_200_000
"""Characters of all packed texts."""

LONGEST_TEXT: Final = 4_000
"""Characters of one text; the rest is cut, and the page says so."""

PAGE: Final = 100
"""Questions whose texts are packed together."""

MOST_TEXTS: Final = 5_000
"""Questions with their texts; more is never tried."""

SEED: Final = 0
_SHORT: Final = ("not DE", "up", "down", "unread")
_TEXTS: Final = ("reasoning", "response", "parse_status", "finish_reason")


@dataclass(frozen=True)
class Packed:
    """What the page's browser reads.

    Attributes:
        columns: Base64 of a gzipped JSON object of columns, one value per embedded row.
        pages: The same of the texts; a page is a list of objects, one a question.
        n: How many questions there are.
        rows: How many of them are embedded.
        texts: How many of those with their texts.
        told: How many of all the questions have texts.
        strata: How many strata the draws were from.
    """

    columns: str
    pages: list[str]
    n: int
    rows: int
    texts: int
    told: int
    strata: int


def stratified(strata: Sequence[NDArray[Any]], n: int, seed: int = SEED) -> NDArray[np.int64]:
    """Draw rows so that every stratum gives as many as any other, small ones all they have.

    Args:
        strata: Arrays of shape (N,); rows equal in all of them are one stratum.
        n: How many rows to draw; all if there are fewer.
        seed: Of the draw. A larger `n` keeps the smaller one's rows.

    Returns:
        Shape (min(n, N),): row numbers in rising order.
    """
    table = pl.DataFrame([pl.Series(f"s{i}", each) for i, each in enumerate(strata)])
    lot = np.random.default_rng(seed).permutation(len(table))
    drawn = table.with_columns(lot=lot).with_row_index("row")
    # The first of every stratum, then the second of every stratum, and so on.
    drawn = drawn.with_columns(turn=pl.col("lot").rank("ordinal").over(table.columns))
    return np.sort(drawn.sort("turn", "lot")["row"].head(n).to_numpy().astype(np.int64))


def pack(
    tables: Mapping[str, pl.DataFrame],
    references: Mapping[str, pl.DataFrame],
    texts: Mapping[str, pl.DataFrame],
) -> Packed:
    """Pack what the browser of single predictions shows.

    Args:
        tables: System to its answers, a row per question in one order: cell_line, pert, gene,
            label, answer, p_not_de, p_up, p_down, found.
        references: The same of the reference rows, of which the answers alone are shown.
        texts: System to its prediction file's rows with reasoning or response.

    Returns:
        The columns and pages, each within its budget.
    """
    first = next(iter(tables.values()))
    strata = [
        first["cell_line"].rank("dense").to_numpy(),
        first["label"].to_physical().to_numpy(),
        outcome(first),
    ]
    kept, columns = _fit_rows(tables, references, strata)
    told = _told(first, texts)
    pages, with_text = _fit_texts(told, [each[told["row"]] for each in strata], kept)
    numbered = {int(row): i for i, row in enumerate(kept)}
    columns["text"] = [numbered[row] for row in with_text]
    kinds = len(np.unique(np.stack(strata), axis=1).T)
    counts = (len(first), len(kept), len(with_text), len(told), kinds)
    return Packed(_press(columns), pages, *counts)


def outcome(table: pl.DataFrame) -> NDArray[np.int8]:
    """How each row ended: 0 right, 1 wrong, 2 unread, 3 not in the file; shape (N,)."""
    answered = pl.col("answer").is_not_null()
    right = pl.col("answer") == pl.col("label")
    which = pl.when(right).then(0).when(answered).then(1).when(pl.col("found")).then(2).otherwise(3)
    return table.select(which.cast(pl.Int8)).to_series().to_numpy()


def _fit_rows(
    tables: Mapping[str, pl.DataFrame],
    references: Mapping[str, pl.DataFrame],
    strata: Sequence[NDArray[Any]],
) -> tuple[NDArray[np.int64], dict[str, Any]]:
    n = len(strata[0])
    while True:
        kept = stratified(strata, n)
        columns = _columns(tables, references, kept)
        size = len(_press(columns))
        if size <= ROW_BUDGET:
            return kept, columns
        n = int(n * min(0.9, ROW_BUDGET / size))


def _columns(
    tables: Mapping[str, pl.DataFrame],
    references: Mapping[str, pl.DataFrame],
    kept: NDArray[np.int64],
) -> dict[str, Any]:
    first = next(iter(tables.values()))[kept]
    told: dict[str, Any] = {"labels": list(_SHORT), "n": len(kept)}
    for name in KEY:
        names = first[name].unique(maintain_order=True)
        told[name] = {
            "names": names.to_list(),
            "at": first[name].cast(pl.Enum(names)).to_physical().to_list(),
        }
    told["label"] = _digits(first["label"])
    told["systems"] = [_answers(name, table[kept]) for name, table in tables.items()]
    told["references"] = [
        {"name": name, "answer": _digits(table[kept]["answer"])}
        for name, table in references.items()
    ]
    return told


def _answers(name: str, table: pl.DataFrame) -> dict[str, Any]:
    """A system's columns; probabilities in thousandths, of up and of down."""
    p = table.select((pl.col("p_up", "p_down") * 1000).round().cast(pl.Int32))
    return {
        "name": name,
        "answer": _digits(table["answer"]),
        "outcome": "".join(map(str, outcome(table).tolist())),
        "up": p["p_up"].to_list(),
        "down": p["p_down"].to_list(),
    }


def _digits(labels: pl.Series) -> str:
    """One digit a row: its place in `LABELS`, or their number where there is none."""
    codes = labels.to_physical().cast(pl.Int8).fill_null(len(LABELS))
    return "".join(map(str, codes.to_list()))


def _told(first: pl.DataFrame, texts: Mapping[str, pl.DataFrame]) -> pl.DataFrame:
    """The questions that some system wrote a text about: `row`, and a struct per system."""
    rows = first.select(KEY).with_row_index("row")
    told = rows.clear().select("row")
    for i, table in enumerate(texts.values()):
        struct = pl.struct(pl.col(name) for name in _TEXTS).alias(f"t{i}")
        here = rows.join(table.select(*KEY, struct), on=KEY, maintain_order="left")
        told = told.join(here.select("row", f"t{i}"), on="row", how="full", coalesce=True)
    return told.sort("row")


def _fit_texts(
    told: pl.DataFrame, strata: Sequence[NDArray[Any]], kept: NDArray[np.int64]
) -> tuple[list[str], list[int]]:
    """The pages of as many questions as fit, and those questions' rows."""
    inside = np.isin(told["row"].to_numpy(), kept)
    told, strata = told.filter(inside), [each[inside] for each in strata]
    n = min(len(told), MOST_TEXTS)
    while True:
        drawn = told[stratified(strata, n)] if n else told.clear()
        pages = [_press(_page(part)) for part in drawn.iter_slices(PAGE)] if n else []
        size = sum(map(len, pages))
        if size <= TEXT_BUDGET:
            return pages, drawn["row"].to_list()
        n = int(n * min(0.9, TEXT_BUDGET / size))


def _page(part: pl.DataFrame) -> list[list[dict[str, Any] | None]]:
    """Per question, per system: its texts, cut where they are too long."""
    systems = [part[name].to_list() for name in part.columns if name != "row"]
    return [[_cut(each) for each in row] for row in zip(*systems, strict=True)]


def _cut(texts: dict[str, str | None] | None) -> dict[str, Any] | None:
    if texts is None:
        return None
    told: dict[str, Any] = {}
    for name, text in texts.items():
        if text:
            told[name] = text[:LONGEST_TEXT]
            if len(text) > LONGEST_TEXT:
                told.setdefault("cut", {})[name] = len(text)
    return told


def _press(value: object) -> str:
    """Base64 of gzipped JSON, the same for the same value."""
    text = json.dumps(value, separators=(",", ":"), ensure_ascii=False)
    # A lone surrogate, which a file cannot hold but a test can, is no reason to lose a report.
    raw = text.encode("utf-8", "replace")
    return base64.b64encode(gzip.compress(raw, compresslevel=6, mtime=0)).decode("ascii")
