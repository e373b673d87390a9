"""How the examples of a batch lie before the model: padded, or flattened into one row.

Flattened, no token is padding: everything but attention works on the tokens of all examples at
once, positions begin anew with each, and attention is computed within each. On CUDA in half
precision that is FlashAttention for variable lengths as PyTorch ships it
(`torch.nn.attention.varlen`); elsewhere PyTorch's attention, one example after another. No mask of
all tokens by all tokens is made, as transformers would make of positions that begin anew.
"""

from __future__ import annotations

import logging
from itertools import pairwise
from typing import TYPE_CHECKING, Any, Literal

import torch
from torch import Tensor
from transformers import AttentionInterface, AttentionMaskInterface
from transformers.integrations.sdpa_attention import sdpa_attention_forward
from transformers.masking_utils import sdpa_mask

from synthpert.errors import InputError

if TYPE_CHECKING:
    from transformers import PreTrainedModel

log = logging.getLogger(__name__)

Layout = Literal["auto", "flattened", "padded"]

_WITHIN_EXAMPLES = "within_examples"
# Tokens of padding an example, on average, from which attention example by example pays: less costs
# less than so many calls do (measured at 4 and 67 tokens an example).
_WORTH_IT = 8
# Of the states' norm; an example that sees its neighbour is off by far more than rounding.
_TOLERANCE = {torch.float32: 1e-4, torch.float64: 1e-4}
_TOLERANCE_OF_HALF = 3e-2


def choose(model: PreTrainedModel, asked: Layout) -> bool:
    """Choose how batches lie, try it on the model, and say which it is.

    Args:
        model: A causal language model; if flattened, its attention is replaced by one that gives
            the same for padded batches and in generation.
        asked: `auto` flattens wherever the model keeps flattened examples apart.

    Returns:
        Whether batches are to be flattened.

    Raises:
        InputError: If that was asked for, and the model cannot.
    """
    if asked == "padded":
        log.info("batches are padded, as asked")
        return False
    before = model.config._attn_implementation
    if before == "sdpa" and sees_all(model):
        model.set_attn_implementation(_WITHIN_EXAMPLES)
        if keeps_apart(model):
            log.info("batches are flattened: no padding, %s", _kernel(model))
            return True
        model.set_attn_implementation(before)
    if asked == "flattened":
        raise InputError(
            "this model cannot keep flattened examples apart",
            column="model.layout",
            got=asked,
            expected="auto or padded",
        )
    log.info("batches are padded: this model's attention (%s) takes no flattened ones", before)
    return False


def read(
    model: PreTrainedModel,
    batch: dict[str, Tensor],
    wanted: Tensor,
    head_is_last: bool,
    flattened: bool,
) -> Tensor:
    """What the model makes of the wanted tokens of a batch.

    Args:
        model: A causal language model that `choose` has seen.
        batch: `input_ids` (B, T) int64, right-padded, and `lengths` (B,) int64.
        wanted: (B, T) bool, N of them true, none of the padding.
        head_is_last: Whether to leave the output embedding to the caller.
        flattened: Whether to flatten it, for a model of which `choose` said that it can be.

    Returns:
        (N, H) states, or (N, V) logits, example by example.
    """
    ids = batch["input_ids"]
    place = torch.arange(ids.shape[1], device=ids.device).expand_as(ids)
    present = place < batch["lengths"][:, None]
    if flattened:
        options = {"input_ids": ids[present][None], "position_ids": place[present][None]}
        options |= _boundaries(batch["lengths"], ids.shape[1], options["input_ids"])
    else:
        # No attention mask: padding is on the right, where a causal model never looks.
        options = {"input_ids": ids}
    if head_is_last:
        out = model.get_decoder()(**options, use_cache=False).last_hidden_state
    else:
        out = model(**options, use_cache=False).logits
    found: Tensor = out[0][wanted[present]] if flattened else out[wanted]
    return found


def pays(batch: dict[str, Tensor]) -> bool:
    """Whether a batch is worth flattening, for a student that was left the choice.

    Away from CUDA one with hardly any padding is not: attention would be called once an example
    for nothing.

    Args:
        batch: `input_ids` (B, T) int64 and `lengths` (B,) int64.
    """
    ids, lengths = batch["input_ids"], batch["lengths"]
    return ids.is_cuda or ids.shape[1] - float(lengths.double().mean()) >= _WORTH_IT


def sees_all(model: PreTrainedModel) -> bool:
    """Whether every layer is attention to all that came before, without a window."""
    config = model.config.get_text_config()
    kinds = set(getattr(config, "layer_types", None) or ())
    return not (getattr(config, "sliding_window", None) or kinds - {"full_attention"})


