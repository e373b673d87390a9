"""Contamination probes: questions asked wrongly on purpose, answers kept under the right ones.

A model that reasons from the genes it is asked about must lose what it gains by them when their
names are taken away or exchanged. What it still knows then, it knows from elsewhere: from the
frequency of labels, from the gene that is measured, or from the test set itself.

- `masked-gene`: both gene names become pseudonyms, GENE0001 and so on. A gene has one pseudonym
  throughout, as perturbation and as target, in every cell line; so a name says which questions
  belong together and nothing else. A reader without memory of the pseudonyms can do no better than
  the class shares of the cell line, and one that counts within its prompt no better than those.
- `swapped-perturbation`: each question asks of another perturbation of its cell line's questions,
  drawn for each question by itself. The target gene is right, so accuracy must fall to the gene
  prior's, and the per-gene AUROC to one half.
- `swapped-cell-line`: each question asks of another cell line. What is left is what cell lines
  share.

Drawn by SHA-256 of seed and question: the same for any order or subset of the rows.
"""

from __future__ import annotations

import hashlib
from typing import TYPE_CHECKING, Final, Literal, get_args

import numpy as np
import polars as pl

from synthpert.errors import InputError
from synthpert.questions import KEY

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

Probe = Literal["masked-gene", "swapped-perturbation", "swapped-cell-line"]
PROBES: Final[tuple[str, ...]] = get_args(Probe)


def probed(table: pl.DataFrame, probe: Probe, pool: pl.DataFrame, seed: int = 0) -> pl.DataFrame:
    """Exchange what a probe exchanges.

    Args:
        table: Questions: cell_line, pert, gene and other columns, which stay.
        probe: One of `PROBES`.
        pool: All questions of the test split: the names and cell lines that are drawn from.
        seed: Of the draw.

    Returns:
        What is to be asked, a row for each row of `table`, in its order.

    Raises:
        InputError: If there is no such probe, or nothing to exchange with.
    """
    every = pl.concat([pool.select(KEY), table.select(KEY)])
    if probe == "masked-gene":
        names = pseudonyms(pl.concat([every["pert"], every["gene"].alias("pert")]), seed)
        masked = [pl.col(name).replace_strict(names, return_dtype=pl.String) for name in KEY[1:]]
        return table.with_columns(masked)
    if probe == "swapped-perturbation":
        perts = {
            str(line): sorted(rows["pert"].unique())
            for (line,), rows in every.group_by("cell_line")
        }
        return table.with_columns(pl.Series("pert", _other_perturbations(table, perts, seed)))
    if probe == "swapped-cell-line":
        lines = sorted(every["cell_line"].unique())
        return table.with_columns(pl.Series("cell_line", _other_lines(table, lines, seed)))
    raise InputError("unknown probe", file="--probe", got=probe, expected=", ".join(PROBES))


def pseudonyms(names: pl.Series, seed: int) -> dict[str, str]:
    """Give every name another one, one to one.

    Args:
        names: Gene symbols, repeats allowed.
        seed: Of the order in which the numbers are given.

    Returns:
        Name to pseudonym; no pseudonym is one of the names.
    """
    distinct = sorted(names.unique())
    taken = set(distinct)
    width = max(4, len(str(2 * len(distinct))))
    free = [f"GENE{number:0{width}}" for number in range(1, 2 * len(distinct) + 1)]
    free = [name for name in free if name not in taken][: len(distinct)]
    order = np.random.default_rng(seed).permutation(len(distinct))
    return {name: free[place] for name, place in zip(distinct, order.tolist(), strict=True)}


def _other_perturbations(
    table: pl.DataFrame, perts: Mapping[str, Sequence[str]], seed: int
) -> list[str]:
    # Not the target gene either: its own knockdown would be an easier question, not a wrong one.
    return [
        _drawn(seed, (line, pert, gene), perts[line], (pert, gene))
        for line, pert, gene in table.select(KEY).iter_rows()
    ]


def _other_lines(table: pl.DataFrame, lines: Sequence[str], seed: int) -> list[str]:
    return [_drawn(seed, row, lines, row[:1]) for row in table.select(KEY).iter_rows()]


def _drawn(
    seed: int, question: tuple[str, ...], choices: Sequence[str], without: tuple[str, ...]
) -> str:
    """One of the choices, by chance; the next after it where that one is not to be taken."""
    text = "\t".join((str(seed), *question))
    place = int.from_bytes(hashlib.sha256(text.encode()).digest()[:8])
    for attempt in range(len(without) + 1):
        # Drawn anew, so that the neighbours of those not to be taken are no likelier than others.
        found = choices[(place >> (16 * attempt)) % len(choices)]
        if found not in without:
            return found
    left = [name for name in choices if name not in without]
    if not left:
        what = "nothing to exchange it with"
        raise InputError(what, file="--probe", got=", ".join(question), expected="another name")
    return left[place % len(left)]
