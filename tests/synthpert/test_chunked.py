"""A loss in chunks: the sum and the gradients are those of all logits at once."""

from __future__ import annotations

import importlib.machinery
import sys
from types import ModuleType

import pytest
import torch
from torch import Tensor, nn

from synthpert import chunked
from synthpert.losses import (
    AnswerWeighted,
    CrossEntropy,
    LabelSmoothing,
    Supervised,
    TokenLoss,
)

TARGETS = torch.tensor([0, 3, 1, 2, 4])
KNOWN = Supervised(TARGETS, TARGETS > 1, torch.zeros(5, dtype=torch.long))
CUDA = torch.device("cuda")


def head(trained: bool = True) -> nn.Linear:
    layer = nn.Linear(4, 6, bias=False).requires_grad_(trained)
    nn.init.constant_(layer.weight, 0.3)
    layer.weight.data[0] = 1.0
    return layer


def states() -> torch.Tensor:
    return torch.randn(5, 4, generator=torch.Generator().manual_seed(0)).requires_grad_()


def in_chunks(
    loss: TokenLoss, layer: nn.Linear, chunk: int, monkeypatch: pytest.MonkeyPatch
) -> list[torch.Tensor | None]:
    """Sum, sum of weights and gradients, carried back from three times the sum."""
    monkeypatch.setattr(chunked, "LOGITS_AT_ONCE", 6 * chunk)
    given = states()
    total, weight = chunked.sum_over_states(given, layer, KNOWN, loss, 6)
    (3 * total).backward()
    return [total.detach(), weight, given.grad, layer.weight.grad]


