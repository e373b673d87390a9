"""What every engine takes and gives: decoding, completions, and the protocol between."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Final, Literal, Protocol

from torch import Tensor

from synthpert.errors import InputError

FinishReason = Literal["stop", "length"]
Mode = Literal["reason", "vote", "direct"]

VOTES: Final = 5
"""Samples of a vote, where nothing is said of them."""
VOTE_TEMPERATURE: Final = 0.7
"""Temperature of a vote, where nothing is said of it."""

_MEANING: Final[dict[Mode, str]] = {
    "reason": "of the three labels after the model's own reasoning",
    "vote": "of the three labels after the model's own reasoning, mean of the samples",
    "direct": "of the three labels without reasoning",
}


@dataclass(frozen=True)
class Decoding:
    """How questions are answered.

    Args:
        max_new_tokens: Tokens after which a completion is cut (finish reason `length`).
        temperature: 0 for greedy decoding, else the sampling temperature; `vote` takes 0 as 0.7.
        top_p: Nucleus of the sampling distribution; unused when greedy.
        samples: Completions a question, of `vote` alone, which takes 1 as 5.
        batch_size: Prompts decoded side by side.
        seed: Seed of the sampling; the global random state is left alone.
        mode: `reason` writes a thought and an answer; `vote` does so several times and counts;
            `direct` writes nothing and takes the most probable label.

    Raises:
        InputError: If the mode cannot have these samples, or a number is out of range.
    """

    max_new_tokens: int = 1024
    temperature: float = 0.0
    top_p: float = 1.0
    samples: int = 1
    batch_size: int = 32
    seed: int = 0
    mode: Mode = "reason"

    def __post_init__(self) -> None:
        for name, least in (("max_new_tokens", 1), ("batch_size", 1), ("samples", 1)):
            if getattr(self, name) < least:
                raise _wrong("must be positive", name, getattr(self, name), "1 or more")
        if self.temperature < 0:
            raise _wrong("not a temperature", "temperature", self.temperature, "0 or more")
        if not 0 < self.top_p <= 1:
            raise _wrong("not a share", "top_p", self.top_p, "above 0, at most 1")
        # A recipe says how thoughts are written; the mode alone may change on the command line, so
        # what another mode has no use for is set aside, except what asks for votes by name.
        if self.mode == "reason" and self.samples > 1:
            expected = "mode: vote, or samples: 1"
            raise _wrong("several samples are a vote", "samples", self.samples, expected)
        if self.mode == "vote":
            self._resolve("samples", VOTES if self.samples == 1 else self.samples)
            self._resolve("temperature", self.temperature or VOTE_TEMPERATURE)
        if self.mode == "direct":
            self._resolve("samples", 1)
            self._resolve("temperature", 0.0)

    def _resolve(self, name: str, value: float) -> None:
        object.__setattr__(self, name, value)

    @property
    def meaning(self) -> str:
        """What the probabilities of this mode are, for the record of a file."""
        return _MEANING[self.mode]


def _wrong(what: str, name: str, got: float, expected: str) -> InputError:
    return InputError(what, column=f"model.decoding.{name}", got=got, expected=expected)


@dataclass(frozen=True, slots=True)
class Completion:
    """What a model wrote after a prompt.

    Attributes:
        ids: The ids it wrote, without end-of-sequence and padding.
        finish_reason: `stop` where it ended by itself or closed its answer, else `length`.
    """

    ids: list[int]
    finish_reason: FinishReason


class Engine(Protocol):
    """Whatever turns prompts into completions."""

    def complete(
        self, prompts: Sequence[Sequence[int]], decoding: Decoding, stop: str, seed: int
    ) -> list[Completion]:
        """Continue each prompt once.

        Args:
            prompts: N lists of ids.
            decoding: How to decode.
            stop: Text that ends a completion; empty for the end-of-sequence token alone.
            seed: Seed of this call's sampling.

        Returns:
            N completions in the order of the prompts.
        """
        ...

    def choice_probabilities(
        self,
        contexts: Sequence[Sequence[int]],
        choices: Sequence[Sequence[Sequence[int]]],
        batch_size: int,
    ) -> Tensor:
        """How likely each choice is to follow its context.

        Args:
            contexts: N lists of ids.
            choices: For each context the ids of its C possible continuations.
            batch_size: Contexts scored side by side.

        Returns:
            (N, C) float64: the probabilities of the whole continuations, scaled to sum to 1.
        """
        ...
