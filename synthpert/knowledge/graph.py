"""Gene sets, networks and names of a folder, joined over one index of genes."""

from __future__ import annotations

import hashlib
import logging
import os
import re
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Final

import numpy as np

from synthpert.errors import InputError
from synthpert.knowledge.indexing import GeneIndex, Rows
from synthpert.knowledge.sources import EdgeList, NameTable, SetTable, knowledge_files, read_source

if TYPE_CHECKING:
    from collections.abc import Sequence

    from numpy.typing import NDArray

logger = logging.getLogger(__name__)

LARGEST_SET: Final = 300
"""Larger sets ("metabolism") say little about two genes in them, and are left out."""
_FOLDER: Final = "data/knowledge"
_TINY: Final = 1e-9


@dataclass(frozen=True, slots=True)
class Named:
    """What a gene is called in full, and the source that says so."""

    text: str
    source: str


@dataclass(frozen=True, slots=True)
class GeneSet:
    """A pathway, complex or other set of genes.

    Attributes:
        name: As its source writes it.
        size: How many genes it has.
        source: The file's name without its suffixes.
    """

    name: str
    size: int
    source: str


@dataclass(frozen=True, slots=True)
class Connection:
    """How two genes are connected in the networks.

    Attributes:
        distance: Edges between them, 1 to 3; None where there is no such path.
        through: The gene between them, where the distance is 2: the one with fewest neighbours.
        source: The networks, with commas between.
    """

    distance: int | None
    through: str | None
    source: str


def find_knowledge(folder: Path | str | None = None) -> Path:
    """Find the folder of knowledge files.

    Args:
        folder: The folder, where the caller was told one.

    Returns:
        `folder`; else `$SYNTHPERT_KNOWLEDGE`; else `./data/knowledge` where that exists; else
        the bundled sample, which knows the genes of the bundled questions alone.
    """
    return _find_knowledge(folder)[0]


def _find_knowledge(folder: Path | str | None) -> tuple[Path, str]:
    """The folder, and why it was taken."""
    if folder is not None:
        return Path(folder), "as asked"
    if os.environ.get("SYNTHPERT_KNOWLEDGE"):
        return Path(os.environ["SYNTHPERT_KNOWLEDGE"]), "$SYNTHPERT_KNOWLEDGE"
    if Path(_FOLDER).is_dir():
        return Path(_FOLDER), f"./{_FOLDER}"
    return Path(__file__).parent.with_name("sample") / "knowledge", "the bundled sample"


def fingerprint(files: Sequence[Path]) -> str:
    """12 hex digits of the SHA-256 of the files' names and bytes.

    Args:
        files: In the order in which they are read.
    """
    digest = hashlib.sha256()
    for path in files:
        data = path.read_bytes()
        digest.update(f"{path.name}\0{len(data)}\0".encode() + data)
    return digest.hexdigest()[:12]


