"""The tables of an estimate, on stdout."""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

from synthpert.display import show
from tools.estimate import SHARES
from tools.estimate.shapes import Shape, find_shape, scratch_shape
from tools.estimate.tokens import lengths_of
from tools.estimate.work import work_of

if TYPE_CHECKING:
    from synthpert.gpus import Gpu
    from tools.building import Built
    from tools.estimate.memory import Memory
    from tools.estimate.tokens import Lengths
    from tools.estimate.work import Work

_GB: Final = 1e9
# CUDA's context and what allocators leave unused.
_ROOM: Final = 0.95


def report(
    built: Built, gpu: Gpu, traces: int | None, asked: str | None, claim: float | None
) -> None:
    """Show what a recipe takes.

    Args:
        built: What the recipe describes.
        gpu: The card it is to run on.
        traces: So many traces of the paper's lengths in place of the recipe's data.
        asked: The shape of a base that is not here.
        claim: Hours that somebody says it takes.

    Raises:
        InputError: If data or shape are wrong.
    """
    name = built.student.base  # before a local folder takes its place
    known = find_shape(name, asked) if built.student.scratch is None else None
    lengths = lengths_of(built, traces)
    shape = known or _made_shape(built)
    work = work_of(built, shape, lengths)
    _show_work(name, built, shape, lengths, work)
    _show_hours(gpu, work, claim)
    _show_memory(gpu, work)


def _made_shape(built: Built) -> Shape:
    assert built.student.scratch is not None
    return scratch_shape(built.student.scratch, len(built.student.encoder.tokenizer))


def _show_work(name: str, built: Built, shape: Shape, lengths: Lengths, work: Work) -> None:
    lora = built.student.lora
    trained = shape.adapters(lora) if lora is not None else shape.parameters
    rows = [
        ("parameters", f"{shape.parameters / 1e6:,.1f} M"),
        ("of them and the adapters trained", f"{trained / 1e6:,.1f} M"),
        ("examples", f"{lengths.examples:,}"),
        ("tokens of an example", f"{lengths.mean:,.0f}, the longest {lengths.longest:,}"),
        ("epochs", f"{work.epochs:,.3g}"),
        ("examples of an optimiser step", f"{work.step:,}"),
        ("optimiser steps", f"{work.steps:,}"),
        ("tokens", f"{work.tokens / 1e6:,.2f} M"),
        ("FLOPs of a token", f"{work.flops_a_token / 1e9:,.3g} GFLOP"),
        ("FLOPs", f"{work.flops:.3g}"),
    ]
    checkpointing = "with" if built.student.gradient_checkpointing else "without"
    caption = f"Lengths: {lengths.source}. FLOPs: forward and backward, {checkpointing} activation "
    show(f"Work of {name}", ("what", "how much"), rows, f"{caption}checkpointing.")


def _show_hours(gpu: Gpu, work: Work, claim: float | None) -> None:
    shares = (1.0, *reversed(SHARES))
    cards = gpu.name if work.devices == 1 else f"{work.devices} x {gpu.name}"
    rate = gpu.flops * work.devices / work.flops_a_token
    training = [work.training_hours(gpu, share) for share in shares]
    answering = [work.evaluation_hours(gpu, share) for share in shares]
    rows = [
        ("tokens/s", *(f"{rate * share:,.0f}" for share in shares)),
        ("training", *map(_hours, training)),
        (f"{work.evaluations:,} evaluations by generation", *map(_hours, answering)),
        ("both", *(_hours(a + b) for a, b in zip(training, answering, strict=True))),
    ]
    caption = f"Peak: {gpu.flops / 1e12:,.0f} TFLOP/s a card, dense bfloat16, of which training "
    caption += "reaches the share above (MFU); evaluations reach it of the memory's "
    caption += f"{gpu.bandwidth / 1e12:,.2f} TB/s. At the peak itself nothing runs."
    if claim is not None:
        caption += f"\n{_verdict(cards, work.share_needed(gpu, claim), claim, work)}"
    header = ("share of the peak", "1.00, the ceiling", *(f"{share:.2f}" for share in shares[1:]))
    show(f"Time on {cards}", header, rows, caption)


def _verdict(cards: str, share: float, claim: float, work: Work) -> str:
    """Say plainly what a claim of so many hours comes to."""
    said = f"{work.epochs:,.3g} epochs in {claim:g} hours on {cards} would need"
    if share > 1:
        return f"IMPOSSIBLE: {said} {share:.1f} times the peak."
    if share > max(SHARES):
        return f"UNLIKELY: {said} {share:.2f} of the peak; {max(SHARES)} is the most reckoned with."
    return f"POSSIBLE: {said} {share:.2f} of the peak."


def _hours(hours: float) -> str:
    return f"{hours:,.2f} h" if hours >= 1 else f"{hours * 60:,.1f} min"


def _show_memory(gpu: Gpu, work: Work) -> None:
    held = work.memory
    rows = [
        ("frozen weights", held.weights),
        ("trained weights, gradients, AdamW", held.trained),
        ("activations of the longest batch", held.activations),
        ("logits, a chunk at a time", held.logits),
        ("keys and values of an evaluation", held.generation),
        ("the most at once", held.peak),
        ("the card", gpu.memory),
    ]
    fits = held.peak <= gpu.memory * _ROOM
    caption = "Training and evaluation take turns. "
    caption += "It fits." if fits else "IT DOES NOT FIT: " + _advice(held)
    caption += f" Full logits, which are never built, would take {held.full_logits / _GB:,.1f} GB."
    texts = [(what, f"{size / _GB:,.2f}") for what, size in rows]
    show(f"Memory of one {gpu.name}", ("what", "GB"), texts, caption)


def _advice(held: Memory) -> str:
    if held.generation > held.activations + held.logits:
        return "a smaller --model.decoding.batch_size takes less."
    return (
        "--model.gradient_checkpointing true, a smaller --data.init_args.batch_size or "
        "--model.max_tokens takes less."
    )
