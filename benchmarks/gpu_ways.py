"""The ways of training that `gpu_training.py` compares: ours feature by feature, TRL, unsloth."""

from __future__ import annotations

import argparse
import contextlib
import json
import resource
import time
from collections.abc import Iterator
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any, Literal

BATCH = 4
# Compilation and the autotuning of kernels end within these.
WARM_UP = 5
R = 32
TARGETS = ("q_proj", "k_proj", "v_proj", "o_proj", "gate_proj", "up_proj", "down_proj")
SHAPES: dict[str, dict[str, Any]] = {
    "8b": {
        "vocab_size": 128_256,
        "hidden_size": 4096,
        "intermediate_size": 14_336,
        "num_hidden_layers": 32,
        "num_attention_heads": 32,
        "num_key_value_heads": 8,
        "rope_theta": 500_000.0,
    },
    "tiny": {
        "vocab_size": 1024,
        "hidden_size": 64,
        "intermediate_size": 128,
        "num_hidden_layers": 2,
        "num_attention_heads": 4,
        "num_key_value_heads": 2,
    },
}
Checkpointing = Literal["none", "selective", "full"]


@dataclass(frozen=True)
class Way:
    """Which features are on.

    Args:
        flattened: Examples in one row without padding, else padded.
        all_logits: Logits of all positions at once, as transformers' own loss takes them; else of
            the supervised ones, a chunk at a time.
        flash: FlashAttention of variable lengths, else PyTorch's attention; CUDA only.
        compiled: The transformer blocks, by `torch.compile`.
        checkpointing: Which activations are computed again in the backward pass.
    """

    flattened: bool = False
    all_logits: bool = True
    flash: bool = False
    compiled: bool = False
    checkpointing: Checkpointing = "full"


_CHUNKED = Way(all_logits=False)
_FLAT = replace(_CHUNKED, flattened=True)
_FLASH = replace(_FLAT, flash=True)
_NONE = replace(_FLASH, checkpointing="none")
OURS = {
    "padded, all logits, full checkpointing": Way(),
    "+ chunked loss": _CHUNKED,
    "+ flattened (SDPA)": _FLAT,
    "+ FlashAttention": _FLASH,
    "+ selective checkpointing": replace(_FLASH, checkpointing="selective"),
    "+ no checkpointing: the default": _NONE,
    "+ torch.compile": replace(_NONE, compiled=True),
}
TRL: dict[str, dict[str, Any]] = {
    "TRL, default": {},
    "TRL, no checkpointing": {"gradient_checkpointing": False},
    "TRL, no checkpointing, Liger": {"gradient_checkpointing": False, "use_liger_kernel": True},
}
UNSLOTH: dict[str, bool | str] = {"unsloth, default": "unsloth", "unsloth, no checkpointing": False}
WAYS = (*OURS, *TRL, *UNSLOTH)
MODULES: dict[str, tuple[str, ...]] = {
    **dict.fromkeys(TRL, ("trl",)),
    "TRL, no checkpointing, Liger": ("trl", "liger_kernel"),
    **dict.fromkeys(UNSLOTH, ("trl", "unsloth")),
}


class Clock:
    """Counts the tokens of the steps after the warm-up, and the seconds they took.

    Args:
        steps: Measured at most.
        seconds: After which no further step is begun.
    """

    def __init__(self, steps: int, seconds: float) -> None:
        self.limit, self.seconds = steps, seconds
        self.steps = -WARM_UP
        self.tokens = self.supervised = self.squares = 0
        self.began = self.ended = 0.0

    def stepped(self, lengths: list[int], supervised: int) -> bool:
        """Note the end of a step; whether it was the last."""
        self.steps += 1
        if self.steps <= 0:
            synchronise()
            self.began = self.ended = time.perf_counter()
            return False
        self.tokens += sum(lengths)
        self.squares += sum(length * length for length in lengths)
        self.supervised += supervised
        over = self.steps >= self.limit or time.perf_counter() - self.began > self.seconds
        if over:
            synchronise()
        self.ended = time.perf_counter()
        return over

    def figures(self) -> dict[str, Any]:
        """What was measured; `length` is the one that a mean token finds itself in."""
        wall = self.ended - self.began
        return {
            "status": "ok",
            "tokens_per_second": self.tokens / wall,
            "supervised_per_second": self.supervised / wall,
            "length": self.squares / self.tokens,
            "steps": self.steps,
            "seconds": wall,
        }


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
    train = train_ours if way in OURS else train_trl if way in TRL else train_unsloth
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


def checkpointing_of(way: str) -> str:
    """How a way saves memory: `none`, `selective` or `full`."""
    if way in OURS:
        return OURS[way].checkpointing
    return "none" if "no checkpointing" in way else "full"


def matmul_flops() -> float:
    """FLOP/s of a bfloat16 product of two square matrices; float32 on a CPU."""
    import torch

    cuda = torch.cuda.is_available()
    size, kind = (8192, torch.bfloat16) if cuda else (1024, torch.float32)
    left, right = (torch.randn(size, size, device=device()).to(kind) for _ in range(2))
    for _ in range(5):
        left @ right
    synchronise()
    began, count = time.perf_counter(), 20
    for _ in range(count):
        left @ right
    synchronise()
    return count * 2 * size**3 / (time.perf_counter() - began)