@pytest.mark.parametrize("loss", [CrossEntropy(), LabelSmoothing(), AnswerWeighted(3.0)])
@pytest.mark.parametrize("trained", [True, False])
@pytest.mark.parametrize("chunk", [1, 2, 5, 9])
def test_chunks_change_neither_sum_nor_gradient(
    loss: TokenLoss, trained: bool, chunk: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    given, layer = states(), head(trained)
    weight = loss.weight(KNOWN)
    total = (loss(layer(given), KNOWN) * weight).sum()
    (3 * total).backward()
    found = in_chunks(loss, head(trained), chunk, monkeypatch)
    expected = [total.detach().double(), weight.sum().double(), given.grad, layer.weight.grad]
    for one, other in zip(found, expected, strict=True):
        assert (one is None) == (other is None)
        if one is not None:
            torch.testing.assert_close(one, other, rtol=1e-5, atol=1e-6)


def test_a_vocabulary_of_128k_gives_the_loss_and_gradient_of_full_logits() -> None:
    seed = torch.Generator().manual_seed(0)
    layer = nn.Linear(8, 128_256, bias=False)
    targets = torch.randint(128_256, (150,), generator=seed)
    known = Supervised(targets, targets > 0, targets * 0)
    found = []
    for whole in (True, False):
        layer.weight.grad = None
        given = torch.randn(150, 8, generator=torch.Generator().manual_seed(1)).requires_grad_()
        if whole:
            total = nn.functional.cross_entropy(layer(given), targets, reduction="sum")
        else:
            total, _ = chunked.sum_over_states(given, layer, known, CrossEntropy(), 128_256)
        (total / 150).backward()
        found.append((total.detach().double() / 150, given.grad, layer.weight.grad))
    for one, other in zip(*found, strict=True):
        torch.testing.assert_close(one, other, rtol=1e-5, atol=1e-5)


def test_a_head_in_autocast_keeps_its_gradient_over_chunks(monkeypatch: pytest.MonkeyPatch) -> None:
    found = []
    for chunk in (5, 2):
        with torch.autocast("cpu", torch.bfloat16):
            found.append(in_chunks(CrossEntropy(), head(), chunk, monkeypatch))
    assert found[1][3].dtype == torch.float32
    for one, other in zip(*found, strict=True):
        torch.testing.assert_close(one, other, rtol=1e-2, atol=1e-2)


def test_weights_of_a_loss_are_trained(monkeypatch: pytest.MonkeyPatch) -> None:
    class Scaled(TokenLoss):
        def __init__(self) -> None:
            super().__init__()
            self.scale = nn.Parameter(torch.tensor(2.0))

        def forward(self, logits: torch.Tensor, supervised: Supervised) -> torch.Tensor:
            return self.scale * CrossEntropy()(logits, supervised)

    loss = Scaled()
    total, *_ = in_chunks(loss, head(), 2, monkeypatch)
    assert float(loss.scale.grad) == pytest.approx(3 * float(total) / 2)


def test_validation_computes_no_gradient() -> None:
    with torch.no_grad():
        total, _ = chunked.sum_over_states(states(), head(), KNOWN, CrossEntropy(), 6)
    assert not total.requires_grad


def test_no_supervised_token_has_no_loss_and_a_gradient() -> None:
    given = torch.zeros(0, 4, requires_grad=True)
    total, weight = chunked.sum_over_states(given, head(), KNOWN[0:0], CrossEntropy(), 6)
    total.backward()
    assert (float(total.detach()), float(weight)) == (0.0, 0.0)


# --- liger-kernel, whose kernels need CUDA: its one function, written out ---------------------


@pytest.fixture
def liger(monkeypatch: pytest.MonkeyPatch) -> list[dict[str, object]]:
    """liger-kernel as installed; what its function was called with."""
    calls: list[dict[str, object]] = []

    def liger_fused_linear_cross_entropy(
        input: torch.Tensor,
        weight: torch.Tensor,
        target: torch.Tensor,
        bias: torch.Tensor | None = None,
        reduction: str = "mean",
    ) -> torch.Tensor:
        calls.append({"states": input.dtype, "weight": weight.dtype, "reduction": reduction})
        logits = nn.functional.linear(input, weight, bias).float()
        return nn.functional.cross_entropy(logits, target, reduction=reduction)

    for name in ("triton", "liger_kernel", "liger_kernel.transformers.functional"):
        module = ModuleType(name)
        module.__spec__ = importlib.machinery.ModuleSpec(name, None)
        monkeypatch.setitem(sys.modules, name, module)
    module.liger_fused_linear_cross_entropy = liger_fused_linear_cross_entropy  # type: ignore[attr-defined]
    chunked._liger.cache_clear()
    yield calls
    chunked._liger.cache_clear()


def test_liger_is_used_for_plain_cross_entropy_on_cuda(liger: list) -> None:
    layer, given = head().to(torch.bfloat16), states()
    fused = chunked.fused_cross_entropy(CUDA, layer, CrossEntropy())
    assert fused is not None
    total = fused(given, TARGETS)
    total.backward()
    assert liger == [{"states": torch.bfloat16, "weight": torch.bfloat16, "reduction": "sum"}]
    assert given.grad.dtype == torch.float32


def test_the_fused_sum_is_that_of_the_chunks(liger: list, monkeypatch: pytest.MonkeyPatch) -> None:
    plain = in_chunks(CrossEntropy(), head(), 2, monkeypatch)
    where = chunked.fused_cross_entropy
    monkeypatch.setattr(
        chunked, "fused_cross_entropy", lambda device, layer, loss: where(CUDA, layer, loss)
    )
    torch.testing.assert_close(in_chunks(CrossEntropy(), head(), 2, monkeypatch), plain)
    assert len(liger) == 1


@pytest.mark.parametrize(
    ("device", "layer", "loss"),
    [
        (torch.device("cpu"), head(), CrossEntropy()),
        (CUDA, nn.Identity(), CrossEntropy()),
        (CUDA, head(), LabelSmoothing()),
        (CUDA, head(), AnswerWeighted()),
    ],
)
def test_liger_is_left_alone_where_it_does_not_serve(
    device: torch.device, layer: nn.Module, loss: TokenLoss, liger: list
) -> None:
    assert chunked.fused_cross_entropy(device, layer, loss) is None


def test_without_liger_cuda_has_the_chunks(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "triton", None)
    monkeypatch.setattr(chunked.importlib.util, "find_spec", lambda name: None)
    chunked._liger.cache_clear()
    assert chunked.fused_cross_entropy(CUDA, head(), CrossEntropy()) is None
    chunked._liger.cache_clear()


class Shared(TokenLoss):
    """Has two weights whose gradients are one and the same tensor."""

    def __init__(self) -> None:
        super().__init__()
        self.first, self.second = (nn.Parameter(torch.zeros(3)) for _ in range(2))

    def forward(self, logits: Tensor, supervised: Supervised) -> Tensor:
        both = (self.first + self.second).sum()
        return CrossEntropy()(logits, supervised) + both


@pytest.mark.parametrize("chunk", [2, 5, 100])
def test_gradients_that_autograd_shares_are_added_up_once_each(
    monkeypatch: pytest.MonkeyPatch, chunk: int
) -> None:
    monkeypatch.setattr(chunked, "LOGITS_AT_ONCE", 6 * chunk)
    loss, head = Shared(), nn.Linear(4, 6)
    targets = torch.arange(11) % 6
    known = Supervised(targets, targets > 2, targets % 3)
    total, _ = chunked.sum_over_states(torch.randn(11, 4), head, known, loss, 6)
    (2 * total).backward()
    assert loss.first.grad.tolist() == loss.second.grad.tolist() == [22.0] * 3
