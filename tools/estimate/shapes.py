"""The shape of a language model, and what follows from it: parameters, FLOPs, bytes.

Counted for decoders of Llama's form (Llama, Qwen, Mistral; grouped queries, gated feed-forward
blocks). Held against `FlopCounterMode` on the real 8B shapes at 512 tokens: 15.45 GFLOP a token
forward, 31.3 forward and backward with adapters, 45.7 with activation checkpointing.
"""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

from synthpert.errors import InputError

if TYPE_CHECKING:
    from synthpert.bases import Lora
    from synthpert.scratch import Scratch


@dataclass(frozen=True)
class Shape:
    """The sizes of a decoder, by the names of its config.json.

    Args:
        vocab_size: Rows of the embedding.
        hidden_size: Width of the residual stream, h below.
        intermediate_size: Width inside the feed-forward blocks, i below.
        num_hidden_layers: Blocks.
        num_attention_heads: Heads of the queries.
        num_key_value_heads: Heads of keys and values; those of the queries if None.
        head_dim: Width of a head; h over the heads if None.
        tie_word_embeddings: Whether the output embedding is the input's.
    """

    vocab_size: int
    hidden_size: int
    intermediate_size: int
    num_hidden_layers: int
    num_attention_heads: int
    num_key_value_heads: int | None = None
    head_dim: int | None = None
    tie_word_embeddings: bool = False

    @property
    def query_width(self) -> int:
        """Width of all queries together."""
        return self.num_attention_heads * self._head

    @property
    def key_width(self) -> int:
        """Width of all keys together, and of all values."""
        return (self.num_key_value_heads or self.num_attention_heads) * self._head

    @property
    def layers(self) -> dict[str, tuple[int, int]]:
        """In- and output width of each linear layer of a block."""
        h, i, q, kv = self.hidden_size, self.intermediate_size, self.query_width, self.key_width
        return {
            "q_proj": (h, q),
            "k_proj": (h, kv),
            "v_proj": (h, kv),
            "o_proj": (q, h),
            "gate_proj": (h, i),
            "up_proj": (h, i),
            "down_proj": (i, h),
        }

    @property
    def block(self) -> int:
        """Weights of the linear layers of all blocks."""
        return self.num_hidden_layers * sum(a * b for a, b in self.layers.values())

    @property
    def head(self) -> int:
        """Weights of the output embedding."""
        return self.vocab_size * self.hidden_size

    @property
    def parameters(self) -> int:
        """All weights, norms included."""
        embeddings = self.head * (1 if self.tie_word_embeddings else 2)
        norms = (2 * self.num_hidden_layers + 1) * self.hidden_size
        return self.block + embeddings + norms

    def adapters(self, lora: Lora | None) -> int:
        """Weights of the adapters.

        Args:
            lora: Their rank r and targets: r (in + out) weights for each layer; None for none.
        """
        if lora is None:
            return 0
        found = [sum(self.layers[name]) for name in lora.targets if name in self.layers]
        return self.num_hidden_layers * lora.r * sum(found)

    @property
    def _head(self) -> int:
        return self.head_dim or self.hidden_size // self.num_attention_heads


_LLAMA_8B = Shape(
    vocab_size=128_256,
    hidden_size=4096,
    intermediate_size=14_336,
    num_hidden_layers=32,
    num_attention_heads=32,
    num_key_value_heads=8,
)
KNOWN = {
    "deepseek-ai/DeepSeek-R1-Distill-Llama-8B": _LLAMA_8B,
    "meta-llama/Llama-3.1-8B": _LLAMA_8B,
    "meta-llama/Llama-3.1-8B-Instruct": _LLAMA_8B,
}
"""Shapes of bases that need no file, by the name on the hub."""

_NEEDED = (
    *("vocab_size", "hidden_size", "intermediate_size"),
    *("num_hidden_layers", "num_attention_heads"),
)


def find_shape(base: str, asked: str | None) -> Shape:
    """Find the shape of a base without a download.

    Args:
        base: Its name or folder.
        asked: What `--shape` says: a config.json, its folder, or its keys as YAML in braces.

    Raises:
        InputError: If the shape is not known, or not one of Llama's form.
    """
    if asked is not None and asked.lstrip().startswith("{"):
        import yaml

        try:
            given = yaml.safe_load(asked)
        except yaml.YAMLError:
            given = None
        return _shape(given, "--shape")
    path = Path(asked if asked is not None else base)
    file = path / "config.json" if path.is_dir() else path
    if file.is_file():
        try:
            return _shape(json.loads(file.read_text(encoding="utf-8")), file)
        except ValueError as error:
            if isinstance(error, InputError):
                raise
            raise InputError("this is no JSON", file=file) from None
    if asked is None and base in KNOWN:
        return KNOWN[base]
    raise InputError(
        "the shape of this base is not known here",
        file="--shape" if asked is not None else "model.base",
        got=asked if asked is not None else base,
        expected=f"--shape config.json, or --shape '{{{_NEEDED[0]}: ..., ...}}'",
    )


def scratch_shape(size: Scratch, words: int) -> Shape:
    """The shape of a model made from nothing.

    Args:
        size: Its size.
        words: Size of its vocabulary.
    """
    return Shape(
        vocab_size=words,
        hidden_size=size.hidden_size,
        intermediate_size=size.intermediate_size,
        num_hidden_layers=size.layers,
        num_attention_heads=size.heads,
        tie_word_embeddings=True,
    )


def flops_per_token(
    shape: Shape, lora: Lora | None, length: float, *, checkpointing: bool = False
) -> float:
    """Floating-point operations of training on one token, forward and backward.

    A weight of a linear layer takes 2 forward, 2 for the gradient of its input and, where it is
    trained, 2 for its own. Attention's two products take 4 q T forward and twice that backward,
    T the length and q the width of all queries; the causal half is not taken off, as usual.
    Checkpointing computes the blocks' forward pass, not the head's, once more. The head is counted
    at every position, although the student computes it at supervised ones only.

    Args:
        shape: Of the base.
        lora: The adapters; None trains all weights.
        length: T, the mean length that a token finds itself in: sum of T^2 over sum of T.
        checkpointing: Whether activations are computed again in the backward pass.
    """
    adapters = shape.adapters(lora)
    attention = 4.0 * shape.num_hidden_layers * shape.query_width * length
    blocks = 2.0 * (shape.block + adapters) + attention
    head = 2.0 * shape.head
    backward_weights = 2.0 * (adapters if lora is not None else shape.block + shape.head)
    backward = blocks + attention + head + backward_weights
    return blocks + head + backward + blocks * checkpointing


def _shape(given: Any, place: str | Path) -> Shape:  # noqa: ANN401 - whatever the file holds
    """Take the sizes out of a config.json, or refuse it."""
    if not isinstance(given, Mapping):
        raise InputError("not a configuration of a model", file=place, expected=", ".join(_NEEDED))
    found: dict[str, Any] = {name: given[name] for name in Shape.__annotations__ if name in given}
    for name in _NEEDED:
        if name not in found:
            raise InputError("the shape lacks a size", file=place, column=name)
    for name, value in found.items():
        if value is not None and (not isinstance(value, int) or (value < 1 and value is not False)):
            raise InputError(
                "not a size", file=place, column=name, got=value, expected="a whole number"
            )
    return Shape(**found)
