"""Words as models write them: spellings folded into one, and what denies or doubts a value."""

from __future__ import annotations

import html
import re
import unicodedata

# No character has so long a number, and html.unescape raises on more than 4,300 digits.
_NO_ENTITY = re.compile(r"&#[0-9]{8,}")
_DASHES = "\u2212\u2043\u02d7"
_QUOTES = "\u00b4\u2018\u2019\u201a\u201b\u201c\u201d\u201e\u201f\u2032\u2033\u00ab\u00bb\u02bc"
_INVISIBLE = "\u034f\u180b\u180c\u180d"
# "not_differentially_expressed" is three words; emphasis and quotes are none.
_ASCII = str.maketrans("_[](){}", "       ", "*`\"'#\\")

# Below, V stands for a value: a label or a grade.
# Any of these beside a value makes the text doubtful, unless all of it has a form in `DENIALS`.
DOUBT = re.compile(
    r"\b(?:not?|non|none|nope|nah|nay|never|nor|neither|nothing|cannot|without|"
    r"(?:is|was|are|were|ai|do|does|did|has|have|had|wo|ca|could|would|should|must|might)?nt|"
    r"un(?:likely|able|true|clear|certain|less)?|in(?:correct|accurate|valid|capable|verse)\w*|"
    r"im(?:possible|plausible|probable)|false\w*|wrong\w*|mistake\w*|err(?:or|oneous)\w*|"
    r"hardly|barely|scarcely|rarely|seldom|doubt\w*|dubious|question\w*|fail\w*|lack\w*|absen\w+|"
    r"exclu\w+|except\w*|den(?:y|ies|ied)|reject\w*|refut\w*|contra\w*|counter\w*|disagree\w*|"
    r"dispro\w+|prevent\w*|avoid\w*|ruled? out|oppos\w+|revers\w+|anti|pseudo|but|however|"
    r"(?:al)?though|yet|if|whether|rather|instead|otherwise|far from|less likely|least likely|"
    r"(?:other|less|worse|better) than|(?:above|below) V|de V|(?!V|answer|label)\w+-V|"
    r"V ?-(?:free|less|like|ish))\b|</?(?:del|s|strike)>|~~|!=|=/=|[?¿؟‽≠¬✗✘✖❌❎🚫👎]"
)
ABSTAIN = re.compile(
    r"\b(?:(?:do not|dont|does not|cannot|cant) (?:know|determine|tell|say|be determined)|"
    r"not sure|unsure|idk)\b"
)
_FILL = (
    r"(?:(?:the|this|it|gene|answer|label|is|was|be|will|would|to|likely|clearly|significantly|"
    r"expected|predicted)[:,]? )*"
)
# The two forms in which one value is denied and the other surely not, V being a value.
DENIALS = (
    re.compile(
        rf"{_FILL}V(?: ?[,;.:-] ?| )(?:(?:and|but) )?(?:(?:it is )?not|it isnt|rather than|"
        rf"instead of) {_FILL}V(?:: wrong direction)?"
    ),
    re.compile(
        rf"{_FILL}not {_FILL}V(?: ?[,;.-] ?| )(?:but(?: rather| instead)?|rather|instead|i\.e\.|"
        rf"it is),? {_FILL}V"
    ),
)


def normalise(text: str) -> str:
    """Fold everything in which two spellings of one answer may differ.

    Args:
        text: Any text.

    Returns:
        HTML unescaped once; NFKC of each character; dashes as '-'; zero-width characters, quotes
        and markdown out; lower case; white space folded to single spaces.
    """
    text = html.unescape(_NO_ENTITY.sub(" ", text))
    if not text.isascii():
        # Character by character: NFKC of a whole text is quadratic in a run of combining marks.
        text = text.translate({ord(each): _plain(each) for each in set(text) if each > "\x7f"})
    return " ".join(text.translate(_ASCII).casefold().split())


def _plain(character: str) -> str:
    if character in _QUOTES or character in _INVISIBLE:
        return ""
    if character in _DASHES:
        return "-"
    kind = unicodedata.category(character)
    if kind in ("Cf", "Pd"):
        return "" if kind == "Cf" else "-"
    if kind[0] == "M":
        variation = "\ufe00" <= character <= "\ufe0f" or character >= "\U000e0100"
        # A letter that is in no label, so that an accented "up" is no "up".
        return "" if variation else "ø"
    plain = unicodedata.normalize("NFKC", character)
    if len(plain) > 4:  # an Arabic phrase in one character: long, and no part of a label
        return character
    return plain if plain == character or len(plain) > 1 else _plain(plain)
