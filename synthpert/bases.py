"""Base models: loading, adapters, and what tells one from another."""

from __future__ import annotations

import hashlib
import json
import logging
from collections.abc import Iterable
from dataclasses import dataclass, fields
from pathlib import Path
from typing import TYPE_CHECKING, Any

import torch

from synthpert import scratch
from synthpert.errors import InputError
from synthpert.weights import weights_digest

if TYPE_CHECKING:
    from torch import nn
    from transformers import PreTrainedModel, PreTrainedTokenizerBase

log = logging.getLogger(__name__)


@dataclass(frozen=True)
class Lora:
    """Low-rank adapters (Hu et al. 2021, arXiv:2106.09685) by PEFT.

    Args:
        r: Rank.
        alpha: Scale; the update is multiplied by alpha / r.
        dropout: Dropout on the adapters' input.
        targets: Names of the linear layers that get one.
        rslora: Multiply by alpha / sqrt(r) instead (rsLoRA, Kalajdzievski 2023, arXiv:2312.03732).
        dora: Learn the size of each weight vector apart from its direction (DoRA, Liu et al. 2024,
            arXiv:2402.09353).
        plus: The B matrices learn at this multiple of `learning_rate` (LoRA+, Hayou et al. 2024,
            arXiv:2402.12354, who take 16 and a smaller rate); null for one rate.
    """

    r: int = 32
    alpha: int = 32
    dropout: float = 0.0
    targets: tuple[str, ...] = (
        "q_proj",
        "k_proj",
        "v_proj",
        "o_proj",
        "gate_proj",
        "up_proj",
        "down_proj",
    )
    rslora: bool = False
    dora: bool = False
    plus: float | None = None

    def __post_init__(self) -> None:
        if self.r < 1:
            raise InputError("not a rank", column="model.lora.r", got=self.r, expected="1 or more")
        if not 0 <= self.dropout < 1:
            place, got = "model.lora.dropout", self.dropout
            raise InputError("not a share", column=place, got=got, expected="in [0, 1)")
        if self.plus is not None and not 1 <= self.plus < float("inf"):
            place, got = "model.lora.plus", self.plus
            raise InputError("not a ratio", column=place, got=got, expected="1 or more")

    def __str__(self) -> str:
        """What a checkpoint must match; a form that is off goes unsaid, as before it existed."""
        shown = [
            f"{each.name}={getattr(self, each.name)!r}"
            for each in fields(self)
            if each.name not in ("rslora", "dora", "plus") or getattr(self, each.name)
        ]
        return f"Lora({', '.join(shown)})"


def load_tokenizer(base: str) -> PreTrainedTokenizerBase:
    """Load the tokenizer of a base model.

    Raises:
        InputError: If there is none under that name, or no network to fetch it.
    """
    from transformers import AutoTokenizer

    try:
        return AutoTokenizer.from_pretrained(base)
    except (OSError, ValueError) as error:
        raise _not_found(base, error) from None


def load_network(
    base: str, dtype: str, quantize: str | None, lora: Lora | None, device: torch.device
) -> nn.Module:
    """Load a base model and put adapters on it.

    Args:
        base: Name or folder.
        dtype: `bfloat16` or `float32`, the type of the base's weights.
        quantize: `4bit` for NF4 weights by bitsandbytes, or None.
        lora: The adapters, always float32; None leaves all weights trainable.
        device: A GPU takes the weights directly, without a copy in main memory.

    Returns:
        The model, or PEFT's wrapper of it.

    Raises:
        InputError: If there is no such model, or no layer of the names in `lora.targets`.
    """
    from transformers import AutoModelForCausalLM, GenerationConfig

    options: dict[str, Any] = {"dtype": getattr(torch, dtype)}
    if device.type == "cuda":
        options["device_map"] = {"": device}
    if quantize == "4bit":
        from transformers import BitsAndBytesConfig

        options["quantization_config"] = BitsAndBytesConfig(
            load_in_4bit=True,
            bnb_4bit_quant_type="nf4",
            bnb_4bit_use_double_quant=True,
            bnb_4bit_compute_dtype=getattr(torch, dtype),
        )
    try:
        model = AutoModelForCausalLM.from_pretrained(base, **options)
    except (OSError, ValueError) as error:
        raise _not_found(base, error) from None
    if quantize == "4bit" and device.type == "cpu":
        _keep_unpacked(model)
    # A hub's generation_config fills whatever ours leaves open; ours is to be the whole truth.
    model.generation_config = GenerationConfig()
    return model if lora is None else _with_adapters(model, lora)


