"""Other symbols of the same gene: resolved by a table, never guessed.

PerturbQA uses the gene symbols of about 2021; older and newer files call some of the genes
otherwise. A symbol is replaced only where a table of names leaves one reading of it.
"""

from __future__ import annotations

import logging
from collections import defaultdict
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Final

import polars as pl

from synthpert.errors import InputError
from synthpert.knowledge.sources import NameTable, read_source

if TYPE_CHECKING:
    from collections.abc import Iterable

logger = logging.getLogger(__name__)

_SHOWN: Final = 5


@dataclass(frozen=True, slots=True)
class Resolved:
    """What became of symbols that are not known.

    Attributes:
        renamed: Symbol to the one known symbol of the same gene.
        ambiguous: Symbol to the known symbols that it may mean; none is taken.
        unknown: Symbols of no known gene, sorted.
    """

    renamed: dict[str, str]
    ambiguous: dict[str, list[str]]
    unknown: list[str]

    def __str__(self) -> str:
        """How many of each, and the ambiguous ones by name."""
        told = f"{len(self.renamed):,} renamed, {len(self.ambiguous):,} ambiguous and kept"
        if self.ambiguous:
            first = list(self.ambiguous.items())[:_SHOWN]
            names = "; ".join(f"{symbol}: {' or '.join(found)}" for symbol, found in first)
            told += f" ({names}{'; ...' if len(self.ambiguous) > _SHOWN else ''})"
        return f"{told}, {len(self.unknown):,} unknown"


class Aliases:
    """What genes are called.

    Args:
        names: Symbols and their synonyms.
    """

    def __init__(self, names: NameTable) -> None:
        self._official = set(names.names["symbol"])
        self._genes: defaultdict[str, set[str]] = defaultdict(set)
        for synonym, symbol in names.synonyms.iter_rows():
            self._genes[synonym].add(symbol)

    def genes(self, symbol: str) -> set[str]:
        """The genes that a symbol may mean, by their official symbols.

        Args:
            symbol: An official symbol means that gene, whatever else it is a synonym of.
        """
        return {symbol} if symbol in self._official else set(self._genes.get(symbol, ()))

    def resolve(self, symbols: Iterable[str], known: Iterable[str]) -> Resolved:
        """Find the known symbol of the same gene for each symbol that is not known.

        Args:
            symbols: As somebody else writes them.
            known: The symbols to be arrived at.

        Returns:
            Ambiguous is a symbol with several genes or several known symbols, one whose known
            symbol has several genes, and symbols that meet in one, or in one that is there too.
        """
        goals, given = set(known), set(symbols)
        by_gene: defaultdict[str, set[str]] = defaultdict(set)
        for goal in goals:
            for gene in self.genes(goal):
                by_gene[gene].add(goal)
        found = {
            symbol: sorted(set().union(*(by_gene.get(gene, ()) for gene in self.genes(symbol))))
            for symbol in sorted(given - goals)
        }
        claims: defaultdict[str, list[str]] = defaultdict(list)
        for symbol, candidates in found.items():
            for goal in candidates:
                claims[goal].append(symbol)
        renamed, ambiguous = {}, {}
        for symbol, candidates in found.items():
            if len(candidates) == 1 and self._is_plain(symbol, candidates[0], given, claims):
                renamed[symbol] = candidates[0]
            elif candidates:
                ambiguous[symbol] = candidates
        return Resolved(renamed, ambiguous, [symbol for symbol in found if not found[symbol]])

    def _is_plain(
        self, symbol: str, goal: str, given: set[str], claims: dict[str, list[str]]
    ) -> bool:
        one_gene = len(self.genes(symbol)) == len(self.genes(goal)) == 1
        return one_gene and goal not in given and len(claims[goal]) == 1


def read_aliases(path: Path | str) -> Aliases:
    """Read a table of gene names.

    Args:
        path: Gene names as the knowledge folder has them: `symbol` and `synonyms`, or rows of
            type symbol and synonym.

    Raises:
        InputError: If it is no such table.
    """
    table = read_source(Path(path))
    if not isinstance(table, NameTable) or table.synonyms.is_empty():
        raise InputError("no table of synonyms", file=path, expected="columns symbol, synonyms")
    return Aliases(table)


def rename_symbols(
    table: pl.DataFrame, questions: pl.DataFrame, aliases: Aliases, file: Path | str
) -> pl.DataFrame:
    """Write perturbations and genes as the questions do, and log what became of them.

    Args:
        table: Columns pert and gene.
        questions: The same, as the benchmark writes them.
        aliases: Names and synonyms.
        file: Where `table` was read from.

    Returns:
        `table` with the renamed symbols in place; all others as they were.
    """
    for column in ("pert", "gene"):
        found = aliases.resolve(table[column].unique(), questions[column].unique())
        if found.renamed or found.ambiguous or found.unknown:
            logger.info("%s: symbols of column %s: %s", file, column, found)
        table = table.with_columns(pl.col(column).replace(found.renamed))
    return table
