"""Bytes on the card while a recipe trains, and while it answers questions in between.

Derived from what PyTorch keeps for the backward pass of a Llama block under autocast, b bytes a
value (2 in bfloat16). A token of an 8B Llama with adapters comes to 6.9 MB, without any recomputed.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Final, NamedTuple

from synthpert.chunked import LOGITS_AT_ONCE

if TYPE_CHECKING:
    from synthpert.bases import Lora
    from tools.estimate.shapes import Shape

# A logit is held in the model's type and in float32, and so are their gradients.
_BYTES_A_LOGIT: Final = 10
# 4 bits a weight and, quantised twice, 0.127 bits of scales (Dettmers et al. 2023, QLoRA).
_NF4: Final = 4.127 / 8
# float32 weight, gradient and AdamW's two moments.
_BYTES_A_TRAINED: Final = 16


class Memory(NamedTuple):
    """Bytes by what holds them.

    Args:
        weights: The frozen base.
        trained: Trained weights, their gradients and AdamW's moments.
        activations: Of the longest micro-batch.
        logits: Of one chunk of positions, with their gradients.
        full_logits: What all positions' logits would take, which are never built.
        generation: Keys and values of the questions answered side by side in an evaluation.
    """

    weights: float
    trained: float
    activations: float
    logits: float
    full_logits: float
    generation: float

    @property
    def peak(self) -> float:
        """Training's or the evaluation's, whichever takes more."""
        moving = max(self.activations + self.logits, self.generation)
        return self.weights + self.trained + moving


def memory(
    shape: Shape,
    lora: Lora | None,
    *,
    width: int,
    quantized: bool,
    tokens: int,
    answered: int,
    checkpointing: bool,
) -> Memory:
    """Count the bytes of one device.

    Args:
        shape: Of the base.
        lora: The adapters; None trains all weights.
        width: Bytes of a value of the base's type.
        quantized: Whether the blocks' linear weights are held in 4 bits.
        tokens: Of the longest micro-batch, padding included.
        answered: Prompt and new tokens of all questions answered side by side; 0 for none.
        checkpointing: Whether activations are computed again in the backward pass.
    """
    trained = shape.adapters(lora) if lora is not None else shape.parameters
    frozen = shape.parameters if lora is not None else 0
    weights = width * frozen - (width - _NF4) * shape.block * quantized
    # Autocast's copies of float32 weights; those of adapters are too small to count.
    copy = width if lora is None and width == 2 else 0
    logits = _BYTES_A_LOGIT * shape.vocab_size
    at_once = max(1, LOGITS_AT_ONCE // shape.vocab_size)
    block = activations_per_token(shape, lora, width)
    kept = shape.num_hidden_layers * block
    if checkpointing:
        kept = shape.num_hidden_layers * width * shape.hidden_size + block
    return Memory(
        weights=weights,
        trained=(_BYTES_A_TRAINED + copy) * trained,
        activations=tokens * kept,
        logits=min(tokens, at_once) * logits,
        full_logits=tokens * logits,
        generation=answered * shape.num_hidden_layers * 2 * shape.key_width * width,
    )


def activations_per_token(shape: Shape, lora: Lora | None, width: int) -> float:
    """Bytes that one block keeps of one token for its backward pass.

    Norms keep their input in float32 (8 h). With adapters each of the seven keeps a copy of its own
    input (6 h and i values), without them layers that read the same share it. Attention keeps
    queries, keys, values and its output, the feed-forward block three values of its inner width.

    Args:
        shape: Of the base.
        lora: The adapters; None trains all weights.
        width: Bytes of a value.
    """
    h, i = shape.hidden_size, shape.intermediate_size
    attention = 2 * shape.query_width + 2 * shape.key_width
    # Without adapters the norms' scaled outputs are kept too, for the gradients of their weights.
    inputs = 6 * h + i if lora is not None else 4 * h + i
    # A float32 base under autocast keeps both sides of its casts; counted, not derived.
    casts = 12 * h if lora is None and width == 2 else 0
    return 8.0 * h + casts + width * (inputs + attention + 3 * i)