def _keep_unpacked(model: PreTrainedModel) -> None:
    """Hold bitsandbytes to the weight format that has a backward pass.

    On a CPU with AVX512-BF16 its layers repack themselves at the first forward pass in evaluation
    mode, and training after that finds no gradient (bitsandbytes 0.50, `Linear4bit.forward`).
    """
    from bitsandbytes.nn import Linear4bit

    for module in model.modules():
        if isinstance(module, Linear4bit):
            module.support_avx512bf16_for_cpu = False


def _with_adapters(model: PreTrainedModel, lora: Lora) -> nn.Module:
    from peft import LoraConfig, get_peft_model

    config = LoraConfig(
        r=lora.r,
        lora_alpha=lora.alpha,
        lora_dropout=lora.dropout,
        target_modules=list(lora.targets),
        use_rslora=lora.rslora,
        use_dora=lora.dora,
        task_type="CAUSAL_LM",
    )
    try:
        return get_peft_model(model, config)
    except ValueError as error:
        raise InputError(
            "no such layers in the base",
            column="model.lora.targets",
            got=list(lora.targets),
            expected=str(error),
        ) from None


def head_is_last(model: PreTrainedModel) -> bool:
    """Whether the logits are the output embedding of the decoder's last state, and nothing more.

    True of Llama, Qwen and most others; false of models that scale or cap their logits (Gemma 2,
    Granite), whose loss is then computed from the model's own logits.
    """
    mode = model.training
    model.eval()
    ids = torch.zeros((1, 2), dtype=torch.long, device=model.device)
    with torch.no_grad():
        states = model.get_decoder()(input_ids=ids, use_cache=False).last_hidden_state
        ours = model.get_output_embeddings()(states).float()
        theirs = model(input_ids=ids, use_cache=False).logits.float()
    model.train(mode)
    return torch.allclose(ours, theirs, atol=1e-3, rtol=1e-3)


def count_of(module: nn.Module) -> str:
    """How many parameters there are, and how many of them are trained."""
    trained = sum(p.numel() for p in module.parameters() if p.requires_grad)
    total = sum(p.numel() for p in module.parameters())
    return f"{trained / 1e6:.2f} M of {total / 1e6:.2f} M parameters trainable"


def refuse_narrow(module: nn.Module) -> None:
    """Refuse to train weights that are not float32: bfloat16 loses small updates.

    Raises:
        InputError: Which types they have.
    """
    wrong = {p.dtype for p in module.parameters() if p.requires_grad} - {torch.float32}
    if wrong:
        raise InputError(
            "trained weights are not float32",
            column="trainer.precision / model.dtype",
            got=", ".join(sorted(str(each) for each in wrong)),
            expected="precision bf16-mixed or 32-true; dtype float32 without lora",
        )


def fingerprint(model: PreTrainedModel, tokenizer: PreTrainedTokenizerBase) -> str:
    """Twelve hex digits of the architecture and the vocabulary: what a checkpoint must match."""
    shape = model.config.to_diff_dict()
    for volatile in ("_name_or_path", "transformers_version", "dtype", "quantization_config"):
        shape.pop(volatile, None)
    words = sorted(tokenizer.get_vocab().items())
    text = json.dumps([shape, words], sort_keys=True, default=str)
    return hashlib.sha256(text.encode()).hexdigest()[:12]


def identity(base: str, model: PreTrainedModel, tokenizer: PreTrainedTokenizerBase) -> str:
    """The base's own name, fingerprint and weights; not its path, since folders move."""
    name = Path(base).resolve().name
    return f"{name} ({fingerprint(model, tokenizer)}, weights {weights_digest(base)})"


def ensure_scratch(folder: Path, size: scratch.Scratch, texts: Iterable[str]) -> None:
    """Make a base model from nothing, unless the folder holds just that one already.

    Args:
        folder: Where it lies.
        size: How large it is to be.
        texts: The training texts, whose words become its vocabulary.

    Raises:
        InputError: If the folder holds another model, which is never overwritten.
    """
    words = scratch.split_words(texts)
    if scratch.is_current(folder, size, words):
        log.info("using %s as it is", folder)
        return
    if folder.exists() and (not folder.is_dir() or any(folder.iterdir())):
        raise InputError(
            "the folder holds another model",
            file=folder,
            column="model.base",
            expected="an empty place, or the model of the same data and size; delete it to rebuild",
        )
    scratch.make_base(folder, size, words)


def _not_found(base: str, error: Exception) -> InputError:
    first = str(error).strip().splitlines()[0]
    return InputError(
        f"cannot load the base model: {first}",
        column="model.base",
        got=base,
        expected="a Hugging Face name, or a folder with config.json",
    )
