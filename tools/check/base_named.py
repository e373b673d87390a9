"""The base model that a recipe names: its files, its tokenizer, where adapters go. No weights."""

from __future__ import annotations

import json
import os
import re
import shutil
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final

from synthpert import bases, scratch
from synthpert.encoding import Encoder
from synthpert.errors import InputError
from tools.estimate.shapes import find_shape

if TYPE_CHECKING:
    from tools.building import Built
    from tools.check.findings import Findings

_BASE: Final = "model.base"
_TOKENIZERS: Final = ("tokenizer.json", "tokenizer.model", "tokenizer_config.json")
_WEIGHTS: Final = ("model.safetensors", "pytorch_model.bin")
_INDEXES: Final = ("model.safetensors.index.json", "pytorch_model.bin.index.json")
# A name on the Hugging Face hub, as huggingface_hub checks it: OWNER/NAME or NAME.
_HUB: Final = re.compile(r"(?:[A-Za-z0-9][\w.-]*/)?[A-Za-z0-9][\w.-]*", re.ASCII)


def check_base(found: Findings, built: Built, parsed: Any) -> Encoder | None:  # noqa: ANN401
    """Check the base, as far as it is on this machine.

    Args:
        found: Takes errors and facts.
        built: The student, without weights.
        parsed: The recipe's settings.

    Returns:
        The renderer of its tokenizer, if that is here already.
    """
    student = built.student
    _check_types(found, student, str(parsed.trainer.precision))
    found.facts.append(_form(student))
    with found.noting(_BASE):
        if student.scratch is not None:
            # Without the data's words its texts are spelled in bytes: no length is to be had.
            _encoder(student, _scratch_tokenizer(student))
            return None
        folder = _folder(found, student.base)
        if folder is None:
            return None
        _check_files(folder)
        encoder = _encoder(student, bases.load_tokenizer(str(folder)))
        with found.noting("model.lora.targets"):
            _check_targets(folder, student.lora)
        return encoder
    return None


def _check_types(found: Findings, student: Any, precision: str) -> None:  # noqa: ANN401
    """Refuse what `fit` would refuse when it begins: trained weights that are not float32."""
    wanted = "precision bf16-mixed or 32-true; dtype float32 without lora"
    if precision in ("bf16-true", "16-true"):
        wrong = InputError("trained weights are not float32", got=precision, expected=wanted)
        found.add(wrong, "trainer.precision")
    elif student.lora is None and student.dtype_name != "float32":
        wrong = InputError(
            "trained weights are not float32", got=student.dtype_name, expected=wanted
        )
        found.add(wrong, "model.dtype")


def _form(student: Any) -> str:  # noqa: ANN401 - the student
    """The student in a few words: `R1-Distill-Llama-8B, LoRA r 32, 4-bit`."""
    parts = [Path(student.base).name]
    parts.append(f"LoRA r {student.lora.r}" if student.lora else "all weights trained")
    parts += [student.quantize] if student.quantize else []
    parts += ["made from nothing"] if student.scratch else []
    return f"student {', '.join(parts)}, prompts {student.prompts.name}"


def _scratch_tokenizer(student: Any) -> Any:  # noqa: ANN401 - student in, tokenizer out
    """The tokenizer of a base to be made, without the data's words; refuses a taken folder."""
    folder, size = Path(student.base), student.scratch
    if size.hidden_size % size.heads:
        raise InputError(
            "heads do not divide the width",
            column="model.scratch.heads",
            got=size.heads,
            expected=f"a divisor of {size.hidden_size}",
        )
    if folder.exists() and (not folder.is_dir() or any(folder.iterdir())):
        kept = folder / "scratch.json"
        made = json.loads(kept.read_text(encoding="utf-8")) if kept.is_file() else {}
        if any(made.get(name) != value for name, value in vars(size).items()):
            raise InputError(
                "the folder holds another model, which fit will not write over",
                file=folder,
                expected="an empty place, or the model of this size; delete it to rebuild",
            )
    texts = [*vars(student.prompts).values(), *student.prompts.labels.values()]
    words = scratch.split_words(text for text in texts if isinstance(text, str))
    return scratch.tokenizer_of(size, words)


