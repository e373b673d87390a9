"""Every gene after every perturbation in every cell line: questions from lists of names."""

from __future__ import annotations

import logging
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, NamedTuple

import polars as pl

from synthpert.errors import InputError
from synthpert.questions import CELL_LINES, TABLE_SUFFIXES, read_questions, table_suffix
from synthpert.questions.checks import check_names, check_spelling
from synthpert.tables import FIRST_ROW, read_parquet_table, read_text_table
from synthpert.text_chunks import check_file, text_chunks

if TYPE_CHECKING:
    from collections.abc import Sequence

log = logging.getLogger(__name__)


@dataclass(frozen=True)
class Product:
    """Cell lines x perturbations x genes, asked in that order.

    Args:
        cell_lines: Cell lines, the outermost of the three.
        perts: File of perturbed genes: a symbol a line, a table with a column `pert`, or .h5ad.
        genes: The same of measured genes, column `gene`; `all` takes every gene that the
            benchmark's folder has for the cell line.
    """

    cell_lines: list[str]
    perts: Path
    genes: str


class Lists(NamedTuple):
    """What is asked in one cell line: every one of `genes` after each of `perts`."""

    cell_line: str
    perts: list[str]
    genes: list[str]

    @property
    def questions(self) -> int:
        """How many questions that makes."""
        return len(self.perts) * len(self.genes)


def read_lists(product: Product, data: Path | None) -> list[Lists]:
    """Read the names that a product is made of.

    Args:
        product: Where they are.
        data: The benchmark's folder, for `genes: all`; None as in `find_data`.

    Returns:
        One entry a cell line, in the order asked for.

    Raises:
        InputError: If a file cannot be read or holds something else than names, or a cell line is
            unknown.
    """
    lines = _cell_lines(product.cell_lines)
    perts = read_names(Path(product.perts), "pert")
    if product.genes != "all":
        genes = read_names(Path(product.genes), "gene")
        return [Lists(line, perts, genes) for line in lines]
    known = read_questions(data, lines)
    tested = known.group_by("cell_line").agg(pl.col("gene").unique().sort())
    of = dict(zip(tested["cell_line"], tested["gene"], strict=True))
    return [Lists(line, perts, of[line].to_list()) for line in lines]


def read_names(path: Path, column: str) -> list[str]:
    """Read a list of gene symbols.

    Args:
        path: A table (.csv, .tsv, .parquet) with the column; the var names of an .h5ad; or text, a
            symbol a line, under the column's name or not. Text may be gzipped.
        column: `pert` or `gene`.

    Returns:
        The names in the file's order; one that stands there again is left out, and counted.

    Raises:
        InputError: If the file cannot be read, or a line is no name.
    """
    check_file(path)
    suffix, first = table_suffix(path), FIRST_ROW
    if suffix == ".h5ad":
        names, first = pl.Series(column, _var_names(path), dtype=pl.String), 1
    elif separator := TABLE_SUFFIXES.get(suffix):
        names = read_text_table(path, [column], separator)[column]
    elif suffix == ".parquet":
        names = read_parquet_table(path, [column])[column]
    else:
        lines = b"\n".join(text_chunks(path, "\t")).decode("utf-8", "replace").split("\n")
        under_name = lines[0].strip() == column
        names = pl.Series(column, [line.strip() for line in lines[under_name:]])
        first = FIRST_ROW if under_name else 1
    if names.is_empty():
        raise InputError("no name in this file", file=path, expected="a symbol a line")
    check_names(names.to_frame(), path, [column], first=first)
    check_spelling(names.to_frame(), path, [column], first=first)
    once = names.unique(maintain_order=True)
    if len(once) < len(names):
        again = f"{len(names) - len(once):,}"
        log.warning("%s: %s of %s names stand there again", path, again, f"{len(names):,}")
    return once.to_list()


def _cell_lines(names: Sequence[str]) -> list[str]:
    if not names or not all(name.strip() for name in names):
        raise InputError("no cell line asked for", file="--cell-line", expected="k562[,rpe1,...]")
    for name in names:
        near = name.strip().casefold()
        if near in CELL_LINES and near != name:
            raise InputError("unknown cell line", file="--cell-line", got=name, near=near)
    return list(dict.fromkeys(names))


def _var_names(path: Path) -> list[str]:
    try:
        import anndata
    except ImportError:
        raise InputError(
            "anndata is not installed", file=path, expected="pip install 'synthpert[h5ad]'"
        ) from None
    try:
        return [str(name) for name in anndata.read_h5ad(path, backed="r").var_names]
    except (OSError, KeyError, ValueError) as error:
        raise InputError(f"not a sound .h5ad file: {error}", file=path) from None
