"""Decoding a batch of prompts token by token, at the price of what is still being written.

Transformers' `generate` carries each row until the last one of its batch has ended, and reads what
all prompts begin with once a row. Here a row that has ended leaves the batch, and their beginning
is read once.
"""

from __future__ import annotations

import copy
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING

import torch
from torch import Tensor
from transformers import Cache, DynamicCache

if TYPE_CHECKING:
    from transformers import PreTrainedModel

    from synthpert.generation.sampling import Choose


@dataclass(frozen=True)
class Beginning:
    """What all prompts begin with, read.

    Attributes:
        length: How many ids of each prompt it covers; 0 for nothing.
        cache: Its keys and values, of a batch of one; None where `length` is 0.
    """

    length: int
    cache: Cache | None

    def rows(self, model: PreTrainedModel, count: int) -> Cache:
        """A cache that begins with it in each of `count` rows, to be written to."""
        if self.cache is None:
            return DynamicCache(config=model.config)
        mine = copy.deepcopy(self.cache)
        mine.batch_repeat_interleave(count)
        return mine


NOTHING = Beginning(0, None)
"""The beginning of prompts that have none in common."""


def read_beginning(model: PreTrainedModel, prompts: Sequence[Sequence[int]]) -> Beginning:
    """Read what all prompts begin with; the last id of each is left to be read with its row.

    Args:
        model: A causal language model in evaluation mode; every layer must see all that came
            before, since a row's padding stands between the beginning and the row.
        prompts: N lists of ids.

    Returns:
        The common beginning, empty of a single prompt.
    """
    length = common(prompts) if len(prompts) > 1 else 0
    if length == 0:
        return NOTHING
    cache = DynamicCache(config=model.config)
    ids = torch.tensor([list(prompts[0][:length])], device=model.device)
    model(input_ids=ids, past_key_values=cache, use_cache=True, logits_to_keep=1)
    return Beginning(length, cache)


def write(
    model: PreTrainedModel,
    prompts: Sequence[Sequence[int]],
    beginning: Beginning,
    choose: Choose,
    longest: int,
    pad_id: int,
    ended: Callable[[list[int]], bool],
) -> list[list[int]]:
    """Continue each prompt until it has ended, or has `longest` ids.

    Args:
        model: A causal language model in evaluation mode, without gradients.
        prompts: B lists of ids, side by side.
        beginning: What all of them begin with.
        choose: Chooses the next ids; see `synthpert.generation.sampling.chooser`.
        longest: Ids after which a row is cut.
        pad_id: Id to pad with on the left; never looked at.
        ended: Whether the ids that a row has written are its last.

    Returns:
        B lists of new ids, the last of each the one it ended with.
    """
    written: list[list[int]] = [[] for _ in prompts]
    going = list(range(len(prompts)))
    ids, mask = left_padded([prompt[beginning.length :] for prompt in prompts], pad_id)
    mask = torch.nn.functional.pad(mask, (beginning.length, 0), value=1).to(model.device)
    ids, cache = ids.to(model.device), beginning.rows(model, len(prompts))
    places = (mask.cumsum(1) - 1).clamp(min=0)[:, beginning.length :]
    while going:
        read = model(
            input_ids=ids,
            attention_mask=mask,
            position_ids=places,
            past_key_values=cache,
            use_cache=True,
            logits_to_keep=1,
        )
        chosen = choose(read.logits[:, -1].float(), going, len(written[going[0]]))
        for row, new in zip(going, chosen.tolist(), strict=True):
            written[row].append(new)
        if len(written[going[0]]) == longest:
            break
        stay = [i for i, row in enumerate(going) if not ended(written[row])]
        if len(stay) < len(going):
            going = [going[i] for i in stay]
            kept = torch.tensor(stay, dtype=torch.long, device=model.device)
            chosen, mask, places = chosen[kept], mask[kept], places[kept]
            if stay:
                cache.batch_select_indices(kept)
        ids, places = chosen[:, None], places[:, -1:] + 1
        mask = torch.nn.functional.pad(mask, (0, 1), value=1)
    return written


def left_padded(rows: Sequence[Sequence[int]], pad_id: int) -> tuple[Tensor, Tensor]:
    """Ids (B, T) int64 padded on the left, and where they are no padding, as 0 and 1."""
    longest = max(len(row) for row in rows)
    ids = torch.full((len(rows), longest), pad_id)
    mask = torch.zeros_like(ids)
    for i, row in enumerate(rows):
        ids[i, longest - len(row) :] = torch.tensor(row)
        mask[i, longest - len(row) :] = 1
    return ids, mask


def common(rows: Sequence[Sequence[int]]) -> int:
    """How many ids all rows begin with, short of the last id of each."""
    shortest = min(len(row) for row in rows) - 1
    # What the least and the greatest have in common, all in between have.
    first, last = min(map(list, rows)), max(map(list, rows))
    same = (i for i in range(shortest) if first[i] != last[i])
    return next(same, max(shortest, 0))