class Knowledge:
    """The sets, networks and names of all files of a folder.

    Args:
        sources: As `read_source` reads them.
        fingerprint: Of the files' content.
    """

    def __init__(
        self, sources: Sequence[SetTable | EdgeList | NameTable], fingerprint: str = ""
    ) -> None:
        self.fingerprint = fingerprint
        self.index = GeneIndex(sources)
        self._full_names: dict[int, Named] = {}
        for table in sources:
            if isinstance(table, NameTable):
                for symbol, text in table.names.drop_nulls("full_name").iter_rows():
                    number = self.index.number(symbol)
                    if number is not None:
                        self._full_names.setdefault(number, Named(text, table.source))
        self.set_names: list[str] = []
        self._set_sources: list[str] = []
        self.members = self._join_sets([each for each in sources if isinstance(each, SetTable)])
        self.sets = self.members.transposed(len(self.index))
        networks = [table for table in sources if isinstance(table, EdgeList)]
        self._networks = ", ".join(network.source for network in networks)
        self.neighbours = self._join_networks(networks)
        self._closed = self.neighbours.closed()
        self._reach: dict[int, NDArray[np.uint8]] = {}
        count = len(self.index)
        # Squared: a shared feature counts with the product of both genes' weights for it.
        self._set_weights = _rarity(self.members.lengths, count)
        self._near_weights = _rarity(self._closed.lengths, count)
        self._norms = np.sqrt(
            self.sets.sums(self._set_weights) + self._closed.sums(self._near_weights)
        )

    @classmethod
    def read(cls, folder: Path | str | None = None) -> Knowledge:
        """Read a folder, and log which.

        Args:
            folder: The folder; None as in `find_knowledge`.

        Raises:
            InputError: If there is no such folder, it is empty, a file in it is no knowledge
                file, or none of them has a gene.
        """
        place, why = _find_knowledge(folder)
        files = knowledge_files(place)
        knowledge = cls([read_source(path) for path in files], fingerprint(files))
        if not len(knowledge.index):
            raise InputError("no gene in these files", file=place, expected="gene symbols")
        logger.info("knowledge from %s (%s): %s genes", place, why, f"{len(knowledge.index):,}")
        return knowledge

    def full_name(self, gene: str) -> Named | None:
        """What a gene is called in full.

        Args:
            gene: Its symbol, or a synonym that no other gene has.
        """
        number = self.index.number(gene)
        return None if number is None else self._full_names.get(number)

    def shared_sets(self, one: str, other: str) -> list[GeneSet]:
        """The sets that hold both genes, of at most `LARGEST_SET` genes.

        Args:
            one: A gene's symbol.
            other: Another's.

        Returns:
            The smallest, that is the most specific, first; of sets of one name the first.
        """
        a, b = self.index.number(one), self.index.number(other)
        if a is None or b is None or a == b:
            return []
        shared = np.intersect1d(self.sets[a], self.sets[b], assume_unique=True)
        sizes = self.members.lengths[shared]
        found: dict[str, GeneSet] = {}
        for number in shared[np.argsort(sizes, kind="stable")].tolist():
            name = self.set_names[number]
            size = int(self.members.lengths[number])
            found.setdefault(_plain(name), GeneSet(name, size, self._set_sources[number]))
        return list(found.values())

    def connection(self, one: str, other: str) -> Connection | None:
        """The shortest path between two genes in all networks taken together.

        Args:
            one: A gene's symbol.
            other: Another's.

        Returns:
            Up to three edges; None where one of the genes is in no network.
        """
        a, b = self.index.number(one), self.index.number(other)
        if a is None or b is None or a == b:
            return None
        near_a, near_b = self.neighbours[a], self.neighbours[b]
        if not len(near_a) or not len(near_b):
            return None
        if b in near_a:
            return Connection(1, None, self._networks)
        between = np.intersect1d(near_a, near_b, assume_unique=True)
        if len(between):
            fewest = between[np.argmin(self.neighbours.lengths[between])]
            return Connection(2, self.index.symbols[fewest], self._networks)
        reach = self._two_steps(a)
        distance = 3 if (reach[near_b >> 3] >> (near_b & 7) & 1).any() else None
        return Connection(distance, None, self._networks)

    def similarities(self, gene: str) -> NDArray[np.float64]:
        """How similar every gene is to one: the cosine over what is known of both.

        A gene's features are its sets and its network neighbours, itself among them, each weighted
        by its rarity, log(genes / genes that have it): inverse document frequency (Spärck Jones
        1972) over the sets of both, as "guilt by association" (Oliver 2000) wants it.

        Args:
            gene: Its symbol.

        Returns:
            (genes,) in the order of `index.symbols`, from 0 to 1; zeros for an unknown gene.
        """
        number = self.index.number(gene)
        count = len(self.index)
        if number is None:
            return np.zeros(count)
        shared = np.zeros(count)
        for rows, features, weights in (
            (self.members, self.sets[number], self._set_weights),
            (self._closed, self._closed[number], self._near_weights),
        ):
            each = np.repeat(weights[features], rows.lengths[features])
            shared += np.bincount(rows.gather(features), each, count)
        cosines: NDArray[np.float64] = shared / np.maximum(self._norms[number] * self._norms, _TINY)
        return cosines

    def _two_steps(self, number: int) -> NDArray[np.uint8]:
        """One bit a gene: is it a neighbour of a neighbour?"""
        reach = self._reach.get(number)
        if reach is None:
            reached = np.zeros(len(self.index), bool)
            reached[self.neighbours.gather(self.neighbours[number])] = True
            # Bits, because they are kept for every perturbation that was asked about.
            reach = self._reach[number] = np.packbits(reached, bitorder="little")
        return reach

    def _join_sets(self, tables: Sequence[SetTable]) -> Rows:
        """The members of all sets of a useful size; their names and sources are noted."""
        offset, sets, genes = 0, [], []
        for table in tables:
            self.set_names += table.names
            self._set_sources += [table.source] * len(table.names)
            sets.append(table.members["set"].to_numpy().astype(np.int64) + offset)
            genes.append(self.index.numbers(table.members["gene"]))
            offset += len(table.names)
        rows = Rows.of(_joined(sets), _joined(genes), offset)
        return rows.where((rows.lengths > 1) & (rows.lengths <= LARGEST_SET))

    def _join_networks(self, networks: Sequence[EdgeList]) -> Rows:
        one = _joined([self.index.numbers(each.edges["gene1"]) for each in networks])
        two = _joined([self.index.numbers(each.edges["gene2"]) for each in networks])
        # Two symbols of one gene would join it to itself.
        one, two = one[one != two], two[one != two]
        both = np.concatenate([one, two]), np.concatenate([two, one])
        return Rows.of(*both, len(self.index))


def _joined(parts: list[NDArray[np.int64]]) -> NDArray[np.int64]:
    return np.concatenate([np.empty(0, np.int64), *parts])


def _rarity(lengths: NDArray[np.int64], genes: int) -> NDArray[np.float64]:
    squared: NDArray[np.float64] = np.log(max(genes, 1) / np.maximum(lengths, 1)) ** 2
    return squared


def _plain(name: str) -> str:
    """A set's name without an identifier behind it, so that two sources are seen to agree."""
    return re.sub(r"\s*\([A-Z]+:\d+\)$", "", name).casefold()
