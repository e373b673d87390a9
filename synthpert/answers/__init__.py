"""The one reader of model text: a student's or a teacher's answer, a critic's grade.

Forgiving in form, strict in result: whatever the dashes, markdown or capitals, a label is returned
only where exactly one is affirmed; every other text gives None with a named status. Nothing here
raises, and every step is linear in the length of the text.
"""

from __future__ import annotations

import re
from dataclasses import dataclass
from enum import StrEnum

from synthpert.answers.spelling import ABSTAIN, DENIALS, DOUBT, normalise
from synthpert.questions import Label

# Characters: the longest text that is an answer though its tags are missing or not closed.
_SHORT = 100
# Different texts in answer tags before the reply is given up as no answer.
_MANY = 64

# Read before normalising, so that the thought stays verbatim; hence the escaped forms.
_LT, _GT = r"(?:<|&lt;)\s{0,3}", r"\s{0,3}(?:>|&gt;)"
_THINK = re.compile(_LT + r"(/?)\s{0,3}think(?:ing)?" + _GT, re.IGNORECASE)
_OPENING = re.compile(r"\s*" + _LT + "think(?:ing)?" + _GT, re.IGNORECASE)
_CRITIQUE = re.compile(_LT + r"(/?)\s{0,3}(reasoning|evaluation)" + _GT, re.IGNORECASE)

_REGULATED = r"[- ]{0,3}regulat(?:ed|ion)\b"
_UP, _DOWN = (rf"{way}-?(?:{_REGULATED})?" for way in ("up", "down"))
# What says "not differentially expressed" only where it is the whole answer.
_WHOLE = (
    r"\A(?:no[,.;!] )?(?:(?:the|this|its|it|there|gene|expression|is|was|will|be|answer:?) )*"
    r"(?:no effect|(?:(?:is|was)nt |not |un)(?:significantly )?(?:affected|changed|altered)|"
    r"(?:wont|(?:does|did|would)nt|(?:(?:does|did|will|would) )?not) (?:significantly )?change)\Z"
)
_LABELS = re.compile(
    rf"\b(?=\w)(?:(?P<not_de>{_WHOLE}|(?:\Ano[,.;!] )?\b(?:(?:not|non|isnt|wasnt)[- ]"
    r"(?:significantly )?(?:differentially[- ]expressed|de(?! novo|-\w))|"
    r"no (?:significant )?(?:changes?|differential expression)|unchanged|"
    rf"neither (?:{_UP} n?or {_DOWN}|{_DOWN} n?or {_UP}))\b"
    # A reason that there is nothing confirms that nothing changes.
    r"(?:,? (?:since|because)(?: there (?:is|are|was|were))? no\b(?= \w))?)"
    rf"|(?P<up>\bup{_REGULATED})|(?P<down>\bdown{_REGULATED})"
    r"|(?P<up_word>\bup\b)|(?P<down_word>\bdown\b))"
)
_GRADES = re.compile(
    r"\b(?:(?P<excellent>excellent)|(?P<good>good)|(?P<average>average)|(?P<bad>bad)"
    r"|(?P<terrible>terrible))\b"
)
_ONE_WORD = re.compile(r"\W*\w+\W*")
_ANSWER, _EVALUATION = (re.compile(rf"< ?(/?) ?{tag} ?>") for tag in ("answer", "evaluation"))


class ParseStatus(StrEnum):
    """How the reading of a text ended; only the first two come with a value."""

    OK = "ok"
    FLAGGED = "flagged"  # one value affirmed and another denied: "downregulated, not upregulated"
    ABSTAIN = "abstain"  # "I do not know"
    MISSING = "missing"  # no answer tag, and too long (or empty) to be a bare answer
    SEVERAL = "several"  # more than one value in one place, such as the echoed template
    CONFLICT = "conflict"  # two tags that differ
    NEGATED = "negated"  # a value denied or doubted: "not upregulated" may mean two things
    TRUNCATED = "truncated"  # the length limit came before the answer was complete
    UNCLOSED = "unclosed"  # a long text after an answer tag that is never closed
    UNKNOWN = "unknown"  # an answer in no known words


