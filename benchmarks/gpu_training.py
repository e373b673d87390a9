"""Training an 8B student on one GPU: tokens a second, share of the peak, memory; way by way.

    python benchmarks/gpu_training.py [--json figures.json]     one CUDA GPU with 80 GB
    python benchmarks/gpu_training.py --shape tiny              any machine, in minutes: does it run

The shape of Llama-3.1-8B with random bfloat16 weights, made on the GPU: nothing is downloaded. LoRA
r 32 on the seven projections, batches of 4, prompts of 130 to 170 tokens and responses of 250 to
450, the loss on the response. Ours is the real `Student` under Lightning's Trainer with the
callbacks of a run; each of its ways has one feature more than the one before. TRL is measured where
it is installed (`pip install trl`), unsloth likewise. Each way runs in a process of its own that
also measures a matrix product, for a limited time; a way that does not fit in memory, is too slow
or fails is a row of the table that says so.

MFU counts what the tokens need: 31.3 GFLOP each at the 8B shape, the logits of all positions and
all of attention's products among them, as is usual. The last column counts what full checkpointing
computes twice as well, 45.7. Both are shares of the matrix product measured beside them.
"""

from __future__ import annotations

import argparse
import importlib.metadata
import importlib.util
import json
import os
import random
import subprocess
import sys
import tempfile
from pathlib import Path
from typing import Any

from gpu_ways import (
    BATCH,
    MODULES,
    OURS,
    SHAPES,
    TRL,
    UNSLOTH,
    WAYS,
    Clock,
    checkpointing_of,
    matmul_flops,
    peak_gb,
    random_weights,
)

from synthpert.bases import Lora
from tools.estimate.shapes import Shape, flops_per_token

COUNT = 200 * BATCH
VERSIONS = ("torch", "lightning", "transformers", "peft", "liger-kernel", "trl", "unsloth")
HEAD = ("way", "tokens/s", "supervised/s", "peak GB", "MFU", "with recomputation", "steps")


def main(words: list[str] | None = None) -> None:
    """Measure the ways one after another, or one of them in this process."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--shape", choices=SHAPES, default="8b")
    parser.add_argument("--ways", nargs="+", choices=WAYS, default=list(WAYS))
    parser.add_argument("--seconds", type=float, default=60, help="of measured steps a way")
    parser.add_argument("--limit", type=float, default=900, help="of seconds a way in all")
    parser.add_argument("--steps", type=int, default=50, help="measured a way, at most")
    parser.add_argument("--json", type=Path, help="where to write the raw figures")
    parser.add_argument("--way", choices=WAYS, help=argparse.SUPPRESS)
    parser.add_argument("--folder", type=Path, help=argparse.SUPPRESS)
    options = parser.parse_args(words)
    if options.way:
        figures = measure(options.way, options)
        (options.folder / "figures.json").write_text(json.dumps(figures))
        return
    with tempfile.TemporaryDirectory() as folder:
        make_material(Path(folder), options.shape)
        rows = {way: in_child(way, options, Path(folder)) for way in options.ways}
    facts = {"shape": options.shape, "versions": versions(), "ways": rows}
    if options.json:
        options.json.write_text(json.dumps(facts, indent=1) + "\n")
    print(table(options.shape, rows))


def make_material(folder: Path, shape: str) -> None:
    """Write the base's configuration and tokenizer, without weights, and examples of random ids."""
    from transformers import LlamaConfig

    from synthpert.scratch import make_tokenizer

    base = folder / "base"
    tokenizer = make_tokenizer(())
    sizes = {**SHAPES[shape], "max_position_embeddings": 2048}
    special = {"pad_token_id": tokenizer.pad_token_id, "eos_token_id": tokenizer.eos_token_id}
    LlamaConfig(**sizes, **special, bos_token_id=tokenizer.bos_token_id).save_pretrained(base)
    tokenizer.save_pretrained(base)
    draw, examples = random.Random(0), []
    # At the tiny shape a tenth of the tokens.
    part = 1 if shape == "8b" else 10
    for _ in range(COUNT):
        prompt, response = draw.randint(130, 170) // part, draw.randint(250, 450) // part
        # Above the special tokens and bytes of the tokenizer.
        ids = [draw.randrange(270, sizes["vocab_size"]) for _ in range(prompt + response)]
        examples.append({"ids": ids, "prompt": prompt})
    (folder / "examples.json").write_text(json.dumps(examples))


