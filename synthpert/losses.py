"""Losses of the supervised tokens, chosen by `class_path` in the YAML.

A loss sees only positions that are trained on, a chunk of them at a time, and gives each a value
and a weight. The student divides the weighted sum by the weights of the whole optimiser step, so
that neither micro-batches nor ranks change what is minimised.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import torch
from torch import Tensor, nn

from synthpert.errors import InputError
from synthpert.questions import LABELS, Label

UNLABELLED = -1
"""The label of an example that answers no question of the benchmark."""


@dataclass(frozen=True, slots=True)
class Supervised:
    """What is known of N supervised positions.

    Attributes:
        targets: The token to predict, (N,) int64.
        in_answer: Whether that token belongs to the answer, (N,) bool.
        label: The label of its example as an index into `LABELS`, or `UNLABELLED`; (N,) int64.
    """

    targets: Tensor
    in_answer: Tensor
    label: Tensor

    def __getitem__(self, index: slice) -> Supervised:
        return Supervised(self.targets[index], self.in_answer[index], self.label[index])


class TokenLoss(nn.Module):
    """A loss by the token: subclass it, define `forward`, name the class in the YAML.

    Define `weight` too where tokens are to count differently.
    """

    label_counts: tuple[int, ...] | None = None
    """Training examples of each label, in the order of `LABELS`; None where no data told."""

    def forward(self, logits: Tensor, supervised: Supervised) -> Tensor:
        """Compute the loss of each position.

        Args:
            logits: (N, V), the model's prediction of each target.
            supervised: What is known of the N positions.

        Returns:
            (N,) float32, neither reduced nor weighted.
        """
        raise TypeError(f"{type(self).__name__} defines no forward")

    def weight(self, supervised: Supervised) -> Tensor:
        """Say how much each position counts in the mean; all the same unless a subclass differs.

        Args:
            supervised: What is known of N positions.

        Returns:
            (N,) float32, above 0. Their scale changes nothing, for the mean is divided by their
            sum.
        """
        return torch.ones(supervised.targets.shape, device=supervised.targets.device)

    def see_labels(self, counts: Sequence[int]) -> None:
        """Note how many training examples each label has; the data module calls it.

        Args:
            counts: Of each of `LABELS`, in that order.
        """
        for part in self.modules():
            if isinstance(part, TokenLoss):
                part.label_counts = tuple(counts)


class CrossEntropy(TokenLoss):
    """Cross entropy of the target token."""

    def forward(self, logits: Tensor, supervised: Supervised) -> Tensor:
        """Compute the cross entropy of each target, in float32 whatever the logits' type."""
        return nn.functional.cross_entropy(logits.float(), supervised.targets, reduction="none")


class LabelSmoothing(TokenLoss):
    """Cross entropy against a softened target (Szegedy et al. 2016, arXiv:1512.00567).

    Args:
        share: Share of the probability spread evenly over the vocabulary, in [0, 1).
    """

    def __init__(self, share: float = 0.1) -> None:
        super().__init__()
        if not 0 <= share < 1:
            raise _refused("LabelSmoothing", "share", share, "in [0, 1)")
        self.share = share

    def forward(self, logits: Tensor, supervised: Supervised) -> Tensor:
        """Compute the smoothed cross entropy of each target, in float32."""
        return nn.functional.cross_entropy(
            logits.float(), supervised.targets, reduction="none", label_smoothing=self.share
        )


class AnswerWeighted(TokenLoss):
    """The tokens of the answer count more than those of the thought.

    The answer is what follows `</think>`, the end of sequence included. Examples sent through the
    chat template (`template: as_shipped`) have none that is known.

    Args:
        times: How often a token of the answer counts, where one of the thought counts once.
        of: The loss that is weighted; cross entropy if null.
    """

    def __init__(self, times: float = 5.0, of: TokenLoss | None = None) -> None:
        super().__init__()
        if not 0 < times < float("inf"):
            raise _refused("AnswerWeighted", "times", times, "above 0")
        self.times, self.of = times, of or CrossEntropy()

    def forward(self, logits: Tensor, supervised: Supervised) -> Tensor:
        """Compute the loss that is weighted."""
        values: Tensor = self.of(logits, supervised)
        return values

    def weight(self, supervised: Supervised) -> Tensor:
        """Weigh the answer `times` as much as the thought, the lighter of them 1."""
        lighter = min(1.0, self.times)
        where = torch.where(supervised.in_answer, self.times / lighter, 1 / lighter)
        return where * self.of.weight(supervised)


class ClassBalanced(TokenLoss):
    """The tokens of an example count by its label: those of a rare label more.

    An example without a label (of a mixed data set) counts as the average labelled one.

    Args:
        weights: Weight of each label by its name; null weighs by how rare the label is among the
            training examples.
        power: Without `weights`, a label of n examples weighs n to the minus `power`: 1 lets all
            labels count the same in total, 0.5 is half way (Mahajan et al. 2018, arXiv:1805.00932).
        of: The loss that is weighted; cross entropy if null.
    """

    def __init__(
        self,
        weights: dict[str, float] | None = None,
        power: float = 1.0,
        of: TokenLoss | None = None,
    ) -> None:
        super().__init__()
        if weights is not None:
            _check_weights(weights)
        if not 0 <= power <= 1:
            raise _refused("ClassBalanced", "power", power, "in [0, 1]")
        self.weights, self.power, self.of = weights, power, of or CrossEntropy()

    def forward(self, logits: Tensor, supervised: Supervised) -> Tensor:
        """Compute the loss that is weighted."""
        values: Tensor = self.of(logits, supervised)
        return values

    def weight(self, supervised: Supervised) -> Tensor:
        """Weigh each position by the label of its example, the lightest label 1."""
        table = torch.tensor(self.by_label(), device=supervised.label.device)
        # `UNLABELLED` is the last of the table by its index.
        return table[supervised.label] * self.of.weight(supervised)

    def by_label(self) -> list[float]:
        """The weight of each of `LABELS`, and of an example without a label.

        Raises:
            InputError: If they follow from label counts, and there is no data module to tell them.
        """
        if self.weights is not None:
            found = [self.weights[label] for label in LABELS]
        elif self.label_counts is None:
            raise InputError(
                "a class-balanced loss needs to know how rare each label is",
                column="model.loss.init_args.weights",
                expected="a data module of labelled questions, or weights",
            )
        else:
            # A label that no training example has weighs as the rarest that one has.
            rarest = min((n for n in self.label_counts if n), default=1)
            found = [max(n, rarest) ** -self.power for n in self.label_counts]
        counts = self.label_counts or (1,) * len(found)
        average = sum(w * n for w, n in zip(found, counts, strict=True)) / max(1, sum(counts))
        lightest = min(found)
        return [w / lightest for w in (*found, average)]


def _check_weights(weights: Mapping[str, float]) -> None:
    if set(weights) != set(LABELS):
        wanted = ", ".join(Label)
        raise _refused("ClassBalanced", "weights", list(weights), f"one of each of: {wanted}")
    for value in weights.values():
        if not 0 < value < float("inf"):
            raise _refused("ClassBalanced", "weights", value, "all above 0")


def _refused(loss: str, name: str, got: object, expected: str) -> InputError:
    place = f"model.loss.init_args.{name}"
    return InputError(f"no such {name} of {loss}", column=place, got=got, expected=expected)
