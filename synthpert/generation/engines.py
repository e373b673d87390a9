"""Which engine a student answers with, and what that engine cannot do."""

from __future__ import annotations

import importlib.util
from pathlib import Path
from typing import TYPE_CHECKING, Any, Literal

from synthpert.errors import InputError
from synthpert.generation.hf import HFEngine

if TYPE_CHECKING:
    from synthpert.generation.decoding import Engine
    from synthpert.student import Student

EngineName = Literal["hf", "vllm"]


def refuse(student: Student) -> None:
    """Refuse what the engine of a student cannot do, before the weights are loaded.

    Args:
        student: Attached to its trainer, if it has one.

    Raises:
        InputError: What it cannot do, and what would do.
    """
    if student.engine_name == "hf":
        return
    trainer: Any = student._trainer
    if trainer is not None:
        _refuse_run(trainer)
    _refuse_form(student)
    if importlib.util.find_spec("vllm") is None:
        raise _not_by_vllm("vLLM is not installed", "pip install 'synthpert[vllm]', or hf")


def refuse_whole(student: Student) -> None:
    """Refuse a checkpoint of weights that are no adapters, for an engine that reads them from disk.

    Args:
        student: The one that is to have them.

    Raises:
        InputError: What would do.
    """
    if student.engine_name == "vllm" and student.lora is None:
        raise _not_by_vllm(
            "vLLM takes adapters from a checkpoint, and this student has none",
            "hf; or synthpert export --what merged, and its folder as model.base, no --ckpt_path",
        )


def build(student: Student) -> Engine:
    """Build the engine of a student whose network is in place.

    Args:
        student: One that `refuse` lets pass.

    Returns:
        The engine. vLLM is started by the first question, with the weights of then.
    """
    encoder = student.encoder
    if student.engine_name == "hf":
        eos = encoder.tokenizer.eos_token_id
        return HFEngine(student.causal_lm, encoder.pad_id, eos, encoder.raw_text)
    from synthpert.generation.vllm import Adapter, VLLMEngine

    def save(folder: Path) -> None:
        network: Any = student.network
        network.save_pretrained(str(folder))

    adapter = Adapter(student.name, student.lora.r, save) if student.lora else None
    return VLLMEngine(student.base, student.dtype_name, encoder, adapter)


def _refuse_run(trainer: Any) -> None:  # noqa: ANN401 - Lightning's
    if not (trainer.testing or trainer.predicting):
        raise _not_by_vllm("vLLM answers and does not train", "hf; vllm with test or predict")
    device = trainer.strategy.root_device.type
    if device != "cpu" or trainer.world_size > 1:
        raise InputError(
            "the GPU is vLLM's; the student itself waits in main memory",
            column="trainer.accelerator",
            got=f"{trainer.world_size} x {device}",
            expected="--trainer.accelerator cpu --trainer.devices 1, with engine vllm",
        )


def _refuse_form(student: Student) -> None:
    from synthpert.generation.vllm import RANKS

    if student.quantize:
        raise _not_by_vllm("vLLM would not have the base in 4 bits", "hf, or model.quantize null")
    if student.lora is not None and student.lora.dora:
        raise _not_by_vllm("vLLM has no DoRA", "hf, or synthpert export --what merged")
    if student.lora is not None and student.lora.r > RANKS[-1]:
        raise _not_by_vllm(f"vLLM has adapters up to rank {RANKS[-1]}", "hf")


def _not_by_vllm(what: str, expected: str) -> InputError:
    return InputError(what, column="model.engine", got="vllm", expected=expected)
