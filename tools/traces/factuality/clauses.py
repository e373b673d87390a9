"""A thought cut into clauses that can be checked one by one: sentences, and parts at semicolons.

An own rule, since the libraries for it either need a model to be downloaded or are no longer kept
(pySBD, whose patterns hang on texts such as a long number in brackets). This one goes over the
words once, is linear in their number, and knows what biology writes: `E. coli`, `HLA-A.`, `et al.`

A clause ends after a full stop, question or exclamation mark, at a semicolon, at an empty line and
before an item of a list. It does not end inside brackets, after an abbreviation, after the number
of an item, or after a heading, which goes with what it announces. Nothing is cut at "because",
"so" or "therefore": what follows them often lacks its subject, and the link between the two halves
is itself what wants checking. Nor is anything cut where no white space is, as in `A;B` and `0.05`.
"""

from __future__ import annotations

import re
from itertools import accumulate, pairwise

# Where a part has fewer words, the semicolons of its sentence stand in a list: they part nothing.
_FEWEST_WORDS = 3
# An aside is no longer; a bracket that closes later was never meant to be the pair of this one.
_LONGEST_ASIDE = 60

_OPENING = "\"'“‘«([{*_`<"
_CLOSING = "\"'”’»)]}*_`>"
_PAIRS = {")": "(", "]": "[", "}": "{"}

# What goes on after its full stop, whatever follows.
_ALWAYS = frozenset(
    "e.g i.e w.r.t eg ie vs cf ca approx resp viz fig figs ref refs eq eqs dr prof mr mrs".split()
)
# What goes on unless a capital follows.
_OFTEN = frozenset("al etc sp spp incl excl min max avg conc hr hrs sec temp inc ltd st".split())
# What goes on where a number follows.
_BEFORE_NUMBER = frozenset("no nos p pp vol chr ch ex tab suppl supp ed".split())

_MARKS = re.compile(r"[.!?…]+$")
_INITIALS = re.compile(r"(?:[^\W\d_]\.)+[^\W\d_]")
_ITEM = re.compile(r"\(?(?:[0-9]{1,3}|[A-Za-z]|[ivx]{1,4}|[IVX]{1,4})[.)]+")
_BULLET = re.compile(r"[-–—*+•‣◦▪]|#{1,6}")
_HEADING = re.compile(r"#{1,6}\s.*|\*\*[^*]+\*\*:?|.*:(?:\*\*)?")
_EMPTY_LINE = re.compile(r"\n[^\S\n]*\n")


def split_clauses(thought: str) -> list[str]:
    """Cut a thought into clauses.

    Args:
        thought: Text as a model wrote it.

    Returns:
        The clauses in their order, white space folded to single spaces; each has a letter or a
        digit. Joined by spaces they are the thought with its white space folded. A thought without
        any letter or digit has no clause.
    """
    clauses: list[str] = []
    wordless: list[str] = []
    for words in _blocks(thought):
        for clause in _cut(words):
            if not any(map(str.isalnum, clause)):
                wordless.append(clause)
                continue
            if wordless and clauses:
                clauses[-1] = " ".join([clauses[-1], *wordless])
            elif wordless:
                clause = " ".join([*wordless, clause])
            wordless = []
            clauses.append(clause)
    if wordless and clauses:
        clauses[-1] = " ".join([clauses[-1], *wordless])
    return clauses


def _blocks(thought: str) -> list[list[str]]:
    """The words of each paragraph and list item; a heading's stand before those it announces."""
    blocks: list[list[str]] = []
    announces = False
    for paragraph in _EMPTY_LINE.split(thought):
        begins = True
        for line in paragraph.splitlines():
            words = line.split()
            if not words:
                continue
            item = _BULLET.fullmatch(words[0]) or _ITEM.fullmatch(words[0])
            if (begins or item) and not announces:
                blocks.append([])
            blocks[-1] += words
            announces = _HEADING.fullmatch(line.strip()) is not None
            begins = False
    return blocks


def _cut(words: list[str]) -> list[str]:
    """Cut one block into clauses."""
    aside = _asides(words)
    clauses: list[str] = []
    start, semicolons = 0, [0]
    for place, word in enumerate(words):
        if place == len(words) - 1 or (not aside[place] and _ends(words, place, start)):
            parts = [words[i:j] for i, j in pairwise([*semicolons, place + 1])]
            listed = min(map(len, parts)) < _FEWEST_WORDS
            clauses += map(" ".join, [words[start : place + 1]] if listed else parts)
            start = place + 1
            semicolons = [start]
        elif not aside[place] and word.rstrip(_CLOSING).endswith(";"):
            semicolons.append(place + 1)
    return clauses


def _asides(words: list[str]) -> list[bool]:
    """Whether a pair of brackets is open after each word; one without a partner does not count."""
    depth = [0] * (len(words) + 1)
    opened: dict[str, list[int]] = {"(": [], "[": [], "{": []}
    for place, word in enumerate(words):
        for sign in word:
            if sign in opened:
                opened[sign].append(place)
            elif sign in _PAIRS and opened[_PAIRS[sign]]:
                start = opened[_PAIRS[sign]].pop()
                if place - start <= _LONGEST_ASIDE:
                    depth[start] += 1
                    depth[place] -= 1
    return [level > 0 for level in accumulate(depth)]


def _ends(words: list[str], place: int, start: int) -> bool:
    """Whether a sentence that begins at `start` ends after the word at `place`."""
    word = words[place].rstrip(_CLOSING)
    found = _MARKS.search(word)
    if found is None:
        return False
    stem, marks = word[: found.start()].lstrip(_OPENING).lower(), found[0]
    following = words[place + 1].lstrip(_OPENING)[:1]
    if not stem and words[place] != marks:
        # A mark alone, in brackets or quotes, is a remark: "(?)".
        return False
    listed = place == start or words[place - 1].endswith((":", ","))
    if listed and _ITEM.fullmatch(stem + marks):
        return False
    if marks != ".":
        dots = marks.strip(".…") == ""
        return following.isupper() or following.isdigit() if dots else True
    return not _is_abbreviation(stem, following)


def _is_abbreviation(stem: str, following: str) -> bool:
    """Whether a full stop belongs to the word before it, given the next word's first character."""
    if stem in _ALWAYS:
        return True
    if stem in _BEFORE_NUMBER:
        return following.isdigit()
    if len(stem) == 1 and stem.isalpha():
        # "E. coli"; but "vitamin C. The" is two sentences.
        return following.islower()
    return (stem in _OFTEN or _INITIALS.fullmatch(stem) is not None) and not following.isupper()
