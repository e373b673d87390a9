"""How fast a run is, and what it takes: tokens a second, memory, the share of the GPU's peak."""

from __future__ import annotations

import logging
import re
import resource
import sys
import time
from typing import Any

import lightning as L
import torch
from torch import Tensor, nn

from callbacks.generative_evaluation import GenerativeEvaluation
from synthpert.gpus import GPUS

log = logging.getLogger(__name__)


class RunFacts(L.Callback):
    """Logs the speed of training every `log_every_n_steps` optimiser steps, beside the loss.

    Logged: tokens_per_second, supervised_tokens_per_second and examples_per_second over the
    interval and all ranks (neither padding nor the time of evaluations counts), seconds since the
    fit began, peak_memory_gb (CUDA: allocated on the device; else: resident), and mfu, the share of
    the GPU's peak that the useful tokens need, where that peak is known. The seconds of the
    interval are split into data_seconds (waiting for batches), evaluation_seconds (validation and
    generative evaluation) and step_seconds (all else: forward, backward, optimiser, checkpoints);
    those of this process. One line sums up the run at its end. The device is waited for once an
    interval, not at each step.
    """

    def __init__(self) -> None:
        self._counts = torch.zeros(0)
        self._total = torch.zeros(3, dtype=torch.float64)
        self._step = -1
        self._steps_before = 0
        self._began = self._marked = self._paused = self._busy = self._waited = 0.0

    def on_train_start(self, trainer: L.Trainer, pl_module: L.LightningModule) -> None:
        """Start the clock."""
        self._counts = torch.zeros(3, dtype=torch.int64, device=pl_module.device)
        self._total = torch.zeros(3, dtype=torch.float64)
        self._step = self._steps_before = trainer.global_step
        self._began = self._marked = time.perf_counter()
        self._paused, self._busy, self._waited = -_evaluating(trainer), 0.0, _waiting(trainer)
        if pl_module.device.type == "cuda":
            torch.cuda.reset_peak_memory_stats(pl_module.device)

    def on_validation_start(self, trainer: L.Trainer, pl_module: L.LightningModule) -> None:
        """Stop the clock."""
        self._paused -= time.perf_counter()

    def on_validation_end(self, trainer: L.Trainer, pl_module: L.LightningModule) -> None:
        """Let the clock go on."""
        self._paused += time.perf_counter()

    def on_train_batch_end(
        self,
        trainer: L.Trainer,
        pl_module: L.LightningModule,
        outputs: Any,  # noqa: ANN401 - the hook's own type
        batch: Any,  # noqa: ANN401
        batch_idx: int,
    ) -> None:
        """Count the batch; log when an optimiser step ends an interval."""
        self._counts += count(batch)
        step = trainer.global_step
        every: int = trainer.log_every_n_steps  # type: ignore[attr-defined]
        if every and step != self._step and step % every == 0:
            figures = self._close(trainer, pl_module)
            # At the very steps at which Lightning writes the loss, so they share a row
            pl_module.log_dict(figures, on_step=True, on_epoch=False)
        self._step = step

    def on_train_end(self, trainer: L.Trainer, pl_module: L.LightningModule) -> None:
        """Sum up the run in one line."""
        self._close(trainer, pl_module)
        if not trainer.is_global_zero:
            return
        tokens, supervised, _ = self._total.tolist()
        log.info(
            "trained %s steps on %s tokens (%s supervised) in %.0f s: %s tokens/s, "
            "%.0f s of evaluation not counted, peak memory %.1f GB",
            f"{trainer.global_step - self._steps_before:,}",
            f"{tokens:,.0f}",
            f"{supervised:,.0f}",
            self._busy,
            f"{tokens / max(self._busy, 1e-9):,.0f}",
            time.perf_counter() - self._began - self._busy,
            _peak_memory(pl_module.device) / 1e9,
        )

    def _close(self, trainer: L.Trainer, pl_module: L.LightningModule) -> dict[str, float]:
        """Close the interval: sum over ranks, which waits for the device, and read the clock."""
        counts = trainer.strategy.reduce(self._counts.clone(), reduce_op="sum")
        counts = torch.as_tensor(counts).to("cpu", torch.float64)
        now, paused = time.perf_counter(), self._paused + _evaluating(trainer)
        seconds = max(now - self._marked - paused, 1e-9)
        self._marked, self._paused = now, self._paused - paused
        data, self._waited = _waiting(trainer) - self._waited, _waiting(trainer)
        self._counts.zero_()
        self._total += counts
        self._busy += seconds
        tokens, supervised, examples = (counts / seconds).tolist()
        figures = {
            "tokens_per_second": tokens,
            "supervised_tokens_per_second": supervised,
            "examples_per_second": examples,
            "seconds": now - self._began,
            "data_seconds": data,
            "step_seconds": seconds - data,
            "evaluation_seconds": paused,
            "peak_memory_gb": _peak_memory(pl_module.device) / 1e9,
        }
        peak = peak_flops(pl_module.device)
        if peak:
            figures["mfu"] = tokens * flops_per_token(pl_module) / (peak * trainer.world_size)
        return figures


