"""Sampling in which a prompt's text depends on itself and the seed, and on nothing beside it.

With one random state for a batch, what a question is answered would depend on the questions that
happen to share its batch, so that a resumed or sharded run would answer otherwise. Here each
prompt has a stream of its own, seeded by the seed and its ids, and each token takes one number.
"""

from __future__ import annotations

import hashlib
from array import array
from collections.abc import Callable, Sequence
from typing import TYPE_CHECKING, Any

import numpy as np
import torch
from torch import Tensor
from transformers import LogitsProcessorList, TemperatureLogitsWarper, TopPLogitsWarper

if TYPE_CHECKING:
    from synthpert.generation.decoding import Decoding

Choose = Callable[[Tensor, Sequence[int], int], Tensor]
"""From logits (B, V), the prompt of each row and the token's place to ids (B,)."""


def seed_of(seed: int, prompt: Sequence[int]) -> int:
    """The seed of a prompt's own stream.

    Args:
        seed: Seed of the call.
        prompt: The prompt's ids.

    Returns:
        A number of 63 bits, the same on every machine.
    """
    words = array("q", [seed, *prompt]).tobytes()
    return int.from_bytes(hashlib.blake2b(words, digest_size=8).digest(), "little") >> 1


def chooser(decoding: Decoding, prompts: Sequence[Sequence[int]], seed: int) -> Choose:
    """How the next ids are chosen.

    Args:
        decoding: With temperature 0 the most probable id is taken, and nothing is drawn.
        prompts: B lists of ids.
        seed: Seed of the call.

    Returns:
        A function of logits, the rows (places in `prompts`) that they are of, and the number of
        ids that each has written.
    """
    if decoding.temperature == 0:
        return lambda logits, rows, written: logits.argmax(-1)
    warp = LogitsProcessorList([TemperatureLogitsWarper(float(decoding.temperature))])
    if decoding.top_p < 1:
        warp.append(TopPLogitsWarper(decoding.top_p))
    count = decoding.max_new_tokens
    streams = (np.random.default_rng(seed_of(seed, each)).random(count) for each in prompts)
    drawn = torch.from_numpy(np.stack(list(streams)))
    # The ids written before, which the protocol of these wants, tell them nothing.
    none: Any = torch.empty(0, dtype=torch.long)

    def choose(logits: Tensor, rows: Sequence[int], written: int) -> Tensor:
        # In float64, so that the sum over a large vocabulary does not round a token away.
        ends = warp(none, logits).softmax(-1, dtype=torch.float64).cumsum(-1)
        at = drawn[list(rows), written].to(logits.device)[:, None] * ends[:, -1:]
        found = torch.searchsorted(ends, at, right=True).squeeze(1)
        return found.clamp(max=logits.shape[-1] - 1)

    return choose
