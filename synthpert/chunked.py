"""A loss over the supervised positions of a batch, without the logits of all of them at once.

The logits of a 128k vocabulary are the largest tensor of a training step. Here a chunk of them is
made, turned into its part of the sum and of the gradient, and dropped, before the next one.
"""

from __future__ import annotations

import functools
import importlib
import importlib.util
import logging
from collections.abc import Callable
from typing import TYPE_CHECKING, Any

import torch
from torch import Tensor, nn
from torch.autograd.function import once_differentiable

from synthpert.encoding import IGNORED
from synthpert.layouts import read
from synthpert.losses import CrossEntropy, Supervised, TokenLoss

if TYPE_CHECKING:
    from transformers import PreTrainedModel

log = logging.getLogger(__name__)

# 128 positions of a 128k vocabulary. A CPU is as fast with it as with all of them at once; with a
# quarter of it, it is not.
LOGITS_AT_ONCE = 2**24
"""Logits that are computed at a time."""


def sum_over_supervised(
    model: PreTrainedModel,
    batch: dict[str, Tensor],
    loss: TokenLoss,
    head_is_last: bool,
    flattened: bool = False,
) -> tuple[Tensor, Tensor]:
    """Sum a loss over the supervised tokens of a batch, each times its weight.

    Args:
        model: A causal language model.
        batch: `input_ids` and `labels` (B, T), right-padded; `lengths`, `answer_start` and
            `label` (B,).
        loss: The loss of a token, and its weight.
        head_is_last: Whether the logits are the output embedding of the decoder's last state; if
            not, the model computes them all itself.
        flattened: Whether to put the examples into one row without padding; see `layouts.choose`.

    Returns:
        The weighted sum, a float64 scalar with its gradient, and the sum of the weights, float64
        too: the number of supervised tokens where all count the same.
    """
    # The state at t predicts the token at t + 1.
    targets = batch["labels"][:, 1:]
    mask = targets != IGNORED
    place = torch.arange(1, batch["labels"].shape[1], device=targets.device)
    in_answer = place >= batch["answer_start"][:, None]
    label = batch["label"][:, None].expand_as(targets)
    supervised = Supervised(targets[mask], in_answer[mask], label[mask])
    wanted = nn.functional.pad(mask, (0, 1))
    states = read(model, batch, wanted, head_is_last, flattened)
    head = model.get_output_embeddings() if head_is_last else nn.Identity()
    return sum_over_states(states, head, supervised, loss, model.config.vocab_size)