def count(batch: dict[str, Tensor]) -> Tensor:
    """Count a batch without waiting for the device.

    Args:
        batch: `input_ids` and `labels` (B, T) int64, the labels -100 where not trained on;
            `lengths` (B,) int64.

    Returns:
        Tokens without padding, supervised tokens, examples; shape (3,), int64.
    """
    lengths, labels = batch["lengths"], batch["labels"]
    examples = torch.full((), lengths.numel(), device=labels.device)
    return torch.stack([lengths.sum().to(labels.device), (labels != -100).sum(), examples])


def flops_per_token(module: nn.Module) -> float:
    """Floating-point operations that training needs for one token.

    Two for each weight of a linear layer in the forward pass, two for the gradient of its input,
    two for that of the weight where it is trained. Attention's own products are left out (2.5 % at
    512 tokens for an 8B Llama), and so is what activation checkpointing computes twice.
    """
    flops = 0.0
    for layer in module.modules():
        if isinstance(layer, nn.Linear):
            # not weight.numel(): a 4-bit weight is packed
            size = layer.in_features * layer.out_features
            flops += (6 if layer.weight.requires_grad else 4) * size
    return flops


def peak_flops(device: torch.device) -> float | None:
    """Dense bfloat16 FLOP/s of a GPU in the table; None for others, and for a slice of one."""
    if device.type != "cuda":
        return None
    return named_peak_flops(torch.cuda.get_device_name(device))


def named_peak_flops(name: str) -> float | None:
    """As `peak_flops`, by the name that CUDA gives, such as `NVIDIA A100-SXM4-80GB`."""
    found = re.search(r"(?<![A-Z])([AHL]\d+S?)\b(?:\s(PCIe|NVL))?", name)
    if found is None or "MIG" in name:
        return None
    # A form without a row of its own is as fast as the card of that name.
    gpu = GPUS.get("-".join(filter(None, found.groups()))) or GPUS.get(found[1])
    return gpu.flops if gpu else None


def _evaluating(trainer: L.Trainer) -> float:
    """Seconds that generative evaluations took since the fit began."""
    evaluations: list[Any] = [
        each for each in getattr(trainer, "callbacks", []) if isinstance(each, GenerativeEvaluation)
    ]
    return float(sum(each.seconds for each in evaluations))


def _waiting(trainer: L.Trainer) -> float:
    """Seconds spent waiting for training batches so far; 0 of a loader that does not count them."""
    return float(getattr(trainer.train_dataloader, "waited", 0.0))


def _peak_memory(device: torch.device) -> float:
    """Bytes."""
    if device.type == "cuda":
        return float(torch.cuda.max_memory_allocated(device))
    unit = 1 if sys.platform == "darwin" else 1024
    return float(resource.getrusage(resource.RUSAGE_SELF).ru_maxrss * unit)
