"""A small causal language model from nothing: for raw tuples, demonstrations and tests.

No weights to download: a Llama of the asked size with seeded weights, and a tokenizer whose words
are those of the training texts. It is saved as any Hugging Face model folder, so everything else
treats it as it treats an 8B model.
"""

from __future__ import annotations

import json
import logging
import os
import shutil
from collections import Counter
from collections.abc import Iterable
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

from synthpert.errors import InputError

if TYPE_CHECKING:
    from tokenizers.pre_tokenizers import PreTokenizer
    from transformers import PreTrainedTokenizerBase

log = logging.getLogger(__name__)

_SPECIAL = {"bos_token": "<|begin|>", "eos_token": "<|end|>", "pad_token": "<|pad|>"}
_ASSISTANT = "<|assistant|>"
# A word is a gene symbol or an English word with its leading space; HLA-A and C1orf43 are one word.
_WORD = r" ?[\p{L}\p{N}](?:[\p{L}\p{N}.\-]*[\p{L}\p{N}])?|</?\w+>| ?[^\s\p{L}\p{N}<]+|\s+|<"


@dataclass(frozen=True)
class Scratch:
    """The size of a model made from nothing.

    Args:
        hidden_size: Width of the residual stream.
        layers: Transformer blocks.
        heads: Attention heads; they divide the width.
        intermediate_size: Width inside the feed-forward blocks.
        max_positions: Longest sequence.
        min_count: A word rarer than this in the training texts is spelled in bytes.
        opens_thought: Whether a prompt ends in `<think>`, as R1-distill's does.
        seed: Seed of the weights.
    """

    hidden_size: int = 128
    layers: int = 2
    heads: int = 4
    intermediate_size: int = 384
    max_positions: int = 512
    min_count: int = 1
    opens_thought: bool = False
    seed: int = 0

    def __post_init__(self) -> None:
        sizes = ("hidden_size", "layers", "heads", "intermediate_size", "max_positions")
        for name in sizes:
            if getattr(self, name) < 1:
                place, got = f"model.scratch.{name}", getattr(self, name)
                raise InputError("not a size", column=place, got=got, expected="1 or more")


def make_tokenizer(words: Iterable[str], opens_thought: bool = False) -> PreTrainedTokenizerBase:
    """Build a lossless tokenizer: one id for each of `words`, bytes for everything else.

    Args:
        words: Words as `split_words` gives them, in any order; duplicates are fine.
        opens_thought: Whether the generation prompt ends in `<think>`.

    Returns:
        A fast tokenizer with BOS, EOS, padding and a chat template that adds nothing to the
        messages but one token at the end of the prompt.
    """
    from tokenizers import Tokenizer, decoders, models, pre_tokenizers
    from transformers import PreTrainedTokenizerFast

    alphabet = sorted(pre_tokenizers.ByteLevel.alphabet())
    byte_level = pre_tokenizers.ByteLevel(add_prefix_space=False, use_regex=False)
    pieces = {"".join(piece for piece, _ in byte_level.pre_tokenize_str(word)) for word in words}
    names = [*_SPECIAL.values(), _ASSISTANT, *alphabet, *sorted(pieces - set(alphabet))]
    vocabulary = {piece: number for number, piece in enumerate(names)}
    # With no merges and `ignore_merges`, a word in the vocabulary is one id and any other is bytes.
    core = Tokenizer(models.BPE(vocab=vocabulary, merges=[], ignore_merges=True))
    core.pre_tokenizer = pre_tokenizers.Sequence([_splitter(), byte_level])
    core.decoder = decoders.ByteLevel()
    tokenizer = PreTrainedTokenizerFast(
        tokenizer_object=core, additional_special_tokens=[_ASSISTANT], **_SPECIAL
    )
    thought = "<think>\\n" if opens_thought else ""
    tokenizer.chat_template = (
        "{{ bos_token }}{% for message in messages %}{{ message['content'] }}"
        "{% if not loop.last %}{{ '\\n' }}{% endif %}{% endfor %}"
        "{% if add_generation_prompt %}{{ '" + _ASSISTANT + thought + "' }}{% endif %}"
    )
    return tokenizer


def split_words(texts: Iterable[str]) -> Counter[str]:
    """Count the words of texts, each with its leading space, as the tokenizer will cut them."""
    splitter = _splitter()
    counts: Counter[str] = Counter()
    for text in texts:
        counts.update(piece for piece, _ in splitter.pre_tokenize_str(text))
    return counts


def tokenizer_of(size: Scratch, words: Counter[str]) -> PreTrainedTokenizerBase:
    """The tokenizer that `make_base` would write, without the model."""
    kept = [word for word, count in words.items() if count >= size.min_count]
    return make_tokenizer(kept, size.opens_thought)


def make_base(folder: Path, size: Scratch, words: Counter[str]) -> None:
    """Write a model folder: configuration, seeded float32 weights and tokenizer.

    Args:
        folder: Where to; written whole or not at all.
        size: The model's size.
        words: Counted words of the training texts.

    Raises:
        InputError: If the heads do not divide the width.
    """
    import torch
    from transformers import LlamaConfig, LlamaForCausalLM

    if size.hidden_size % size.heads:
        raise InputError(
            "heads do not divide the width",
            column="scratch.heads",
            got=size.heads,
            expected=f"a divisor of {size.hidden_size}",
        )
    tokenizer = tokenizer_of(size, words)
    config = LlamaConfig(
        vocab_size=len(tokenizer),
        hidden_size=size.hidden_size,
        intermediate_size=size.intermediate_size,
        num_hidden_layers=size.layers,
        num_attention_heads=size.heads,
        num_key_value_heads=size.heads,
        max_position_embeddings=size.max_positions,
        tie_word_embeddings=True,
        bos_token_id=tokenizer.bos_token_id,
        eos_token_id=tokenizer.eos_token_id,
        pad_token_id=tokenizer.pad_token_id,
    )
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(size.seed)
        model = LlamaForCausalLM(config)
    half = folder.with_name(f".{folder.name}.{os.getpid()}")
    tokenizer.save_pretrained(half)
    model.save_pretrained(half)
    (half / "scratch.json").write_text(json.dumps(_recipe(size, words)), encoding="utf-8")
    folder.parent.mkdir(parents=True, exist_ok=True)
    shutil.rmtree(folder, ignore_errors=True)
    half.rename(folder)
    count = sum(weight.numel() for weight in model.parameters())
    log.info("made %s: %.2f M parameters, %d words", folder, count / 1e6, len(tokenizer))


def is_current(folder: Path, size: Scratch, words: Counter[str]) -> bool:
    """Whether `folder` holds the model that `make_base` would write."""
    recipe = folder / "scratch.json"
    if not recipe.is_file():
        return False
    return bool(json.loads(recipe.read_text(encoding="utf-8")) == _recipe(size, words))


def _recipe(size: Scratch, words: Counter[str]) -> dict[str, object]:
    import hashlib
    from dataclasses import asdict

    kept = sorted(word for word, count in words.items() if count >= size.min_count)
    return {**asdict(size), "words": hashlib.sha256("\n".join(kept).encode()).hexdigest()}


def _splitter() -> PreTokenizer:
    from tokenizers import Regex, pre_tokenizers

    return pre_tokenizers.Split(Regex(_WORD), behavior="isolated")
