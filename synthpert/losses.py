"""Losses of the supervised tokens, chosen by `class_path` in the YAML.

A loss sees only positions that are trained on, a chunk of them at a time, and returns one value a
token. The student sums these and divides by the number of supervised tokens of the whole optimiser
step, so that neither micro-batches nor ranks change what is minimised.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

import torch
from torch import Tensor, nn
from torch.utils.checkpoint import checkpoint

from synthpert.encoding import IGNORED

if TYPE_CHECKING:
    from transformers import PreTrainedModel

# Logits of this many elements at a time (256 positions of a 128k vocabulary) are computed, and
# recomputed in the backward pass, so that the full (T, V) logits never exist.
_LOGITS_AT_ONCE = 2**25


@dataclass(frozen=True, slots=True)
class Supervised:
    """What is known of N supervised positions.

    Attributes:
        targets: The token to predict, (N,) int64.
        in_answer: Whether that token belongs to the answer, (N,) bool.
        label: The label of its example as an index into `LABELS`, (N,) int64.
    """

    targets: Tensor
    in_answer: Tensor
    label: Tensor

    def __getitem__(self, index: slice) -> Supervised:
        return Supervised(self.targets[index], self.in_answer[index], self.label[index])


class TokenLoss(nn.Module):
    """A loss by the token: subclass it, define `forward`, name the class in the YAML."""

    def forward(self, logits: Tensor, supervised: Supervised) -> Tensor:
        """Compute the loss of each position.

        Args:
            logits: (N, V), the model's prediction of each target.
            supervised: What is known of the N positions.

        Returns:
            (N,) float32, not reduced.
        """
        raise TypeError(f"{type(self).__name__} defines no forward")


class CrossEntropy(TokenLoss):
    """Cross entropy of the target token.

    Args:
        label_smoothing: Share of the probability spread evenly over the vocabulary, in [0, 1).
    """

    def __init__(self, label_smoothing: float = 0.0) -> None:
        super().__init__()
        self.label_smoothing = label_smoothing

    def forward(self, logits: Tensor, supervised: Supervised) -> Tensor:
        """Compute the cross entropy of each target, in float32 whatever the logits' type."""
        return nn.functional.cross_entropy(
            logits.float(),
            supervised.targets,
            reduction="none",
            label_smoothing=self.label_smoothing,
        )


def sum_over_supervised(
    model: PreTrainedModel, batch: dict[str, Tensor], loss: TokenLoss, head_is_last: bool
) -> tuple[Tensor, Tensor]:
    """Sum a loss over the supervised tokens of a batch, without the logits of all its positions.

    Args:
        model: A causal language model.
        batch: `input_ids` and `labels` (B, T), right-padded; `answer_start` and `label` (B,).
        loss: The loss of a token.
        head_is_last: Whether the logits are the output embedding of the decoder's last state; if
            not, the model computes them all itself.

    Returns:
        The sum, a scalar with its gradient, and the number of supervised tokens.
    """
    # The state at t predicts the token at t + 1.
    targets = batch["labels"][:, 1:]
    mask = targets != IGNORED
    place = torch.arange(1, batch["labels"].shape[1], device=targets.device)
    in_answer = place >= batch["answer_start"][:, None]
    label = batch["label"][:, None].expand_as(targets)
    supervised = Supervised(targets[mask], in_answer[mask], label[mask])
    # No attention mask: padding is on the right, where a causal model never looks.
    inputs = {"input_ids": batch["input_ids"], "use_cache": False}
    if head_is_last:
        states = model.get_decoder()(**inputs).last_hidden_state[:, :-1][mask]
        head = model.get_output_embeddings()
    else:
        states, head = model(**inputs).logits[:, :-1][mask], nn.Identity()
    chunk = max(1, _LOGITS_AT_ONCE // model.config.vocab_size)
    return _sum_in_chunks(states, head, supervised, loss, chunk), mask.sum()


def _sum_in_chunks(
    states: Tensor, head: nn.Module, supervised: Supervised, loss: TokenLoss, chunk: int
) -> Tensor:
    if len(states) <= chunk:
        whole: Tensor = loss(head(states), supervised).sum()
        return whole
    total = states.new_zeros((), dtype=torch.float32)
    for start in range(0, len(states), chunk):
        part = slice(start, start + chunk)
        total += checkpoint(
            lambda x, y: loss(head(x), y).sum(), states[part], supervised[part], use_reentrant=False
        )
    return total
