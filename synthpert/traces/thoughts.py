"""What a teacher's thought shows on its face: its genes, its last word, leaks, odd characters.

Each finder is strict where a false alarm would throw away a paid reply: it speaks only of what it
is sure of, and misses the rest. None raises, and each is linear in the length of the text.
"""

from __future__ import annotations

import functools
import re
from typing import TYPE_CHECKING

from synthpert.answers import ParseStatus, parse_answer
from synthpert.answers.spelling import normalise

if TYPE_CHECKING:
    from collections.abc import Iterator

    from synthpert.questions import Label, Question

# Controls but tab and line ends; soft hyphen; zero-width; marks, overrides and isolates of writing
# direction; line separators, at which readers of JSONL break a line; what stands for a lost byte;
# private use.
_ODD = re.compile(
    "[\x00-\x08\x0b\x0c\x0e-\x1f\x7f-\x9f\xad\u061c\u180e\u200b-\u200f\u2028-\u202e\u2060-\u206f"
    "\ud800-\uf8ff\ufeff\ufff9-\uffff\U000e0000-\U000e007f\U000f0000-\U0010ffff]"
)
# <|im_start|> and its kin, DeepSeek's with bars of full width, those of Llama 2, Mistral and Gemma.
_SPECIAL = re.compile(
    r"<[|｜][^<>|｜\n]{1,40}[|｜]>|</?s>|<</?SYS>>|\[/?(?:INST|SYSTEM_PROMPT|TOOL_CALLS|"
    r"AVAILABLE_TOOLS|TOOL_RESULTS)\]|<(?:bos|eos|pad|unk|mask|(?:start|end)_of_turn|0x[0-9A-F]{2})>"
)
# The tags of a reply's form: one inside the thought would end it early where it is trained on.
_FORM = re.compile(r"<\s{0,3}/?\s{0,3}(?:think(?:ing)?|answer)\s{0,3}>", re.IGNORECASE)

_DASHES = str.maketrans(dict.fromkeys("\u2010\u2011\u2012\u2013\u2014\u2212", "-"))
_GREEK = str.maketrans("αβγδεζκλμ", "abgdezklm")

