"""The ways of training that `gpu_training.py` compares: ours feature by feature, TRL, unsloth."""

# ruff: noqa: ANN401 - of libraries that may not be there, and of what they patch
from __future__ import annotations

import contextlib
import resource
import time
from collections.abc import Iterator
from dataclasses import dataclass, replace
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