def takes_masks(model: PreTrainedModel) -> bool:
    """Whether its attention obeys a mask (B, 1, T, S) bool of who sees whom, as PyTorch's does."""
    return model.config._attn_implementation in ("sdpa", _WITHIN_EXAMPLES)


def keeps_apart(model: PreTrainedModel) -> bool:
    """Whether two flattened examples come out of the model as each does alone."""
    mode = model.training
    model.eval()
    count = min(model.config.vocab_size, 7)
    ids = torch.arange(14, device=model.device).view(2, 7) % count
    batch = {"input_ids": ids, "lengths": torch.tensor([5, 7], device=model.device)}
    wanted = torch.arange(7, device=model.device) < batch["lengths"][:, None]
    try:
        with torch.no_grad():
            together = read(model, batch, wanted, True, True).float()
            apart = read(model, batch, wanted, True, False).float()
    except (RuntimeError, TypeError, ValueError) as error:
        log.debug("flattened examples do not pass", exc_info=error)
        return False
    finally:
        model.train(mode)
    allowed = _TOLERANCE.get(model.dtype, _TOLERANCE_OF_HALF)
    return bool((together - apart).norm() <= allowed * apart.norm())


def attend(
    module: torch.nn.Module,
    query: Tensor,
    key: Tensor,
    value: Tensor,
    attention_mask: Tensor | None,
    dropout: float = 0.0,
    scaling: float | None = None,
    cu_seq_lens_q: Tensor | None = None,
    max_length_q: int | None = None,
    **options: Any,
) -> tuple[Tensor, None]:
    """Causal attention within the examples of a flattened batch; else as transformers' `sdpa`.

    Args:
        module: The layer that asks.
        query: (B, heads, T, D); B is 1 in a flattened batch.
        key: (B, key heads, T, D).
        value: As `key`.
        attention_mask: Of a batch that is not flattened.
        dropout: Of the attention's weights.
        scaling: Of the products; 1 / sqrt(D) if None.
        cu_seq_lens_q: Where examples begin and the last one ends, (examples + 1,) int32; None if
            the batch is not flattened.
        max_length_q: Tokens of the longest example.
        options: What else transformers hands on.

    Returns:
        (B, T, heads, D), and None in place of the weights.
    """
    if cu_seq_lens_q is None:
        out: tuple[Tensor, None] = sdpa_attention_forward(
            module, query, key, value, attention_mask, dropout, scaling, **options
        )
        return out
    if _is_for_flash(query, dropout):
        return _flash(query, key, value, scaling, cu_seq_lens_q, max_length_q), None
    parts = []
    for start, end in pairwise(cu_seq_lens_q.tolist()):
        q, k, v = (each[:, :, start:end] for each in (query, key, value))
        parts.append(sdpa_attention_forward(module, q, k, v, None, dropout, scaling, True)[0])
    return torch.cat(parts, dim=1), None


def _flash(
    query: Tensor,
    key: Tensor,
    value: Tensor,
    scaling: float | None,
    boundaries: Tensor,
    longest: int | None,
) -> Tensor:
    from torch.nn.attention.varlen import varlen_attn

    assert longest is not None
    q, k, v = (each[0].transpose(0, 1).contiguous() for each in (query, key, value))
    # A window of nothing ahead is how this function spells causal.
    ahead, grouped = (-1, 0), query.shape[1] != key.shape[1]
    places = (boundaries, boundaries, longest, longest)
    kernel: Any = varlen_attn
    found: Tensor = kernel(q, k, v, *places, scale=scaling, window_size=ahead, enable_gqa=grouped)
    return found[None]


def _is_for_flash(query: Tensor, dropout: float) -> bool:
    half = query.dtype in (torch.float16, torch.bfloat16)
    return query.is_cuda and half and not dropout and torch.version.hip is None


def _kernel(model: PreTrainedModel) -> str:
    if model.device.type == "cuda":
        return "FlashAttention of variable lengths in half precision"
    return "PyTorch's attention example by example; where that saves padding"


def _boundaries(lengths: Tensor, longest: int, ids: Tensor) -> dict[str, Any]:
    ends = lengths.cumsum(0, dtype=torch.int32)
    boundaries = torch.nn.functional.pad(ends, (1, 0))
    return {
        # Of ones, from which transformers makes no mask at all; from none it would make one of all
        # tokens by all tokens, since the positions begin anew.
        "attention_mask": torch.ones_like(ids),
        "cu_seq_lens_q": boundaries,
        "cu_seq_lens_k": boundaries,
        "max_length_q": longest,
        "max_length_k": longest,
    }


AttentionInterface.register(_WITHIN_EXAMPLES, attend)
AttentionMaskInterface.register(_WITHIN_EXAMPLES, sdpa_mask)
