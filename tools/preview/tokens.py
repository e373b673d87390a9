"""An example token by token: in colours on a terminal, marked in plain text when piped."""

from __future__ import annotations

import sys
from collections.abc import Iterator, Sequence
from itertools import groupby
from typing import TYPE_CHECKING, Final, NamedTuple

if TYPE_CHECKING:
    from rich.text import Text

    from synthpert.encoding import Encoder, Example
    from synthpert.questions import Question

_MARKS: Final = {"prompt": "not trained on", "supervised": "trained on", "other": "not trained on"}
_STYLES: Final = {
    "prompt": ("grey70 on grey15", "grey70 on grey27"),
    "supervised": ("black on green3", "black on pale_green1"),
    "other": ("grey50 on grey11", "grey50 on grey19"),
}
_SPECIAL_STYLE: Final = " bold magenta"


class Piece(NamedTuple):
    """A token, or the few that together make one character.

    Args:
        text: What it reads as, special tokens included.
        part: `prompt`, `supervised` or `other` (of the completion, but not trained on).
        special: Whether the tokenizer calls it special.
    """

    text: str
    part: str
    special: bool


def pieces(encoder: Encoder, example: Example, prompt: int) -> Iterator[Piece]:
    """Cut an example into what is shown of each token; together they are its whole text.

    Args:
        encoder: Reads the ids back.
        example: T ids and labels.
        prompt: How many of the ids are the prompt's.

    Yields:
        One piece a token, in order; bytes of one character are one piece.
    """
    from synthpert.encoding import IGNORED

    special = set(encoder.tokenizer.all_special_ids)
    begin, shown = 0, ""
    for end in range(1, len(example.input_ids) + 1):
        # From the first id on: some tokenizers drop the space before whatever they begin with.
        text = encoder.raw_text(example.input_ids[:end])
        if text.endswith("\ufffd") and end < len(example.input_ids):
            continue
        trained = example.labels[begin] != IGNORED
        part = "supervised" if trained else "prompt" if begin < prompt else "other"
        yield Piece(text[len(shown) :], part, example.input_ids[begin] in special)
        begin, shown = end, text


def prompt_length(encoder: Encoder, example: Example, question: Question | None) -> int:
    """How many ids of an example are its prompt, as the student is given it to answer.

    Args:
        encoder: Renders the prompt of `question`.
        example: T ids and labels.
        question: What the example is of; None where it is not known, or where the ids do not begin
            with its prompt (`template: as_shipped`): all that comes before the supervised span.
    """
    from synthpert.encoding import IGNORED

    if question is not None:
        prompt = encoder.prompt_ids([question])[0]
        if example.input_ids[: len(prompt)] == prompt:
            return len(prompt)
    trained = (i for i, label in enumerate(example.labels) if label != IGNORED)
    return next(trained, len(example.labels))


def show_example(encoder: Encoder, example: Example, question: Question | None, title: str) -> None:
    """Print an example on stdout.

    Args:
        encoder: Reads the ids back.
        example: T ids and labels.
        question: What it is of, where that is known.
        title: Printed above.
    """
    from rich.console import Console

    from synthpert.encoding import IGNORED

    console = Console(soft_wrap=True)
    supervised = sum(label != IGNORED for label in example.labels)
    prompt = prompt_length(encoder, example, question)
    counts = f"tokens: {prompt:,} prompt, {supervised:,} supervised, {len(example.labels):,}"
    shown = list(pieces(encoder, example, prompt))
    if console.is_terminal:
        console.print(coloured(shown, f"{title}\n{counts} in all\n"), "\n")
        return
    sys.stdout.write(f"{title}\n{counts} in all\n")
    for part, run in groupby(shown, key=lambda piece: piece.part):
        text = "|".join(piece.text for piece in run).replace("\n", "\\n\n")
        sys.stdout.write(f"[{part}: {_MARKS[part]}]\n{text}\n")
    sys.stdout.write("\n")


def coloured(shown: Sequence[Piece], head: str) -> Text:
    """The pieces on coloured ground: two shades in turn, so that one sees where a token ends.

    Args:
        shown: The pieces, in order.
        head: Stands above, in bold.
    """
    from rich.text import Text

    text = Text(head, style="bold")
    text.append("prompt", style=_STYLES["prompt"][0]).append(" ")
    text.append("supervised", style=_STYLES["supervised"][0]).append("\n")
    for turn, piece in enumerate(shown):
        style = _STYLES[piece.part][turn % 2] + _SPECIAL_STYLE * piece.special
        text.append(piece.text.replace("\n", "↵\n"), style=style)
    return text