# Below, a text is normalised and so has no capitals but GENE, PERT and CELL, which stand for the
# question's.
_CHANGED = r"(?:up|down)[- ]?regulat(?:ed|ion)"
_LABEL = rf"(?:{_CHANGED}|(?:not )?(?:significantly )?differentially expressed|unchanged)"
_ASKER = (
    r"(?:question|prompt|task|query|problem|instructions?|user|(?:system|user) (?:prompt|message))"
)
_TOLD = r"(?:given|provided|stated|specified|supplied|told)"
_TARGET = r"(?:GENE(?: expression| levels?| m?rna| transcripts?)?|the (?:target|measured) gene)"
_SAYS = (
    r"(?:states?|stated|says?|said|tells?|told|gives?|gave|informs?|informed|indicates?|indicated|"
    r"specif(?:y|ies|ied)|provides?|provided|notes?|mentions?)"
)
_SURELY = r"(?:indeed |actually |significantly |in fact )?"
# "Given that GENE is upregulated" leaks; with "by stress" after it, it is a fact of biology.
_NO_MORE = (
    r"(?! (?:in|during|by|upon|under|when|after|following|as|through|via|at|across|on|from)\b)"
)
_SEEN = r"(?:known|observed|reported|measured|stated)"
_ITSELF = rf"(?= of {_LABEL}\b(?! of)| ?\(?{_LABEL}\b(?! of)| ?[.,;:]| ?$)"
# Where the words end, or go on to the label or to who said so.
_FULL_STOP = rf"(?= ?[,.;:]|$| as\b| {_LABEL}| (?:in|by) the {_ASKER}\b)"
_LEAKS = (
    # as given; not "as provided by the mitochondria"
    rf"as (?:it )?(?:is |was )?{_TOLD}{_FULL_STOP}",
    rf"as (?:the|your) {_ASKER} {_SAYS}",
    # the provided outcome; not "a given effect size"
    rf"(?:the|this|its|their|our|my) (?:already )?{_TOLD} (?:(?:regulatory|final|expression) )?"
    rf"(?:outcome|answer|label|result|effect|direction|annotation|{_CHANGED})"
    r"(?!s?[- ](?:sizes?|strength))",
    # the outcome stated in the question; not "the effect given by"
    r"(?:outcome|label|answer|effect|result) (?:(?:(?:that )?(?:is|was)|has been) )?(?:already )?"
    rf"{_TOLD}{_FULL_STOP}",
    r"the (?:correct|true|actual|right|known|observed|desired|target|gold|reference) "
    r"(?:answer|label)",
    r"ground[- ]truth (?:is|was|says|label|answer|outcome)",
    # the prompt as a witness; not "as mentioned in the question", which may be of the cell line
    rf"according to (?:the|your) {_ASKER}\b",
    rf"as (?:indicated|described|shown|reported) (?:in|by) (?:the|your) {_ASKER}\b",
    rf"according to the (?:information {_TOLD}\b|{_TOLD} (?:information|data)\b)",
    # an outcome that one is to make sense of
    rf"(?:outcome|answer|label|effect) (?:is|was) already (?:known|determined){_NO_MORE}",
    rf"(?:given|considering|knowing) (?:the|this) (?:already )?{_SEEN} "
    rf"(?:outcome|answer|label|result){_ITSELF}",
    rf"given (?:the|this) {_LABEL} (?:status(?! quo)|outcome|result|answer|direction)(?! of)",
    # not "this would explain why HBG1 is downregulated", which a prediction may end on
    r"(?:need|have|asked|must|task is|try|trying|want)(?: to)? (?:explain|justify|rationali[sz]e) "
    rf"(?:why |how |the |this |that |{_SEEN} )+"
    rf"(?:{_TARGET} (?:is|was|becomes|would be) {_SURELY})?{_LABEL}{_NO_MORE}(?! of)",
    rf"(?:why|how) the (?:outcome|answer|label|result) (?:is|was) {_LABEL}",
    rf"(?:is|was) (?:given|stated|specified|labell?ed) (?:as|to be) {_LABEL}{_NO_MORE}",
    rf"(?:consistent with|agrees? with|match\w*|fits?) (?:the|this) {_SEEN} (?:outcome|result)"
    rf"{_ITSELF}",
    r"(?:consistent|in line|agree\w*|accord\w*|match\w*|fits?) (?:with )?(?:the|this) "
    r"(?:label|answer)",
    rf"the {_LABEL} label",
    r"(?:is|was|are|were) given to (?:you|me|us)",
    r"(?:given|knowing) that the (?:outcome|answer|label)",
    rf"(?:given|knowing) that {_TARGET} (?:is|was) {_SURELY}{_LABEL}{_NO_MORE}",
    # "we're" has lost its apostrophe
    r"(?:(?:we|i) (?:are|am|were|was|have been|had been)|weve been|ive been|were|im) (?:told|"
    r"informed|given (?:that|the (?:outcome|answer|label|effect|result)))",
    r"it (?:is|was|has been) (?:given|told|specified) that",
    rf"(?:we|i) (?:already )?know(?: that)? (?:{_TARGET}|the (?:outcome|answer|label|effect)) "
    rf"(?:is|was|gets|becomes|will be|should be|must be) {_SURELY}{_LABEL}{_NO_MORE}",
    # the question states that it is upregulated; not "the question mentions K562"
    rf"(?:the|your) {_ASKER} (?:itself |already |explicitly |clearly |also )?{_SAYS}\b"
    rf"[^.]{{0,120}}?\b(?:{_LABEL}|outcome|answer|label|effect|increase[sd]?|decrease[sd]?|rises?|falls?)",
)
_LEAK = re.compile(rf"\b(?:{'|'.join(_LEAKS)})\b")
# One of these is in every leak; most thoughts have none, and need not be searched.
_LEAK_WORDS = (
    "given", "provided", "stated", "told", "specified", "supplied", "informed", "know", "label",
    "answer", "question", "prompt", "task", "query", "problem", "instruction", "user", "message",
    "ground", "outcome", "result", "explain", "justif", "rationali",
)  # fmt: skip

_SENTENCE = re.compile(r"[.!?]\s+|\n+")
_LAST_SENTENCES = 3
_KNOCKING_DOWN = re.compile(r"knock(?:ed|ing|s)?[- ]?down")
_VALUE = re.compile(
    rf"{_CHANGED}|not (?:significantly )?differentially expressed|unchanged|no change"
)
_ELSEWHERE = re.compile(r"\b(?:normal|usual|typical|basal|baseline|wild|unperturbed|control)")
_HENCE = (
    r"(?:(?:and |so )?(?:therefore|thus|hence|consequently|accordingly|so|overall|ultimately|"
    r"finally|altogether|taken together|as a result|in (?:conclusion|summary|short)|conclusion|"
    r"to (?:conclude|sum up)|(?:i|we) (?:conclude|predict|expect)(?: that)?)[,:]? )"
)
_IS = (
    r"(?:is|are|becomes?|remains?|stays?|(?:will|would|should|must) be) "
    r"(?:(?:most |very )?(?:likely|expected|predicted)(?: to be)? )?"
    r"(?:probably |significantly |clearly |indeed |therefore |thus |indirectly |strongly |mildly )?"
)
_LOST = r"(?:crispri )?(?:knockdown|loss|depletion|silencing|repression|inhibition)"
_LOSS = rf"(?:(?:the )?{_LOST} (?:of )?PERT|(?:the )?PERT {_LOST})"
_ANSWER = (
    r"(?:the |my )?(?:(?:final|predicted|expected|regulatory|net|overall|best|most \w+) )*"
    rf"(?:answer|outcome|effect|prediction|label|result)(?: of {_LOSS})?(?: on GENE)?"
)
_CONCLUSION = re.compile(
    rf"(?P<hence>{_HENCE}*)"
    # the answer is that / GENE is / the answer: / the loss of PERT leads to
    rf"(?:(?:{_ANSWER} is (?:likely |probably )?that )?{_TARGET} {_IS}"
    rf"|{_ANSWER}(?: (?:is|would be|should be)(?: (?:most )?likely| probably)?)?:? "
    rf"|(?P<acts>{_LOSS} (?:(?:would|will|should|likely|most|is|expected|predicted|to) )*"
    r"(?:leads?|results?|causes?|produces?)(?: to| in)? (?:an? |the )?))?"
    rf"V(?(acts) of {_TARGET})"
    r"(?: (?:upon|after|following|in response to|by|with) "
    rf"(?:(?:(?:its|this|the) )?{_LOST}|{_LOSS}))?"
    r"(?: in (?:these |this |the )?(?:CELL )?(?:cells?|context|cell lines?|line))?[ .!]*"
)