def sum_over_states(
    states: Tensor, head: nn.Module, supervised: Supervised, loss: TokenLoss, vocab_size: int
) -> tuple[Tensor, Tensor]:
    """As `sum_over_supervised`, of the states that predict the supervised tokens.

    Args:
        states: (N, H), what the head makes logits of.
        head: From states to logits.
        supervised: What is known of the N positions.
        loss: The loss of a token, and its weight.
        vocab_size: V, the logits of a state.
    """
    fused = fused_cross_entropy(states.device, head, loss)
    if fused is not None and len(states):
        return fused(states, supervised.targets), torch.tensor(
            float(len(states)), dtype=torch.float64, device=states.device
        )
    weight = loss.weight(supervised)
    chunk = max(1, LOGITS_AT_ONCE // vocab_size)
    total = _sum_in_chunks(states, head, supervised, weight, loss, chunk)
    return total, weight.sum(dtype=torch.float64)


def fused_cross_entropy(
    device: torch.device, head: nn.Module, loss: TokenLoss
) -> Callable[[Tensor, Tensor], Tensor] | None:
    """Liger's fused linear cross entropy (Hsu et al. 2024, arXiv:2410.10989), where it serves.

    Args:
        device: Of the states; its kernels are of CUDA.
        head: A plain linear layer is needed: no adapters, not quantised.
        loss: Plain cross entropy is needed.

    Returns:
        States (N, H) and targets (N,), N above 0, to the sum of their cross entropies; None where
        it does not serve, or liger-kernel is not installed.
    """
    if device.type != "cuda" or type(loss) is not CrossEntropy or type(head) is not nn.Linear:
        return None
    kernel = _liger()
    if kernel is None:
        return None
    weight, bias = head.weight, head.bias

    def fused(states: Tensor, targets: Tensor) -> Tensor:
        # It multiplies outside of autocast, which would have cast the states.
        states = states.to(weight.dtype)
        total: Tensor = kernel(states, weight, targets, bias=bias, reduction="sum")
        return total.double()

    return fused


@functools.cache
def _liger() -> Callable[..., Any] | None:
    # Not by an import statement: it is an extra, and needs triton, which builds for CPUs lack.
    if not all(importlib.util.find_spec(name) for name in ("liger_kernel", "triton")):
        return None
    log.info("cross entropy by liger-kernel")
    module = importlib.import_module("liger_kernel.transformers.functional")
    kernel: Callable[..., Any] = module.liger_fused_linear_cross_entropy
    return kernel


def _sum_in_chunks(
    states: Tensor,
    head: nn.Module,
    supervised: Supervised,
    weight: Tensor,
    loss: TokenLoss,
    chunk: int,
) -> Tensor:
    def of_part(part_states: Tensor, part: slice) -> Tensor:
        values: Tensor = loss(head(part_states), supervised[part])
        # In float32 the sum would round by more than a step may depend on its micro-batches.
        return (values * weight[part]).sum(dtype=torch.float64)

    trained = [p for p in (*head.parameters(), *loss.parameters()) if p.requires_grad]
    if torch.is_grad_enabled() and (trained or states.requires_grad):
        total: Tensor = _SumInChunks.apply(of_part, chunk, states, *trained)
        return total
    total = states.new_zeros((), dtype=torch.float64)
    for part in _parts(len(states), chunk):
        total += of_part(states[part], part)
    return total


def _parts(size: int, chunk: int) -> list[slice]:
    return [slice(start, start + chunk) for start in range(0, size, chunk)]


class _SumInChunks(torch.autograd.Function):
    """A sum over chunks whose gradient is computed with it.

    As in Liger's kernel: the gradient of a sum is known up to one factor, so each chunk is carried
    back while its logits are there. Computed again in the backward pass, they would cost a third
    of the head's time.
    """

    @staticmethod
    def forward(
        ctx: Any,  # noqa: ANN401 - torch's own
        of_part: Callable[[Tensor, slice], Tensor],
        chunk: int,
        states: Tensor,
        *trained: Tensor,
    ) -> Tensor:
        total = states.new_zeros((), dtype=torch.float64)
        of_states = torch.empty_like(states)
        of_trained = [torch.zeros_like(each) for each in trained] if not len(states) else []
        for number, part in enumerate(_parts(len(states), chunk)):
            with torch.enable_grad():
                leaf = states[part].detach().requires_grad_()
                value = of_part(leaf, part)
            of_states[part], *found = torch.autograd.grad(
                value, (leaf, *trained), allow_unused=True, materialize_grads=True
            )
            total += value.detach()
            # Autograd may hand out one tensor twice: only what is a sum already is our own.
            add = Tensor.add_ if number > 1 else Tensor.add
            of_trained = list(map(add, of_trained, found)) if number else found
        ctx.grads = [of_states, *of_trained]
        ctx.own = len(states) > chunk
        return total

    @staticmethod
    @once_differentiable
    def backward(ctx: Any, above: Tensor) -> tuple[Tensor | None, ...]:  # noqa: ANN401 - torch's
        # In place, for a head of a large vocabulary is large; a second pass would find nothing.
        grads, ctx.grads = ctx.grads, None
        times = Tensor.mul_ if ctx.own else Tensor.mul
        return (None, None, *(times(grad, above) for grad in grads))
