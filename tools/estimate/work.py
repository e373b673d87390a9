"""A recipe's work: steps, tokens, FLOPs, evaluations, and the hours they take on a GPU."""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Final

from synthpert.errors import InputError
from tools.estimate.memory import Memory, memory
from tools.estimate.shapes import Shape, flops_per_token

if TYPE_CHECKING:
    from synthpert.gpus import Gpu
    from tools.building import Built
    from tools.estimate.tokens import Lengths

_HOUR: Final = 3600.0
_WIDTHS: Final = {"bfloat16": 2, "float32": 4}


@dataclass(frozen=True)
class Work:
    """What a recipe does, all devices together.

    Attributes:
        step: Examples of an optimiser step.
        steps: Optimiser steps.
        epochs: Times that the examples are gone through; not whole where `max_steps` ends it.
        tokens: Trained on, prompts included, padding not.
        flops_a_token: Forward and backward.
        evaluations: How often the student answers questions while it is trained.
        decoding_steps: Steps of decoding of all evaluations, one after the other, on one device.
        memory: Of one device.
        devices: GPUs.
    """

    step: int
    steps: int
    epochs: float
    tokens: float
    flops_a_token: float
    evaluations: int
    decoding_steps: int
    memory: Memory
    devices: int

    @property
    def flops(self) -> float:
        """Of training, all of it."""
        return self.tokens * self.flops_a_token

    def training_hours(self, gpu: Gpu, share: float) -> float:
        """Hours of training.

        Args:
            gpu: The card.
            share: Of its peak FLOP/s.
        """
        return self.flops / (gpu.flops * share * self.devices) / _HOUR

    def evaluation_hours(self, gpu: Gpu, share: float) -> float:
        """Hours of answering: each step of decoding reads all weights, and half the keys at most.

        Args:
            gpu: The card.
            share: Of the bandwidth of its memory.
        """
        read = self.memory.weights + self.memory.trained / 4 + self.memory.generation / 2
        return self.decoding_steps * read / (gpu.bandwidth * share) / _HOUR

    def share_needed(self, gpu: Gpu, hours: float) -> float:
        """What share of the peak training within so many hours would need; above 1, impossible."""
        return self.training_hours(gpu, 1.0) / hours


def work_of(built: Built, shape: Shape, lengths: Lengths) -> Work:
    """Work out what a recipe does.

    Args:
        built: What the recipe describes.
        shape: Of its base.
        lengths: Of its examples.

    Raises:
        InputError: If the recipe has no end, or too few examples for one step.
    """
    student, trainer = built.student, built.trainer
    accumulate = trainer.accumulate_grad_batches
    batches, batch, longest = _batches(built, lengths)
    batches = _limited(batches, trainer.limit_train_batches)
    an_epoch = math.ceil(batches / accumulate)
    if not an_epoch:
        raise InputError("fewer examples than devices", column="data", got=lengths.examples)
    steps = _steps(an_epoch, trainer.max_epochs, trainer.max_steps)
    used = min(lengths.examples, batches * batch * built.devices)
    evaluations, decoding = _evaluations(built, steps, lengths)
    answered = student.decoding.batch_size * (lengths.prompt + student.decoding.max_new_tokens)
    return Work(
        step=round(min(batch * accumulate * built.devices, used)),
        steps=steps,
        epochs=steps / an_epoch,
        tokens=steps / an_epoch * used * lengths.mean,
        flops_a_token=flops_per_token(
            shape, student.lora, lengths.within, checkpointing=student.gradient_checkpointing
        ),
        evaluations=evaluations,
        decoding_steps=decoding,
        memory=memory(
            shape,
            student.lora,
            width=_width(built),
            quantized=student.quantize is not None,
            tokens=longest,
            answered=round(answered) if evaluations else 0,
            checkpointing=student.gradient_checkpointing,
        ),
        devices=built.devices,
    )


def _batches(built: Built, lengths: Lengths) -> tuple[int, float, int]:
    """Micro-batches an epoch and device, examples of each, tokens of the longest."""
    size, budget = built.data.batch_size, getattr(built.data, "tokens_per_batch", None)
    if budget:
        packs = lengths.packs or math.ceil(lengths.examples * lengths.mean / budget)
        return packs // built.devices, lengths.examples / packs, budget
    whole, tail = divmod(lengths.examples, size * built.devices)
    return whole + (tail >= built.devices), size, size * lengths.longest


def _steps(an_epoch: int, max_epochs: int | None, max_steps: int) -> int:
    """Optimiser steps, where epochs or steps, whichever is first, end it."""
    by_epochs = an_epoch * max_epochs if max_epochs is not None and max_epochs >= 0 else None
    ends = [end for end in (by_epochs, max_steps if max_steps >= 0 else None) if end is not None]
    if not ends:
        raise InputError("this training has no end", column="trainer.max_epochs")
    return min(ends)


def _limited(batches: int, limit: float | int | None) -> int:
    """Batches of an epoch under Lightning's `limit_train_batches`, a share or a number."""
    if limit is None:
        return batches
    return int(batches * limit) if isinstance(limit, float) else min(batches, limit)


def _evaluations(built: Built, steps: int, lengths: Lengths) -> tuple[int, int]:
    """How many evaluations by generation there are, and their steps of decoding on a device."""
    decoding = built.student.decoding
    # As long as the longest answer of a batch: as the longest trace, the model being trained to.
    written = min(decoding.max_new_tokens, lengths.response)
    count = found = 0
    for each in built.trainer.callbacks:
        if not _evaluates(each):
            continue
        every = each.every_n_steps
        due = steps // every if every else 0
        at_end = each.at_end and not (every and steps % every == 0)
        times = due + bool(each.at_start) + bool(at_end)
        batches = math.ceil(each.questions / built.devices / decoding.batch_size)
        count += times
        found += times * batches * decoding.samples * written
    return count, found


def _evaluates(callback: Any) -> bool:  # noqa: ANN401 - of this project or a user's own
    wanted = ("every_n_steps", "at_start", "at_end", "questions")
    return all(hasattr(callback, name) for name in wanted)


def _width(built: Built) -> int:
    """Bytes of an activation; a float32 base computes in 2 under mixed precision, but stays 4."""
    if built.student.lora is None and built.precision.startswith(("bf16", "16")):
        return 2
    return _WIDTHS[built.student.dtype_name]