def has_odd_characters(text: str) -> bool:
    """Find control characters, zero-width ones, direction overrides or special tokens.

    Args:
        text: Any text.
    """
    return _ODD.search(text) is not None or _SPECIAL.search(text) is not None


def has_tags(thought: str) -> bool:
    """Find a tag of a reply's own form, `<think>` or `<answer>`, inside a thought.

    Args:
        thought: Without the tags around it.
    """
    return "<" in thought and _FORM.search(thought) is not None


def mentions(text: str, symbol: str) -> bool:
    """Find a gene's symbol as a whole word, in any case.

    A hyphen ends a word, so that "GATA1-driven" mentions GATA1. Other dashes, a Greek letter for
    its Latin one and a hyphen more or less inside the symbol (IL-6, TGF-β1) are the same symbol.

    Args:
        text: A thought.
        symbol: As the question writes it.
    """
    text, symbol = text.casefold(), symbol.casefold()
    if any(_places(text, symbol)):
        return True
    return _variants(symbol).search(text.translate(_DASHES).translate(_GREEK)) is not None


def leans_on_the_outcome(thought: str, question: Question) -> bool:
    """Find words that only somebody says who was given the outcome: "as given", "I was told".

    Args:
        thought: A teacher's.
        question: What it is about.
    """
    lower = thought.lower()
    if not any(word in lower for word in _LEAK_WORDS):
        return False
    return _LEAK.search(_marked(normalise(thought), question)) is not None


def last_word(thought: str, question: Question) -> Label | None:
    """Read the label a thought ends on, where it plainly does.

    Of the last three sentences, the last that names a label counts: it must name exactly one, deny
    and doubt nothing (as `parse_answer` reads it), and be no more than a conclusion on the measured
    gene ("Therefore HBG1 is upregulated", "Answer: unchanged"); before the last sentence, it must
    begin with "therefore" or the like. Everything else ends on no label that this is sure of.

    Args:
        thought: A teacher's.
        question: What it is about.
    """
    last = _SENTENCE.split(thought[-1000:].strip())[-_LAST_SENTENCES:]
    for is_last, raw in zip((True, False, False), reversed(last), strict=False):
        sentence = _KNOCKING_DOWN.sub("knockdown", normalise(raw))
        answer = parse_answer(f"<answer>{sentence}</answer>")
        if answer.status is ParseStatus.UNKNOWN or not sentence:
            continue
        found = _CONCLUSION.fullmatch(_VALUE.sub("V", _marked(sentence, question)))
        sure = answer.status is ParseStatus.OK and not _ELSEWHERE.search(sentence)
        return answer.label if sure and found and (is_last or found["hence"]) else None
    return None


def _marked(normalised: str, question: Question) -> str:
    """The text with GENE, PERT and CELL for the question's own."""
    for mark, name in (
        ("GENE", normalise(question.gene)),
        ("PERT", normalise(question.pert)),
        ("CELL", normalise(question.cell_line)),
    ):
        starts = [end - len(name) for end in _places(normalised, name)]
        ends = [0, *(start + len(name) for start in starts)]
        parts = zip(ends, [*starts, len(normalised)], strict=True)
        normalised = mark.join(normalised[start:end] for start, end in parts)
    return normalised


def _places(text: str, word: str) -> Iterator[int]:
    """Where each whole `word` ends; by hand, since a pattern for every symbol takes longer."""
    start = text.find(word)
    while start >= 0:
        end = start + len(word)
        # Before the text begins, text[-1:0] is empty too.
        if not (text[start - 1 : start].isalnum() or text[end : end + 1].isalnum()):
            yield end
        start = text.find(word, max(end, start + 1))


@functools.lru_cache(maxsize=4096)
def _variants(symbol: str) -> re.Pattern[str]:
    letters = [re.escape(each) for each in symbol.translate(_GREEK) if each != "-"]
    return re.compile(rf"(?<![^\W_]){'-?'.join(letters)}(?![^\W_])")