def _encoder(student: Any, tokenizer: Any) -> Encoder:  # noqa: ANN401
    options = (student.max_tokens, student.loss_on, student.template)
    try:
        return Encoder(tokenizer, student.prompts, *options)
    except InputError as error:
        if error.column != "loss_on":
            raise
        facts = {"got": error.got, "expected": error.expected}
        raise InputError(error.what, column="model.loss_on", **facts) from None  # type: ignore[arg-type]


def _folder(found: Findings, base: str) -> Path | None:
    """The base's folder: its own, or that of the hub's cache; None if it is to be downloaded."""
    path = Path(base)
    if path.is_dir():
        return path
    if path.exists() or base.startswith((".", "/", "~")) or not _HUB.fullmatch(base):
        what = "is a file" if path.exists() else "no such folder"
        wanted = "a folder with config.json, or a Hugging Face name"
        raise InputError(what, got=base, expected=wanted)
    from huggingface_hub import try_to_load_from_cache

    cached = try_to_load_from_cache(base, "config.json")
    if isinstance(cached, str):
        return Path(cached).parent
    if os.environ.get("HF_HUB_OFFLINE", "").upper() in ("1", "ON", "YES", "TRUE"):
        wanted = "a folder with config.json, or no HF_HUB_OFFLINE"
        raise InputError("not in the cache, and HF_HUB_OFFLINE is set", got=base, expected=wanted)
    found.facts.append(f"base to be downloaded from the hub{_download(base)}")
    return None


def _download(base: str) -> str:
    """How large the base is in bfloat16, where its shape is known; refuses a disk too small."""
    from huggingface_hub import constants

    try:
        size = 2 * find_shape(base, None).parameters
    except InputError:
        return ""
    cache = Path(constants.HF_HUB_CACHE)
    free = shutil.disk_usage(next(each for each in (cache, *cache.parents) if each.exists())).free
    if free < size:
        what = f"to be downloaded, {size / 1e9:.0f} GB"
        got = f"{free / 1e9:.1f} GB free in {cache}"
        raise InputError(what, got=got, expected="HF_HOME on another disk")
    return f", {size / 1e9:.0f} GB"


def _check_files(folder: Path) -> None:
    config = folder / "config.json"
    if not config.is_file():
        raise InputError("no config.json in it", file=folder, expected="a Hugging Face model")
    try:
        json.loads(config.read_text(encoding="utf-8"))
    except ValueError:
        raise InputError("this is no JSON", file=config) from None
    if not any((folder / name).is_file() for name in _TOKENIZERS):
        raise InputError("no tokenizer in it", file=folder, expected=" or ".join(_TOKENIZERS))
    index = next((folder / name for name in _INDEXES if (folder / name).is_file()), None)
    if index is not None:
        shards = set(json.loads(index.read_text(encoding="utf-8"))["weight_map"].values())
        gone = sorted(name for name in shards if not (folder / name).is_file())
        if gone:
            what = f"{len(gone)} of {len(shards)} files of weights are missing"
            raise InputError(what, file=folder, got=gone[0])
    elif not any((folder / name).is_file() for name in _WEIGHTS):
        raise InputError("no weights in it", file=folder, expected=" or ".join(_WEIGHTS))


def _check_targets(folder: Path, lora: bases.Lora | None) -> None:
    """Refuse adapters on layers that the base has not; the model is built without memory."""
    if lora is None:
        return
    import torch
    from transformers import AutoConfig, AutoModelForCausalLM

    try:
        config = AutoConfig.from_pretrained(folder)
        with torch.device("meta"):
            model = AutoModelForCausalLM.from_config(config)
    except (OSError, ValueError, KeyError) as error:
        raise InputError(f"cannot be loaded: {error}", column=_BASE, file=folder) from None
    linear = {
        name.rpartition(".")[2]
        for name, module in model.named_modules()
        if isinstance(module, torch.nn.Linear)
    }
    if not linear & set(lora.targets):
        wanted = f"some of {', '.join(sorted(linear))}"
        raise InputError("no such layers in the base", got=list(lora.targets), expected=wanted)
