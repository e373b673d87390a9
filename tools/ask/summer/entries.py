"""What the knowledge files have on one gene, as the lines that a summary is written from."""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

import numpy as np

if TYPE_CHECKING:
    from synthpert.knowledge import Knowledge

_MOST_SETS: Final = 20
_MOST_PARTNERS: Final = 15
_LONGEST: Final = 160


def entries_of(knowledge: Knowledge, gene: str) -> list[str]:
    """List what is known of a gene.

    Args:
        knowledge: Sets, networks and names.
        gene: Its symbol.

    Returns:
        Full name, gene sets (smallest first, since they say most) and the network partners with
        the fewest partners of their own; empty for a gene that no file has.
    """
    number = knowledge.index.number(gene)
    if number is None:
        return []
    name = knowledge.full_name(gene)
    found = [f"{gene} is {name.text}"] if name else []
    sets = knowledge.sets[number]
    sets = sets[np.argsort(knowledge.members.lengths[sets], kind="stable")][:_MOST_SETS]
    names = dict.fromkeys(knowledge.set_names[each] for each in sets.tolist())
    found += [f"{gene} belongs to {each}" for each in names]
    near = knowledge.neighbours[number]
    near = near[np.argsort(knowledge.neighbours.lengths[near], kind="stable")][:_MOST_PARTNERS]
    if len(near):
        partners = ", ".join(knowledge.index.symbols[each] for each in near.tolist())
        found.append(f"{gene} is connected to {partners}")
    return [one_line(each, _LONGEST) for each in found]


def one_line(text: str, most: int) -> str:
    """Make text fit to stand in a prompt: one line, no tags, not too long.

    Args:
        text: From a file or from a model.
        most: Characters.

    Returns:
        The text, cut at a word.
    """
    # No `<`, so that nothing in it can end a thought or begin another turn.
    line = " ".join(text.replace("<", " ").split())
    return line if len(line) <= most else line[:most].rpartition(" ")[0] + " …"
