"""Peak memory and time of the loss over a 128k vocabulary: chunks against full logits.

    python benchmarks/loss_memory.py [--rounds 3] [--trained]

Each form runs in a process of its own, in turn, on random states of 2,048 supervised tokens, in
float32: forward and backward of the output head and the cross entropy. What is measured is the
resident memory at its peak, from the kernel, of the whole process and above what lay there before
the loss was called. Loss and gradients are compared by digests that each process sends.
"""

from __future__ import annotations

import argparse
import json
import resource
import statistics
import subprocess
import sys
import time
from typing import Any

import torch
from torch import Tensor, nn

from synthpert.chunked import sum_over_states
from synthpert.losses import CrossEntropy, Supervised

FORMS = ("full", "chunked")


def full(states: Tensor, head: nn.Linear, targets: Tensor) -> Tensor:
    """The cross entropy as it is usually written: all logits at once."""
    return nn.functional.cross_entropy(head(states).float(), targets, reduction="sum")


def chunked(states: Tensor, head: nn.Linear, targets: Tensor) -> Tensor:
    """The same sum as the student computes it."""
    known = Supervised(targets, torch.ones_like(targets, dtype=torch.bool), targets * 0)
    return sum_over_states(states, head, known, CrossEntropy(), head.out_features)[0]


def peak() -> int:
    """Resident memory of this process at its peak, bytes."""
    unit = 1 if sys.platform == "darwin" else 1024
    return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss * unit


def measure(form: str, tokens: int, vocabulary: int, width: int, trained: bool) -> dict[str, Any]:
    """Run one form in this process.

    Returns:
        Bytes at the peak and before, CPU seconds, the loss, and sums over the gradients.
    """
    torch.manual_seed(0)
    torch.set_num_threads(1)
    head = nn.Linear(width, vocabulary, bias=False).requires_grad_(trained)
    states = torch.randn(tokens, width).requires_grad_()
    targets = torch.randint(vocabulary, (tokens,))
    one = {"full": full, "chunked": chunked}[form]
    # Whatever is loaded at the first call is no memory of the loss.
    one(states[:2], head, targets[:2]).backward()
    states.grad = head.weight.grad = None
    before, began = peak(), time.process_time()
    total = one(states, head, targets)
    total.backward()
    seconds = time.process_time() - began
    found = {"form": form, "before": before, "peak": peak(), "seconds": seconds}
    assert states.grad is not None
    grads = [states.grad, *([head.weight.grad] if head.weight.grad is not None else [])]
    found["loss"] = float(total.detach()) / tokens
    found["digest"] = [float((g.double() * _signs(g)).norm()) for g in (x[:512] for x in grads)]
    return found


def _signs(like: Tensor) -> Tensor:
    return torch.linspace(1, 2, like.shape[1], dtype=torch.float64)


def child(form: str, args: argparse.Namespace) -> dict[str, Any]:
    """Run one form in a process of its own."""
    words = ["--form", form, "--tokens", str(args.tokens), "--vocabulary", str(args.vocabulary)]
    words += ["--width", str(args.width), *(["--trained"] if args.trained else [])]
    done = subprocess.run(
        [sys.executable, __file__, *words], capture_output=True, text=True, check=True
    )
    found: dict[str, Any] = json.loads(done.stdout.splitlines()[-1])
    return found


def main() -> None:
    """Measure both forms in turn and print the table."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0] if __doc__ else None)
    parser.add_argument("--tokens", type=int, default=2048)
    parser.add_argument("--vocabulary", type=int, default=128_256)
    parser.add_argument("--width", type=int, default=512)
    parser.add_argument("--rounds", type=int, default=3)
    parser.add_argument("--trained", action="store_true", help="the head is trained too (no LoRA)")
    parser.add_argument("--form", choices=FORMS, help=argparse.SUPPRESS)
    args = parser.parse_args()
    if args.form:
        shape = (args.tokens, args.vocabulary, args.width)
        print(json.dumps(measure(args.form, *shape, args.trained)))
        return
    runs = [child(form, args) for _ in range(args.rounds) for form in FORMS]
    middle = {
        form: {
            "seconds": statistics.median(x["seconds"] for x in runs if x["form"] == form),
            "process": statistics.median(x["peak"] for x in runs if x["form"] == form),
            "loss's own": statistics.median(
                x["peak"] - x["before"] for x in runs if x["form"] == form
            ),
        }
        for form in FORMS
    }
    print(f"{args.tokens:,} tokens, vocabulary {args.vocabulary:,}, width {args.width}, float32, ")
    print(f"head {'trained' if args.trained else 'frozen'}; medians of {args.rounds} rounds\n")
    print("| form | peak of the process, MB | of the loss, MB | CPU seconds |")
    print("| --- | --- | --- | --- |")
    for form, at in middle.items():
        whole, own = at["process"] / 1e6, at["loss's own"] / 1e6
        print(f"| {form} | {whole:,.0f} | {own:,.0f} | {at['seconds']:.2f} |")
    for name in ("process", "loss's own", "seconds"):
        print(f"{name}: full / chunked = {middle['full'][name] / middle['chunked'][name]:.2f}")
    first, second = runs[0], runs[1]
    apart = [abs(a / b - 1) for a, b in zip(first["digest"], second["digest"], strict=True)]
    print(
        f"loss apart by {abs(first['loss'] / second['loss'] - 1):.1e}, gradients {max(apart):.1e}"
    )


if __name__ == "__main__":
    main()
