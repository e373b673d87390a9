"""What a baseline may look at beside the train split: knowledge, edges, vectors, other answers."""

from __future__ import annotations

import logging
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from typing import TypeVar

from rich.console import Console
from rich.progress import track

from synthpert.errors import InputError
from synthpert.knowledge import Knowledge, find_knowledge
from synthpert.knowledge.sources import EdgeList, knowledge_files, read_source

logger = logging.getLogger(__name__)

Item = TypeVar("Item")


@dataclass(frozen=True)
class Materials:
    """Files of the user's; each is read only by the baselines that need it.

    Attributes:
        folder: Of knowledge files; None as in `find_knowledge`.
        edges: An edge list, for `physical`.
        vectors: A table gene to vector, for `genept`.
        files: Prediction files, for `stack`.
        aliases: A table of gene names and synonyms, for `genept`'s vectors.
    """

    folder: Path | None = None
    edges: Path | None = None
    vectors: Path | None = None
    files: tuple[Path, ...] = ()
    aliases: Path | None = None

    @cached_property
    def knowledge(self) -> Knowledge:
        """The knowledge of the folder.

        Raises:
            InputError: If there is no such folder, or it holds no knowledge.
        """
        return Knowledge.read(self.folder)

    @cached_property
    def network(self) -> Knowledge:
        """The given edge list, else all the networks of the knowledge folder.

        Raises:
            InputError: If the file is no edge list, or none has an edge.
        """
        if self.edges is None:
            network, files = self.knowledge, knowledge_files(find_knowledge(self.folder))
        else:
            network, files = Knowledge([_edge_list(self.edges)]), [self.edges]
        if not network.neighbours.lengths.any():
            place = self.edges or self.folder or "knowledge"
            raise InputError("no edge here", file=place, expected="an edge list: gene1, gene2")
        for file in files:
            if "string" in file.name.lower() and "physical" not in file.name.lower():
                logger.warning("%s: STRING's functional network, not the physical one", file)
        return network


def _edge_list(path: Path) -> EdgeList:
    source = read_source(path)
    if not isinstance(source, EdgeList):
        raise InputError("not an edge list", file=path, expected="the columns gene1 and gene2")
    return source


def shown(items: Iterable[Item], what: str, total: int) -> Iterator[Item]:
    """Go through items with a bar on a terminal's stderr.

    Args:
        items: What takes its time.
        what: The words before the bar.
        total: How many items there are.

    Yields:
        The items.
    """
    console = Console(stderr=True)
    yield from track(
        items, what, total, console=console, transient=True, disable=not console.is_terminal
    )