def in_child(way: str, options: argparse.Namespace, folder: Path) -> dict[str, Any]:
    """The figures of one way, measured in a process of its own; else `status` says why not."""
    missing = [name for name in MODULES.get(way, ()) if importlib.util.find_spec(name) is None]
    if missing:
        return told(way, {"status": f"not installed: {', '.join(missing)}"})
    command = [sys.executable, __file__, "--way", way, "--folder", str(folder)]
    command += ["--shape", options.shape, "--seconds", str(options.seconds)]
    command += ["--steps", str(options.steps)]
    offline = {"HF_HUB_OFFLINE": "1", "TOKENIZERS_PARALLELISM": "false"}
    # Between small allocations of changing sizes, less memory is lost.
    memory = {"PYTORCH_CUDA_ALLOC_CONF": "expandable_segments:True"}
    result = folder / "figures.json"
    result.unlink(missing_ok=True)
    try:
        done = subprocess.run(
            command,
            env={**os.environ, **offline, **memory},
            capture_output=True,
            text=True,
            timeout=options.limit,
            check=False,
        )
    except subprocess.TimeoutExpired:
        return told(way, {"status": f"not done after {options.limit:.0f} s"})
    if not result.exists():
        last = [line for line in done.stderr.splitlines() if line.strip()][-1:]
        why = last[0].strip()[:160] if last else "no message"
        return told(way, {"status": f"failed ({done.returncode}): {why}"})
    figures: dict[str, Any] = json.loads(result.read_text())
    return told(way, figures)


def told(way: str, figures: dict[str, Any]) -> dict[str, Any]:
    """The figures, said as they come."""
    print(f"{way}: {figures}", file=sys.stderr, flush=True)
    return figures


def measure(way: str, options: argparse.Namespace) -> dict[str, Any]:
    """Train by one way in this process.

    Args:
        way: One of `WAYS`.
        options: `folder` of the material, `steps` and `seconds` at most.

    Returns:
        The figures, `status` "ok" among them; or `status` alone, where memory ran out.
    """
    import torch

    clock = Clock(options.steps, options.seconds)
    torch.manual_seed(0)
    try:
        rate = matmul_flops()
        with random_weights():
            train(way, options.folder, clock)
    except torch.OutOfMemoryError:
        return {"status": "out of memory", "peak_gb": peak_gb()}
    cuda = torch.cuda.is_available()
    return {
        **clock.figures(),
        "peak_gb": peak_gb(),
        "matmul_flops": rate,
        "checkpointing": checkpointing_of(way),
        "device": torch.cuda.get_device_name() if cuda else "CPU",
    }


def train(way: str, folder: Path, clock: Clock) -> None:
    """Train by one way; unsloth patches the others' packages, so none of ours comes before it."""
    if way in OURS:
        import gpu_ours

        gpu_ours.train(OURS[way], folder, clock)
        return
    import gpu_others

    if way in TRL:
        gpu_others.train_trl(TRL[way], folder, clock)
    else:
        gpu_others.train_unsloth(UNSLOTH[way], folder, clock)


def versions() -> dict[str, str]:
    """Versions of what is installed of the packages that matter."""
    found = {}
    for name in VERSIONS:
        try:
            found[name] = importlib.metadata.version(name)
        except importlib.metadata.PackageNotFoundError:
            found[name] = "not installed"
    return found


def table(shape: str, rows: dict[str, dict[str, Any]]) -> str:
    """The figures as Markdown, a row a way; what was not measured says why."""
    lines = [f"| {' | '.join(HEAD)} |", f"| --- |{' ---: |' * (len(HEAD) - 1)}"]
    for way, row in rows.items():
        if row["status"] != "ok":
            lines.append(f"| {way} | {row['status']} |{' |' * (len(HEAD) - 2)}")
            continue
        useful, computed = shares(shape, row)
        cells = [f"{row['tokens_per_second']:,.0f}", f"{row['supervised_per_second']:,.0f}"]
        cells += [f"{row['peak_gb']:.1f}", f"{useful:.2f}", f"{computed:.2f}", f"{row['steps']}"]
        lines.append(f"| {way} | {' | '.join(cells)} |")
    measured = [row for row in rows.values() if row["status"] == "ok"]
    if measured:
        rates = sorted(row["matmul_flops"] / 1e12 for row in measured)
        device = measured[0]["device"]
        text = f"{device}; matrix product {rates[0]:,.1f} to {rates[-1]:,.1f} TFLOP/s"
        lines += ["", f"{text}; {BATCH} examples a step."]
    return "\n".join(lines)


def shares(shape: str, row: dict[str, Any]) -> tuple[float, float]:
    """MFU, and the same with what full checkpointing computes twice."""
    names = Shape.__annotations__
    sizes = Shape(**{name: value for name, value in SHAPES[shape].items() if name in names})
    rate = row["tokens_per_second"] / row["matmul_flops"]
    useful, computed = (
        rate * flops_per_token(sizes, Lora(), row["length"], checkpointing=again)
        for again in (False, row["checkpointing"] == "full")
    )
    return useful, computed


if __name__ == "__main__":
    main()
