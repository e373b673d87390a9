"""Micro-batches of about as many tokens instead of as many examples."""

from __future__ import annotations

import logging
from collections.abc import Callable, Iterator, Sequence

import lightning as L
import numpy as np
from torch.utils.data import Sampler

from data_modules.batching import Examples
from synthpert.errors import InputError

log = logging.getLogger(__name__)

_AT_ONCE = 512


class PackedBatches(Sampler[list[int]]):
    """Batches of examples up to a budget of tokens, as a pure function of (seed, epoch, seen).

    This changes the examples of an optimiser step: a step of long ones has fewer. Which examples
    make up a batch is drawn once, so that each epoch has as many batches, and each epoch puts the
    batches into an order of its own. Batches need not be full, since a flattened one costs just its
    tokens: examples are taken as they come in the seed's order, whatever their lengths.

    Args:
        lengths: Tokens of each example.
        budget: Most tokens a batch and rank.
        seed: Seed of the batches and of their order.
        rank: This process, from 0.
        world: Number of processes; batches are dealt out to them in turn, and a tail too small for
            all of them is left out of this epoch.
        position: Called when iteration begins; gives (epoch, batches of it already seen).

    Raises:
        InputError: If an example alone is above the budget.
    """

    def __init__(
        self,
        lengths: Sequence[int],
        budget: int,
        seed: int,
        rank: int = 0,
        world: int = 1,
        position: Callable[[], tuple[int, int]] = lambda: (0, 0),
    ) -> None:
        longest = max(lengths, default=0)
        if longest > budget:
            raise InputError(
                "the longest example is above the budget of tokens",
                column="data.tokens_per_batch",
                got=budget,
                expected=f"{longest} or more",
            )
        self.seed, self.rank, self.world, self.position = seed, rank, world, position
        self.packs: list[list[int]] = []
        left = 0
        for index in np.random.default_rng(seed).permutation(len(lengths)).tolist():
            if lengths[index] > left or not self.packs:
                self.packs.append([])
                left = budget
            self.packs[-1].append(index)
            left -= lengths[index]

    def __len__(self) -> int:
        return len(self.packs) // self.world

    def __iter__(self) -> Iterator[list[int]]:
        epoch, seen = self.position()
        order = np.random.default_rng([self.seed, epoch]).permutation(len(self.packs))
        for batch in range(seen, len(self)):
            yield self.packs[order[batch * self.world + self.rank]]


def token_counts(examples: Examples) -> list[int]:
    """Count the tokens of each example, which are encoded for it once."""
    counts: list[int] = []
    for start in range(0, len(examples), _AT_ONCE):
        rows = examples.__getitems__(range(start, min(start + _AT_ONCE, len(examples))))
        counts += [len(row.example.input_ids) for row in rows]
    return counts


def packed(
    examples: Examples,
    budget: int,
    seed: int,
    trainer: L.Trainer,
    position: Callable[[], tuple[int, int]],
) -> PackedBatches:
    """Pack examples to a budget of tokens, and say what that changes; see `PackedBatches`."""
    ranks = (trainer.global_rank, trainer.world_size)
    batches = PackedBatches(token_counts(examples), budget, seed, *ranks, position)
    sizes = [len(pack) for pack in batches.packs]
    log.warning(
        "tokens_per_batch %s: %s batches of %s to %s examples, no longer as many in each step",
        f"{budget:,}",
        f"{len(sizes):,}",
        min(sizes),
        max(sizes),
    )
    return batches


def refuse_packing(budget: int | None, *, mixed: bool) -> None:
    """Refuse a budget of tokens that packs nothing.

    Args:
        budget: Most tokens a batch; None packs nothing, and is fine.
        mixed: Whether there is a second data set, whose share is of examples.

    Raises:
        InputError: If it is below 1, or examples are mixed.
    """
    place = "data.init_args.tokens_per_batch"
    if budget is not None and mixed:
        raise InputError("packs no mixture", column=place, got=budget, expected="null")
    if budget is not None and budget < 1:
        raise InputError("too small", column=place, got=budget, expected="1 or more, or null")