@contextlib.contextmanager
def random_weights() -> Iterator[None]:
    """Where a base is loaded, its weights are drawn on the device: none were ever written."""
    import torch
    from transformers import AutoConfig, AutoModelForCausalLM

    def made(base: str, dtype: torch.dtype, **options: Any) -> Any:
        where = options.get("attn_implementation")
        config = AutoConfig.from_pretrained(base)
        with torch.device(device()):
            return AutoModelForCausalLM.from_config(config, dtype=dtype, attn_implementation=where)

    stock = AutoModelForCausalLM.from_pretrained
    AutoModelForCausalLM.from_pretrained = made
    try:
        yield
    finally:
        AutoModelForCausalLM.from_pretrained = stock


def train_ours(name: str, folder: Path, clock: Clock) -> None:
    """By the student under Lightning's Trainer, with the callbacks and the logger of a run."""
    import gpu_ours

    gpu_ours.train(OURS[name], folder, clock)


def train_trl(name: str, folder: Path, clock: Clock) -> None:
    """By TRL's SFTTrainer on PEFT's adapters, frozen bfloat16 base, as ours."""
    import torch
    from peft import LoraConfig
    from transformers import AutoModelForCausalLM, AutoTokenizer

    base = folder / "base"
    model = AutoModelForCausalLM.from_pretrained(str(base), dtype=torch.bfloat16)
    lora = LoraConfig(r=R, lora_alpha=R, target_modules=list(TARGETS), task_type="CAUSAL_LM")
    tokenizer = AutoTokenizer.from_pretrained(base)
    sft(model, tokenizer, folder, clock, TRL[name], peft_config=lora)


def train_unsloth(name: str, folder: Path, clock: Clock) -> None:
    """By unsloth's model under TRL's trainer; it loads from a folder, so weights are written."""
    import torch

    # It patches the others, so it comes first.
    from unsloth import FastLanguageModel  # isort: skip
    from transformers import AutoModelForCausalLM, AutoTokenizer

    base, full = folder / "base", folder / "full"
    AutoTokenizer.from_pretrained(base).save_pretrained(full)
    AutoModelForCausalLM.from_pretrained(str(base), dtype=torch.bfloat16).save_pretrained(full)
    torch.cuda.empty_cache()
    torch.cuda.reset_peak_memory_stats()
    settings = {"max_seq_length": 1024, "dtype": torch.bfloat16, "load_in_4bit": False}
    model, tokenizer = FastLanguageModel.from_pretrained(model_name=str(full), **settings)
    adapters = {"r": R, "lora_alpha": R, "lora_dropout": 0, "target_modules": list(TARGETS)}
    saving = UNSLOTH[name]
    model = FastLanguageModel.get_peft_model(model, use_gradient_checkpointing=saving, **adapters)
    sft(model, tokenizer, folder, clock, {"gradient_checkpointing": bool(saving)})


def sft(
    model: Any,
    tokenizer: Any,
    folder: Path,
    clock: Clock,
    settings: dict[str, Any],
    **more: Any,
) -> None:
    """Train by SFTTrainer on the examples as they are, ids and labels, until the clock says so."""
    from datasets import Dataset
    from datasets.table import InMemoryTable
    from transformers import TrainerCallback
    from trl import SFTConfig, SFTTrainer

    rows = [
        {
            "input_ids": each["ids"],
            "labels": [-100] * each["prompt"] + each["ids"][each["prompt"] :],
        }
        for each in json.loads((folder / "examples.json").read_text())
    ]
    seen: list[tuple[list[int], int]] = []

    class Counted(SFTTrainer):
        def compute_loss(self, model: Any, inputs: Any, *rest: Any, **named: Any) -> Any:
            lengths = inputs["attention_mask"].sum(1).tolist()
            seen.append((lengths, int((inputs["labels"] != -100).sum())))
            return super().compute_loss(model, inputs, *rest, **named)

    class Watch(TrainerCallback):
        def on_step_end(self, args: Any, state: Any, control: Any, **named: Any) -> None:
            if clock.stepped(*seen.pop()):
                control.should_training_stop = True

    config = SFTConfig(
        output_dir=str(folder / "sft"),
        per_device_train_batch_size=BATCH,
        num_train_epochs=1,
        # Examples come with ids and labels: nothing is left to be tokenised.
        dataset_kwargs={"skip_prepare_dataset": True},
        bf16=device() == "cuda",
        use_cpu=device() == "cpu",
        report_to="none",
        save_strategy="no",
        disable_tqdm=True,
        **settings,
    )
    # A name of its own, or the rows would be pickled for one.
    data = Dataset(InMemoryTable.from_pylist(rows), fingerprint="random")
    parts = {"args": config, "train_dataset": data, "processing_class": tokenizer}
    Counted(model=model, callbacks=[Watch()], **parts, **more).train()


def device() -> str:
    """`cuda` where there is a GPU, else `cpu`."""
    import torch

    return "cuda" if torch.cuda.is_available() else "cpu"


def synchronise() -> None:
    """Wait for the GPU, if there is one."""
    import torch

    if torch.cuda.is_available():
        torch.cuda.synchronize()


def peak_gb() -> float:
    """Memory at its peak, in 1e9 bytes: allocated on the GPU, else resident."""
    import torch

    if torch.cuda.is_available():
        return torch.cuda.max_memory_allocated() / 1e9
    return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss * 1024 / 1e9