class Grade(StrEnum):
    """A critic's verdict on a thought, best first."""

    EXCELLENT = "excellent"
    GOOD = "good"
    AVERAGE = "average"
    BAD = "bad"
    TERRIBLE = "terrible"


@dataclass(frozen=True, slots=True)
class Answer:
    """A completion as read.

    Attributes:
        label: The one label affirmed after the thought, or None.
        status: Why there is a label or none.
        reasoning: The thought, verbatim but for surrounding white space; empty if there is none.
    """

    label: Label | None
    status: ParseStatus
    reasoning: str


@dataclass(frozen=True, slots=True)
class GradeResult:
    """A critic's reply as read.

    Attributes:
        grade: The one grade given, or None.
        status: Why there is a grade or none.
        critique: The critic's reasoning, verbatim; empty if there is none.
    """

    grade: Grade | None
    status: ParseStatus
    critique: str


@dataclass(frozen=True, slots=True)
class _Reading:
    """What one stretch of text says: `value` is a group name of `_LABELS` or `_GRADES`."""

    status: ParseStatus
    value: str | None = None
    denied: str | None = None
    echo: bool = False
    doubt: bool = False


def parse_answer(text: str, finish_reason: str = "stop") -> Answer:
    """Read a completion: cut the thought, look for the answer tag, need exactly one label.

    The completion may start inside the thought (only `</think>`), have a whole `<think>…</think>`
    or none, and may be a bare label of a few words without tags.

    Args:
        text: What the model wrote, as it wrote it.
        finish_reason: `length` if generation ran into its limit; anything else means it stopped.

    Returns:
        The label or None, the named status and the thought.
    """
    reasoning, tail = cut_thought(text)
    # Again: normalising uncovers tags written with full-width or zero-width characters.
    tail = cut_thought(normalise(tail))[1]
    status, value = _find(tail, _ANSWER, _LABELS, finish_reason == "length")
    return Answer(Label[value.upper()] if value else None, status, reasoning)


def parse_grade(text: str) -> GradeResult:
    """Read a critic's reply: the grade in `<evaluation>`, the critique in `<reasoning>`.

    Args:
        text: What the critic wrote, as it wrote it.

    Returns:
        The grade or None, the named status and the critique.
    """
    critique, rest = _cut_critique(cut_thought(text)[1])
    status, value = _find(normalise(rest), _EVALUATION, _GRADES, False)
    if status is ParseStatus.CONFLICT:
        status = ParseStatus.SEVERAL
    return GradeResult(Grade(value) if value else None, status, critique)


def cut_thought(text: str) -> tuple[str, str]:
    """Split a completion into the thought and everything outside of thoughts.

    Args:
        text: What the model wrote, as it wrote it.

    Returns:
        The first thought, without surrounding white space, and the text outside of all thoughts.
    """
    thought: tuple[int, int] | None = None
    outside: list[tuple[int, int]] = []
    inside: int | None = None
    first = _OPENING.match(text)
    start, position = first.end() if first else 0, 0
    for tag in _THINK.finditer(text):
        if not tag[1]:
            if inside is None:
                outside.append((position, tag.start()))
                inside = tag.end()
            continue
        if inside is None:
            # Nothing was open, so the thought began before the text did, or quoted the tags.
            outside.clear()
            thought = (start, tag.start())
        else:
            thought = thought or (inside, tag.start())
        inside, position = None, tag.end()
    if inside is None:
        outside.append((position, len(text)))
    else:
        thought = thought or (inside, len(text))
    reasoning = text[slice(*thought)].strip() if thought else ""
    return reasoning, "\n".join(text[slice(*span)] for span in outside)


def _cut_critique(text: str) -> tuple[str, str]:
    """Split into the critic's reasoning and the rest."""
    tags = list(_CRITIQUE.finditer(text))
    first = next((tag for tag in tags if tag[2].lower() == "reasoning" and not tag[1]), None)
    if first is None:
        return "", text
    later = [tag for tag in tags if tag.start() > first.start()]
    closing = (tag for tag in later if tag[2].lower() == "reasoning" and tag[1])
    end = next(closing, None) or next((tag for tag in later if not tag[1]), None)
    if end is None:
        return "", text
    after = end.end() if end[1] else end.start()
    return text[first.end() : end.start()].strip(), text[: first.start()] + "\n" + text[after:]


