"""Losses of the supervised tokens."""

from __future__ import annotations

import pytest
import torch
from torch import nn

from synthpert.losses import CrossEntropy, Supervised, TokenLoss, _sum_in_chunks

TARGETS = torch.tensor([0, 3, 1, 2, 4])
KNOWN = Supervised(TARGETS, TARGETS > 1, torch.zeros(5, dtype=torch.long))


def logits(dtype: torch.dtype = torch.float32) -> torch.Tensor:
    return torch.randn(5, 6, generator=torch.Generator().manual_seed(0)).to(dtype)


def test_cross_entropy_is_minus_the_log_probability() -> None:
    expected = -logits().log_softmax(1)[torch.arange(5), TARGETS]
    torch.testing.assert_close(CrossEntropy()(logits(), KNOWN), expected)


def test_smoothing_mixes_in_the_mean_over_the_vocabulary() -> None:
    log = logits().log_softmax(1)
    expected = -0.9 * log[torch.arange(5), TARGETS] - 0.1 * log.mean(1)
    torch.testing.assert_close(CrossEntropy(0.1)(logits(), KNOWN), expected)


def test_cross_entropy_is_computed_in_float32() -> None:
    half = logits(torch.bfloat16)
    found = CrossEntropy()(half, KNOWN)
    assert found.dtype == torch.float32
    torch.testing.assert_close(found, CrossEntropy()(half.float(), KNOWN))


def test_slice_of_what_is_known_keeps_its_parts_together() -> None:
    part = KNOWN[1:3]
    assert part.targets.tolist() == [3, 1]
    assert part.in_answer.tolist() == [True, False]
    assert len(part.label) == 2


@pytest.mark.parametrize("chunk", [1, 2, 3, 5, 9])
def test_chunks_change_neither_sum_nor_gradient(chunk: int) -> None:
    found = []
    for size in (100, chunk):
        states = logits()[:, :4].clone().requires_grad_()
        head = nn.Linear(4, 6, bias=False)
        nn.init.constant_(head.weight, 0.3)
        head.weight.data[0] = 1.0
        total = _sum_in_chunks(states, head, KNOWN, CrossEntropy(), size)
        total.backward()
        found.append((total.detach(), states.grad, head.weight.grad))
    torch.testing.assert_close(found[0], found[1])


def test_no_supervised_token_has_no_loss_and_a_gradient() -> None:
    states = torch.zeros(0, 4, requires_grad=True)
    total = _sum_in_chunks(states, nn.Linear(4, 6), KNOWN[0:0], CrossEntropy(), 8)
    total.backward()
    assert float(total.detach()) == 0.0


def test_loss_without_a_forward_names_its_class() -> None:
    class Mine(TokenLoss):
        pass

    with pytest.raises(TypeError, match="Mine defines no forward"):
        Mine()(logits(), KNOWN)
