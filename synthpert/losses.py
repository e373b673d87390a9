"""Losses of the supervised tokens, chosen by `class_path` in the YAML.

A loss sees only positions that are trained on, a chunk of them at a time, and returns one value a
token. The student sums these and divides by the number of supervised tokens of the whole optimiser
step, so that neither micro-batches nor ranks change what is minimised.
"""

from __future__ import annotations

from dataclasses import dataclass

import torch
from torch import Tensor, nn


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
        return torch.nn.functional.cross_entropy(
            logits.float(),
            supervised.targets,
            reduction="none",
            label_smoothing=self.label_smoothing,
        )
