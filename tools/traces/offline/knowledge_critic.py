"""The critic of `offline/knowledge`: looks every clause of a thought up among the facts.

A thought is cut into clauses. A clause with a source in brackets is borne out when it says a fact
of that source in the fact's own words, and around these nothing but the question's names and small
words: what else stands there may deny the fact, or claim what the source does not say. A clause
without a source is counted as unsupported, whoever wrote it, unless it is among the first few that
draw a conclusion or only say what is knocked down.

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
from synthpert.traces.thoughts import last_word, mentions

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
_WORD: Final = re.compile(r"[\w'’-]+")
# What may stand around a fact without making another claim of it.
_SMALL: Final = frozenset(
    "a according again against all also and are as at because belong belongs besides both but by "
    "cell cells crispr crispri deplete depleted depletes down evidence finally first for from "
    "further furthermore gene genes has have here however in indeed is it its knock knockdown "
    "knocked knocks lastly line measured member members moreover of on part parts second shared "
    "shares shows similarly since target that the their them these they third this those to too "
    "was we were where which while with".split()
)
_DRAWN: Final = re.compile(
    r"(?i)^(?:and )?(?:so|therefore|thus|hence|overall|together|consequently|taken together)\b"
)
_PREMISE: Final = re.compile(
    r"(?i)\b(?:CRISPRi?|knock(?:ing|ed)?[- ]?down|deplet\w+)\b|^the gene measured is\b"
)
_LONGEST_PREMISE: Final = 12  # words
# As many as the teacher itself writes; more of them would be a thought without a source.
_MOST_DRAWN: Final = 4
_MOST_PREMISES: Final = 2


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
    around = _SMALL.union(*(_WORD.findall(name.casefold()) for name in names))
    borne_out: dict[int, Fact] = {}
    wrong = 0
    unsourced: list[str] = []
    for clause in _ENDS.split(text):
        source = _SOURCE.search(clause)
        if source is None:
            unsourced += [clause] if _WORD.search(clause) else []
            continue
        said = {number: facts.facts[number] for number in map(int, _MARKED.findall(clause))}
        rest = _WORD.findall(_SOURCE.sub(" ", _MARKED.sub(" ", clause)).casefold())
        if {fact.source for fact in said.values()} != {source[1]} or not around.issuperset(rest):
            wrong += 1
        else:
            borne_out |= said
    free = _free(unsourced)
    return Check(tuple(borne_out.values()), wrong, len(unsourced) - free, conclusion, missing)


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


def _free(unsourced: list[str]) -> int:
    """How many clauses without a source claim nothing that would need one."""
    drawn = [clause for clause in unsourced if _DRAWN.search(clause)]
    premises = [
        clause
        for clause in unsourced
        if clause not in drawn
        and len(clause.split()) <= _LONGEST_PREMISE
        and _PREMISE.search(clause)
    ]
    return min(len(drawn), _MOST_DRAWN) + min(len(premises), _MOST_PREMISES)
