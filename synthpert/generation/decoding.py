"""What every engine takes and gives: decoding, completions, and the protocol between."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Literal, Protocol

from torch import Tensor

FinishReason = Literal["stop", "length"]


@dataclass(frozen=True)
class Decoding:
    """How completions are decoded.

    Args:
        max_new_tokens: Tokens after which a completion is cut (finish reason `length`).
        temperature: 0 for greedy decoding, else the sampling temperature.
        top_p: Nucleus of the sampling distribution; unused when greedy.
        samples: Completions a question; more than one needs a temperature above 0.
        batch_size: Prompts decoded side by side.
        seed: Seed of the sampling; the global random state is left alone.
    """

    max_new_tokens: int = 1024
    temperature: float = 0.0
    top_p: float = 1.0
    samples: int = 1
    batch_size: int = 32
    seed: int = 0

    def __post_init__(self) -> None:
        if self.samples > 1 and self.temperature == 0:
            raise ValueError("several samples of a greedy decoding are all the same")


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
