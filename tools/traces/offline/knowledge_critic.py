"""The critic of `offline/knowledge`: looks every clause of a thought up among the facts.

A thought is cut into clauses. A clause with a source in brackets is borne out when it says a fact
of that source in the fact's own words and does not deny it. A clause without a source is counted
as unsupported, whoever wrote it, unless it draws a conclusion or only says what is knocked down.

excellent: nine tenths of the clauses are borne out, three or more, one of them speaks for the
  conclusion, which is the one that the facts favour most; both genes and the cell line are named.
good: three quarters, two or more, and the facts do not speak against the conclusion.
average: one half. bad: less. terrible: none.
"""

from __future__ import annotations

import re
from dataclasses import dataclass
from typing import TYPE_CHECKING, Final

from synthpert.answers import Grade
from synthpert.thoughts import last_word, mentions

if TYPE_CHECKING:
    from synthpert.knowledge import Fact, Facts
    from synthpert.questions import Label

_EXCELLENT: Final = (0.9, 3)  # share of clauses borne out, and how many
_GOOD: Final = (0.75, 2)
_AVERAGE: Final = 0.5

_MARK: Final = "\x00"
_MARKED: Final = re.compile(f"{_MARK}(\\d+){_MARK}")
# After a source, or after a sentence; a fact's own full stops are out of sight by then.
_ENDS: Final = re.compile(r"(?<=\])[,;.]*\s+|(?<=[.;!?])\s+")
_SOURCE: Final = re.compile(r"\[([^\[\]]+)\]")
_DENIED: Final = re.compile(r"(?i)\b(?:not|no|never|neither|nor|without|hardly)\b|n't\b")
_DRAWN: Final = re.compile(
    r"(?i)^(?:and )?(?:so|therefore|thus|hence|overall|together|consequently|taken together)\b"
)
_PREMISE: Final = re.compile(
    r"(?i)\b(?:CRISPRi?|knock(?:ing|ed)?[- ]?down|deplet\w+)\b|^the gene measured is\b"
)
_LONGEST_PREMISE: Final = 12  # words


@dataclass(frozen=True)
class Check:
    """What became of the clauses of a thought.

    Attributes:
        borne_out: Facts that the thought states rightly, each once.
        wrong: Clauses with a source that does not say so.
        unsourced: Clauses that claim something without a source.
        conclusion: The label that the thought plainly ends on, if any.
        missing: Names of the question that the thought does not mention.
    """

    borne_out: tuple[Fact, ...]
    wrong: int
    unsourced: int
    conclusion: Label | None
    missing: tuple[str, ...]

    @property
    def share(self) -> float:
        """The share of clauses that are borne out, from 0 to 1."""
        claims = len(self.borne_out) + self.wrong + self.unsourced
        return len(self.borne_out) / claims if claims else 0.0


def check(facts: Facts, thinking: str) -> Check:
    """Look up every clause of a thought.

    Args:
        facts: Of the question that the thought is about.
        thinking: The thought, of whatever teacher.
    """
    text = " ".join(thinking.replace(_MARK, " ").split())
    conclusion = last_word(text, facts.question)
    names = (facts.question.pert, facts.question.gene, facts.question.cell_line)
    missing = tuple(name for name in names if not mentions(text, name))
    # The longest first: one fact's words may be a part of another's.
    order = sorted(range(len(facts.facts)), key=lambda number: -len(facts.facts[number].core))
    for number in order:
        core = facts.facts[number].core
        marked = f"{_MARK}{number}{_MARK}"
        text = text.replace(core, marked).replace(f"{core[0].upper()}{core[1:]}", marked)
    borne_out: dict[int, Fact] = {}
    wrong = unsourced = 0
    for clause in _ENDS.split(text):
        source = _SOURCE.search(clause)
        if source is None:
            unsourced += re.search(r"\w", clause) is not None and not _is_free(clause)
            continue
        said = {number: facts.facts[number] for number in map(int, _MARKED.findall(clause))}
        if not said or _DENIED.search(clause) or {f.source for f in said.values()} != {source[1]}:
            wrong += 1
        else:
            borne_out |= said
    return Check(tuple(borne_out.values()), wrong, unsourced, conclusion, missing)


def grade(facts: Facts, done: Check) -> Grade:
    """Grade by how much is borne out, and whether it points to the conclusion.

    Args:
        facts: Of the question.
        done: What became of the thought's clauses.
    """
    share, count = done.share, len(done.borne_out)
    if not count:
        return Grade.TERRIBLE
    end = done.conclusion
    speaks = end is not None and any(end in fact.favours for fact in done.borne_out)
    if (share, count) >= _EXCELLENT and count >= _EXCELLENT[1] and not done.missing:
        if speaks and end == facts.favoured:
            return Grade.EXCELLENT
    if share >= _GOOD[0] and count >= _GOOD[1] and end is not None and facts.lift(end) >= 1:
        return Grade.GOOD
    return Grade.AVERAGE if share >= _AVERAGE else Grade.BAD


def critique(facts: Facts, thinking: str) -> str:
    """Grade a thought, in the form that the prompt asks for.

    Args:
        facts: Of the question that the thought is about.
        thinking: The thought.

    Returns:
        What was found, and the grade.
    """
    done = check(facts, thinking)
    told = (
        f"By looking up sources, not by understanding: {len(done.borne_out)} clauses are borne out "
        f"by their source, {done.wrong} are not, {done.unsourced} name none"
    )
    if done.missing:
        told += f"; {', '.join(done.missing)} not mentioned"
    if done.conclusion is None:
        told += "; it ends on no single outcome"
    else:
        told += f"; the facts favour its conclusion {facts.lift(done.conclusion):.1f} times"
    return f"<reasoning>{told}.</reasoning>\n<evaluation>{grade(facts, done)}</evaluation>"


def _is_free(clause: str) -> bool:
    """Whether a clause without a source claims nothing that would need one."""
    if _DRAWN.search(clause):
        return True
    return len(clause.split()) <= _LONGEST_PREMISE and _PREMISE.search(clause) is not None