def _find(
    tail: str, tag: re.Pattern[str], words: re.Pattern[str], cut: bool
) -> tuple[ParseStatus, str | None]:
    """Look for the value in the tags of a normalised tail, or in a short tail without tags.

    Args:
        tail: What stands outside of thoughts, normalised.
        tag: Finds the opening and closing tags; a closing one has the group 1.
        words: Finds the values, each a named group.
        cut: Whether the text ends because of a length limit.
    """
    closed, rest = _blocks(tail, tag)
    if len(closed) > _MANY:
        return ParseStatus.CONFLICT, None
    readings = [_read(block, words) for block in closed]
    if readings and rest:
        # An answer was complete: what follows can contradict it, but need not be complete itself.
        last = _read(rest, words)
        readings += [last] if last.doubt or last.value else []
    if readings:
        return _settle(readings)
    bare = tag.sub(" ", tail).strip() if rest is None else rest
    if cut:
        return ParseStatus.TRUNCATED, None
    if not bare or (rest is None and len(bare) > _SHORT):
        return ParseStatus.MISSING, None
    if len(bare) > _SHORT:
        return ParseStatus.UNCLOSED, None
    return _settle([_read(bare, words)])


def _blocks(tail: str, tag: re.Pattern[str]) -> tuple[list[str], str | None]:
    """The distinct texts in tags, in order, and the text after a last tag that is not closed."""
    blocks: dict[str, None] = {}
    start: int | None = None
    for found in tag.finditer(tail):
        if start is not None and (block := tail[start : found.start()].strip()):
            blocks[block] = None
        start = None if found[1] else found.end()
    return list(blocks), None if start is None else tail[start:].strip()


def _read(text: str, words: re.Pattern[str]) -> _Reading:
    """Read one stretch of normalised text.

    A value counts where nothing beside it can deny it: with a negator, a contrast or a question
    the text is doubtful, unless all of it is one of the two forms in `DENIALS`.
    """
    text = text.lstrip(" .,;:-").rstrip(" .,;:!")
    named: list[str] = []

    def note(found: re.Match[str]) -> str:
        named.append(found.lastgroup or "")
        return "V"

    # Nothing else is a capital: the text is case folded.
    form = words.sub(note, text)
    values = [kind.removesuffix("_word") for kind in named]
    distinct = set(values)
    abstains = ABSTAIN.search(form) is not None
    if DOUBT.search(form):
        if len(values) == len(distinct) == 2:
            for turned, denial in enumerate(DENIALS):
                if denial.fullmatch(form):
                    return _Reading(ParseStatus.FLAGGED, values[turned], values[1 - turned])
        status = ParseStatus.NEGATED if values else ParseStatus.UNKNOWN
        return _Reading(ParseStatus.ABSTAIN if abstains else status, doubt=True)
    if len(distinct) > 1:
        echo = len(distinct) > 2 or not re.search(r"\w", form.replace("V", ""))
        return _Reading(ParseStatus.SEVERAL, echo=echo, doubt=True)
    if abstains:
        return _Reading(ParseStatus.ABSTAIN, doubt=True)
    # "up" and "down" are English words too: alone they answer, in a sentence they do not.
    mere = all(kind.endswith("_word") for kind in named) and not _ONE_WORD.fullmatch(text)
    if not values or mere:
        return _Reading(ParseStatus.UNKNOWN)
    return _Reading(ParseStatus.OK, values[0])


def _settle(readings: list[_Reading]) -> tuple[ParseStatus, str | None]:
    """Make one result of what the tags say; an echoed template does not count."""
    readings = [reading for reading in readings if not reading.echo]
    if not readings:
        return ParseStatus.SEVERAL, None
    values = {reading.value for reading in readings if reading.value}
    denied = {reading.denied for reading in readings if reading.denied}
    if not values:
        return readings[-1].status, None
    if len(values) > 1 or values & denied or any(reading.doubt for reading in readings):
        return ParseStatus.CONFLICT, None
    return ParseStatus.FLAGGED if denied else ParseStatus.OK, values.pop()
