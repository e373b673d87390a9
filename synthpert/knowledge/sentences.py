"""The words of facts: one wording for each, so that a critic can find it again in a text."""

from __future__ import annotations

import re
from typing import TYPE_CHECKING, Final

from synthpert.questions import LABELS, Label

if TYPE_CHECKING:
    from collections.abc import Sequence

    import numpy as np
    from numpy.typing import NDArray

    from synthpert.knowledge.graph import Connection, GeneSet

WORDING: Final = "1"
"""Part of every fingerprint of these texts: raised when a fact is said in other words."""

_COMPLEX: Final = re.compile(r"(?i)\b(?:complex|subunit|ribosome)\b(?:,[^,]*)?(?:\s*\([^)]*\))?$")
_BRACKETS: Final = re.compile(r"[\[\]<>]")
_DID: Final = {Label.UP: "raised", Label.DOWN: "lowered", Label.NOT_DE: "did not change"}
_ELSEWHERE: Final = "in other cell lines"
_STEPS: Final = {1: "direct neighbours", 2: "two steps apart", 3: "three steps apart"}


def is_complex(name: str) -> bool:
    """Whether a gene set is a complex of proteins, by the last words of its name.

    Args:
        name: As its source writes it.
    """
    return _COMPLEX.search(name) is not None


def gene_set(each: GeneSet) -> str:
    """For example `'Peptide chain elongation' (90 genes)`.

    Args:
        each: A set of genes.
    """
    return f"'{_plain(each.name)}' ({each.size} genes)"


def full_name(gene: str, name: str) -> str:
    """For example `RPL3 (ribosomal protein L3)`.

    Args:
        gene: Its symbol.
        name: What it is called in full.
    """
    return f"{gene} ({_plain(name)})"


def connection(path: Connection) -> str:
    """For example `two steps apart in the network, through RPL10`.

    Args:
        path: Between two genes.
    """
    if path.distance is None:
        return "more than three steps apart in the network"
    through = f", through {_plain(path.through)}" if path.through else ""
    return f"{_STEPS[path.distance]} in the network{through}"


def same(gene: str, label: Label, cell_line: str) -> str:
    """For example `in hepg2 the same knockdown raised RPL5`.

    Args:
        gene: The gene measured.
        label: What became of it.
        cell_line: Where.
    """
    return f"in {cell_line} the same knockdown {_DID[label]} {gene}"


def similar(gene: str, cell_line: str, names: Sequence[str], counts: NDArray[np.int64]) -> str:
    """For example `of 8 similar knockdowns in k562 (such as RPL4), 5 raised RPL5, 3 lowered it`.

    Args:
        gene: The gene measured.
        cell_line: Where; empty for all but the question's.
        names: The most similar of them, at most three.
        counts: (3,), how often it went which way, in the order of `LABELS`.
    """
    place = f"in {cell_line}" if cell_line else _ELSEWHERE
    total = int(counts.sum())
    listed = ", ".join(names)
    such = f"such as {listed}" if total > len(names) else listed
    if total == 1:
        return f"the one similar knockdown {place} ({such}) {_did(counts, gene)}"
    if counts.max() == total:
        return f"{_every(total)} similar knockdowns {place} ({such}) {_did(counts, gene)}"
    return f"of {total} similar knockdowns {place} ({such}), {_tally(counts, gene)}"


def rate(gene: str, cell_line: str, counts: NDArray[np.int64]) -> str:
    """For example `of 40 other knockdowns in k562, 2 raised RPL5 and 38 did not change it`.

    Args:
        gene: The gene measured.
        cell_line: Where; empty for all but the question's.
        counts: (3,), how often it went which way, in the order of `LABELS`.
    """
    place = f"in {cell_line}" if cell_line else _ELSEWHERE
    total = int(counts.sum())
    if total == 1:
        return f"the one other knockdown measured {place} {_did(counts, gene)}"
    if counts.max() == total:
        return f"{_every(total)} other knockdowns measured {place} {_did(counts, gene)}"
    return f"of {total} other knockdowns measured {place}, {_tally(counts, gene)}"


def _plain(name: str) -> str:
    """A name in which no bracket looks like a source or a tag, and no character is out of sight."""
    seen = "".join(each if each.isprintable() else " " for each in name.replace("_", " "))
    return " ".join(_BRACKETS.sub(" ", seen).split())


def _every(total: int) -> str:
    return "both" if total == 2 else f"all {total}"


def _did(counts: NDArray[np.int64], gene: str) -> str:
    return f"{_DID[LABELS[int(counts.argmax())]]} {gene}"


def _tally(counts: NDArray[np.int64], gene: str) -> str:
    """Who did what; the gene is named once."""
    parts = [
        f"{counts[LABELS.index(label)]} {_DID[label]}"
        for label in (Label.UP, Label.DOWN, Label.NOT_DE)
        if counts[LABELS.index(label)]
    ]
    parts[0] += f" {gene}"
    parts[1:] = [f"{part} it" for part in parts[1:]]
    return ", ".join(parts[:-1]) + f" and {parts[-1]}"
