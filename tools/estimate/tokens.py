"""How many tokens a recipe trains on: from its own data where they are there, else the paper's.

Nothing is downloaded for it. Where the base's tokenizer is on this machine it counts; where it is
not, four characters are taken as a token.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Final

from synthpert.encoding import IGNORED, Encoder, Example
from synthpert.errors import InputError
from tools.building import give_scratch_tokenizer

if TYPE_CHECKING:
    from synthpert.prompts import Message
    from synthpert.questions import Label, Question
    from synthpert.student import Student
    from tools.building import Built

PAPER_TRACES: Final = 14_000
"""Kept traces that the paper trained on, rounded."""
PAPER_PROMPT: Final = 150
"""Tokens of the paper's prompts, about."""
PAPER_RESPONSES: Final = (250, 450)
"""Tokens of the paper's traces, shortest and longest, about."""

_CHARACTERS_A_TOKEN: Final = 4
# Lengths of so many examples, spread over the table, stand for all.
_MEASURED: Final = 20_000


@dataclass(frozen=True)
class Lengths:
    """Lengths of the examples to train on, in tokens.

    Attributes:
        examples: How many an epoch has.
        mean: Mean length.
        within: Mean length that a token finds itself in: sum of squares over sum.
        longest: The longest.
        prompt: Mean tokens that are not trained on.
        response: Longest supervised span.
        source: Where all this is from, in words.
        packs: Micro-batches of an epoch, where the recipe packs them to a budget of tokens and
            they are known.
    """

    examples: int
    mean: float
    within: float
    longest: int
    prompt: float
    response: int
    source: str
    packs: int | None = None


def lengths_of(built: Built, traces: int | None) -> Lengths:
    """Find the lengths of what a recipe trains on.

    Args:
        built: What the recipe describes.
        traces: So many traces of the paper's lengths in place of the recipe's data.

    Raises:
        InputError: If the data are wrong, or no trace is left to train on.
    """
    file = getattr(built.data, "traces", None)
    if traces is None and (file is None or Path(file).exists() or built.student.scratch):
        return _measured(built)
    why = "as --traces says"
    if traces is None:
        traces, why = PAPER_TRACES, f"{file} is not there; --traces N says how many"
    kept = round(traces * (1 - getattr(built.data, "validation_share", 0.0)))
    if kept < 1:
        raise InputError("no example to train on", file="--traces", got=traces)
    return _papers(kept, why)


def _papers(examples: int, why: str) -> Lengths:
    """Lengths spread evenly over the paper's range."""
    low, high = PAPER_RESPONSES
    mean = PAPER_PROMPT + (low + high) / 2
    within = mean + (high - low) ** 2 / 12 / mean
    source = f"{examples:,} traces of the paper's lengths, {PAPER_PROMPT} tokens of prompt and "
    source += f"{low} to {high} of response ({why})"
    return Lengths(examples, mean, within, PAPER_PROMPT + high, PAPER_PROMPT, high, source)


def _measured(built: Built) -> Lengths:
    how = _give_tokenizer(built)
    built.data.setup("fit")
    loader = built.data.train_dataloader().loader
    # The batches of the first epoch, so that mixtures and packs are what they will be.
    batches = list(loader.batch_sampler)
    places = [place for batch in batches for place in batch]
    spread = places[:: -(-len(places) // _MEASURED)]
    made = [row.example for row in loader.dataset.__getitems__(spread)]
    sizes = [len(each.labels) for each in made]
    supervised = [sum(label != IGNORED for label in each.labels) for each in made]
    return Lengths(
        examples=len(places),
        mean=sum(sizes) / len(sizes),
        within=sum(size**2 for size in sizes) / sum(sizes),
        longest=max(sizes),
        prompt=(sum(sizes) - sum(supervised)) / len(sizes),
        response=max(supervised),
        source=f"the recipe's own data, {how}",
        packs=len(batches) if getattr(built.data, "tokens_per_batch", None) else None,
    )


def _give_tokenizer(built: Built) -> str:
    """See to it that the student encodes without a download; say with what."""
    student = built.student
    if student.scratch is not None:
        give_scratch_tokenizer(built)
        return "by the tokenizer made from it"
    folder = local_tokenizer(student.base)
    if folder is None:
        student.encoder = Quarters(student)
        return f"{_CHARACTERS_A_TOKEN} characters taken as a token (the tokenizer is not here)"
    student.base = folder
    return "by the base's tokenizer"


def local_tokenizer(base: str) -> str | None:
    """The folder on this machine that holds a base's tokenizer: its own, or the hub's cache."""
    if (Path(base) / "tokenizer.json").is_file():
        return base
    from huggingface_hub import try_to_load_from_cache
    from huggingface_hub.errors import HFValidationError

    try:
        # Both are needed: the second holds the chat template of most.
        found = [
            try_to_load_from_cache(base, name)
            for name in ("tokenizer.json", "tokenizer_config.json")
        ]
    except HFValidationError:
        return None  # a folder's name that no repository can have
    return str(Path(str(found[0])).parent) if all(isinstance(x, str) for x in found) else None


class Quarters(Encoder):
    """Takes the place of an encoder where there is no tokenizer: its ids say only how many.

    Args:
        student: Its prompt set and limits are kept.
    """

    def __init__(self, student: Student) -> None:
        self.prompts, self.max_tokens = student.prompts, student.max_tokens
        self.loss_on, self.template = student.loss_on, student.template
        self.opens_thought = False

    @property
    def pad_id(self) -> int:
        """Zero, as every id."""
        return 0

    def examples(
        self,
        questions: Sequence[Question],
        labels: Sequence[Label],
        reasonings: Sequence[str | None],
    ) -> list[Example | None]:
        """Examples of about the right length, None where longer than `max_tokens`."""
        made = [self._example(*row) for row in zip(questions, labels, reasonings, strict=True)]
        return [x if len(x.input_ids) <= self.max_tokens else None for x in made]

    def chats(
        self, prompts: Sequence[Sequence[Message]], completions: Sequence[str]
    ) -> list[Example | None]:
        """Chats of another source, likewise."""
        made = []
        for prompt, completion in zip(prompts, completions, strict=True):
            asked = _asked(prompt)
            total = asked + _tokens(completion) + 1
            first = 0 if self.loss_on == "all" else asked
            made.append(Example([0] * total, [IGNORED] * first + [0] * (total - first), total))
        return [x if len(x.input_ids) <= self.max_tokens else None for x in made]

    def _example(self, question: Question, label: Label, reasoning: str | None) -> Example:
        prompt = _asked(self.prompts.messages(question))
        answer = _tokens(self.prompts.answer_text(label))
        total = prompt + _tokens(self.completion_text(label, reasoning)) + 1
        first = {"completion": prompt, "all": 0, "answer": total - answer - 1}[self.loss_on]
        labels = [IGNORED] * first + [0] * (total - first)
        return Example([0] * total, labels, total - answer - 1)


def _asked(messages: Sequence[Message]) -> int:
    return _tokens("\n".join(each["content"] for each in messages))


def _tokens(text: str) -> int:
    return -(-len(text) // _CHARACTERS_A_TOKEN)
