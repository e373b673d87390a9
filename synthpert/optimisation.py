"""The optimiser of the trained weights, and its learning rate over the steps."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, Literal

from torch import nn
from torch.optim import AdamW, Optimizer
from torch.optim.lr_scheduler import LambdaLR

from synthpert.errors import InputError

Schedule = Literal["linear", "constant"]


def adamw(
    module: nn.Module, rate: float, decay: float, *, plus: float | None, fused: bool
) -> Optimizer:
    """AdamW (Loshchilov and Hutter 2019, arXiv:1711.05101) over the trained weights.

    Args:
        module: What is trained: the network, and the loss where it has weights of its own.
        rate: Peak learning rate.
        decay: Decoupled weight decay.
        plus: How often `rate` the adapters' B matrices learn at (LoRA+, Hayou et al. 2024,
            arXiv:2402.12354), grouped by PEFT, which counts DoRA's magnitudes among them; null
            for one rate.
        fused: Whether torch's fused kernel does the step.
    """
    if plus is None:
        trained = [weight for weight in module.parameters() if weight.requires_grad]
        return AdamW(trained, rate, weight_decay=decay, fused=fused)
    from peft.optimizers import create_loraplus_optimizer

    # It asks for PEFT's wrapper, and of that for no more than its parameters and their names.
    trained_by_name: Any = module
    return create_loraplus_optimizer(
        trained_by_name,
        AdamW,
        lr=rate,
        loraplus_lr_ratio=plus,
        # Of the A and B matrices; `weight_decay` would be that of no group.
        loraplus_weight_decay=decay,
        fused=fused,
    )


def warmed_up(
    optimizer: Optimizer, schedule: Schedule, warmup: int, steps: Callable[[], float]
) -> LambdaLR:
    """Linear warm-up, then the schedule; every group by the same factor.

    Args:
        optimizer: At its peak rates.
        schedule: `linear` decay to zero at the last step, or `constant`.
        warmup: Optimiser steps of warm-up.
        steps: Gives the optimiser steps of the run; asked for a linear schedule alone.

    Raises:
        InputError: If a linear schedule has no last step.
    """
    decays = schedule == "linear"
    last = steps() if decays else 0
    if last == float("inf"):
        raise InputError("a linear schedule needs an end", column="trainer.max_epochs")

    def factor(step: int) -> float:
        if step < warmup:
            return (step + 1) / (warmup + 1)
        return max(0.0, (last - step) / max(1, last - warmup)) if decays else 1.0

    return LambdaLR(optimizer, factor)
