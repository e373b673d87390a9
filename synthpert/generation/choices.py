"""How likely each of a few texts is to follow a context: the log-probability of all its tokens."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING

import torch
from torch import Tensor

from synthpert.generation.token_by_token import common, left_padded

if TYPE_CHECKING:
    from transformers import Cache, PreTrainedModel


def settled(
    contexts: Sequence[Sequence[int]], choices: Sequence[Sequence[Sequence[int]]]
) -> tuple[list[list[int]], list[list[list[int]]]]:
    """Give what all choices of a context begin with to the context: it is read, not compared.

    Args:
        contexts: N lists of ids.
        choices: For each context the ids of its C possible continuations.

    Returns:
        Longer contexts and shorter choices, of which the shares stay what they were. A choice
        keeps at least one id.
    """
    shared = [common(row) for row in choices]
    longer = [
        [*context, *row[0][:n]] for context, row, n in zip(contexts, choices, shared, strict=True)
    ]
    return longer, [[list(c[n:]) for c in row] for row, n in zip(choices, shared, strict=True)]


def score(
    model: PreTrainedModel,
    contexts: Sequence[Sequence[int]],
    choices: Sequence[Sequence[Sequence[int]]],
    pad_id: int,
) -> Tensor:
    """Score choices after their contexts, each of which is read once for all of its choices.

    Args:
        model: A causal language model in evaluation mode, without gradients.
        contexts: B lists of ids.
        choices: For each context the ids of its C possible continuations.
        pad_id: Id to pad with; never looked at.

    Returns:
        (B, C) float64: the log-probability of each choice.
    """
    ids, mask = (each.to(model.device) for each in left_padded(contexts, pad_id))
    positions = (mask.cumsum(1) - 1).clamp(min=0)
    read = model(
        input_ids=ids,
        attention_mask=mask,
        position_ids=positions,
        use_cache=True,
        logits_to_keep=1,
    )
    first = read.logits[:, -1].double().log_softmax(-1).cpu()
    count = len(choices[0])
    flat = [list(choice) for row in choices for choice in row]
    scores = torch.stack([first[i // count, choice[0]] for i, choice in enumerate(flat)])
    width = max(len(choice) for choice in flat) - 1
    if width > 0:
        cache = read.past_key_values
        scores = scores + _tails(model, flat, width, mask, positions, cache, count, pad_id)
    return scores.view(len(contexts), count)


def _tails(
    model: PreTrainedModel,
    flat: list[list[int]],
    width: int,
    mask: Tensor,
    positions: Tensor,
    cache: Cache,
    count: int,
    pad_id: int,
) -> Tensor:
    """Log-probability of the second and later tokens of B·C choices: (B·C,) float64."""
    device = mask.device
    inputs = torch.full((len(flat), width), pad_id)
    targets = torch.full((len(flat), width), -1)
    for i, choice in enumerate(flat):
        inputs[i, : len(choice) - 1] = torch.tensor(choice[:-1])
        targets[i, : len(choice) - 1] = torch.tensor(choice[1:])
    cache.batch_repeat_interleave(count)
    ones = torch.ones_like(inputs, device=device)
    after = positions[:, -1:].repeat_interleave(count, 0) + 1
    logits: Tensor = model(
        input_ids=inputs.to(device),
        attention_mask=torch.cat([mask.repeat_interleave(count, 0), ones], 1),
        position_ids=after + torch.arange(width, device=device),
        past_key_values=cache,
        use_cache=True,
    ).logits
    log = logits.double().log_softmax(-1).cpu()
    taken = log.gather(2, targets.clamp(min=0).unsqueeze(2)).squeeze(2)
    return taken.masked_fill(targets < 0, 0.0).sum(1)
