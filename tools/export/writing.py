"""Writes the adapters, or a base with a copy of them merged in, and looks at what was written."""

from __future__ import annotations

import gc
import logging
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final

from synthpert.errors import InputError

if TYPE_CHECKING:
    from torch import Tensor
    from transformers import PreTrainedModel

    from synthpert.student import Student
    from tools.export.loading import Trained

log = logging.getLogger(__name__)

# Shards that a loader can take one after the other.
_SHARD: Final = "5GB"
_PROMPTS: Final = 8
TOLERANCE: Final = {"float32": 1e-4, "bfloat16": 5e-2}
"""How far logits may be off, as a share of the largest, by the type that is written."""


@dataclass(frozen=True)
class Checked:
    """How a merged model compares with the adapters on their base, both in float32.

    Attributes:
        prompts: How many prompts of the benchmark were compared, at all their positions.
        largest: The largest logit, by size.
        merged: Greatest difference of a logit after the merge in float32.
        written: Likewise of the model read back from its files, in the type it was written in.
        dtype: That type.
        same_token: Share of positions at which the most probable next token is the same.
    """

    prompts: int
    largest: float
    merged: float
    written: float
    dtype: str
    same_token: float


def write_adapter(trained: Trained, place: Path) -> None:
    """Write adapters in PEFT's layout, and the tokenizer.

    Args:
        trained: The student with its trained weights.
        place: An empty folder.

    Raises:
        InputError: If the student has no adapters.
    """
    from peft import PeftModel

    network = trained.student.network
    if not isinstance(network, PeftModel):
        raise InputError(
            "the run trained all weights, not adapters", file=trained.run, expected="--what merged"
        )
    network.save_pretrained(str(place))
    trained.student.encoder.tokenizer.save_pretrained(place)


def write_merged(trained: Trained, place: Path) -> Checked:
    """Write the base with the adapters merged in, in the type of the recipe, and the tokenizer.

    The merge is of a copy in float32: merged in bfloat16 and taken out again, 7 % of the base's
    weights come back changed, so the student's own model is never touched. What was written is
    read back as any program would, and its logits compared.

    Args:
        trained: The student with its trained weights; its network is given up for the memory.
        place: An empty folder.

    Returns:
        How it compares with the adapters.

    Raises:
        InputError: If the logits differ by more than `TOLERANCE`.
    """
    import torch

    student = trained.student
    prompts = _prompts(trained)
    student.network = student.engine = None
    gc.collect()
    copy = _copy(trained)
    adapted = _logits(copy, prompts)
    merged: Any = copy.merge_and_unload(safe_merge=True) if student.lora is not None else copy
    after = _logits(merged, prompts)
    _write(merged.to(getattr(torch, student.dtype_name)), student, place)
    del copy, merged
    gc.collect()
    from transformers import AutoModelForCausalLM

    back = AutoModelForCausalLM.from_pretrained(place, dtype="auto").eval()
    checked = _compare(adapted, after, _logits(back, prompts), student.dtype_name)
    log.info(
        "logits of %d prompts, the largest %.3g: merged in float32 they differ by at most %.3g, "
        "written in %s by %.3g; the most probable next token is the same at %.2f %% of positions",
        *(checked.prompts, checked.largest, checked.merged, checked.dtype, checked.written),
        100 * checked.same_token,
    )
    for dtype, off in (("float32", checked.merged), (checked.dtype, checked.written)):
        allowed = TOLERANCE[dtype] * checked.largest
        if not off <= allowed:  # not-a-number too
            raise InputError(
                f"merged in {dtype}, the model does not answer as its adapters do",
                file=trained.checkpoint,
                got=f"logits {off:.3g} apart",
                expected=f"at most {allowed:.3g}",
            )
    return checked


def _copy(trained: Trained) -> Any:  # noqa: ANN401 - PEFT's wrapper, or the model itself
    """The base anew, unquantised and in float32, with the trained weights in place.

    Its values are those of the type that it was trained in: a base that lies on disk in float32 and
    was trained on in bfloat16 is rounded first.
    """
    import torch

    from synthpert import bases

    student = trained.student
    parts = (student.base, student.dtype_name, None, student.lora, torch.device("cpu"))
    copy: Any = bases.load_network(*parts).float()
    left = copy.load_state_dict(trained.weights, strict=False)
    if left.unexpected_keys:
        raise InputError(
            "the checkpoint's weights are not the student's",
            file=trained.checkpoint,
            got=left.unexpected_keys[0],
        )
    return copy.eval()


def _prompts(trained: Trained) -> list[Tensor]:
    """Prompts of the recipe's own test questions, spread over them; (1, T) int64 each."""
    import torch

    from synthpert.questions import read_questions, split_questions, to_questions

    data = trained.built.data
    table = read_questions(getattr(data, "data", None), getattr(data, "cell_lines", None))
    _, test = split_questions(table, getattr(data, "split", "default"))
    chosen = test.gather_every(max(1, len(test) // _PROMPTS)).head(_PROMPTS)
    ids = trained.student.encoder.prompt_ids(to_questions(chosen))
    return [torch.tensor([each]) for each in ids]


def _logits(model: Any, prompts: list[Tensor]) -> list[Tensor]:  # noqa: ANN401
    """Logits of each prompt by itself, (T, V) float32."""
    import torch

    with torch.inference_mode():
        return [model(input_ids=ids, use_cache=False).logits[0].float() for ids in prompts]


def _write(model: PreTrainedModel, student: Student, place: Path) -> None:
    from transformers import GenerationConfig

    tokenizer = student.encoder.tokenizer
    # Greedy, and with the tokens that end an answer: whoever loads the folder gets our answers.
    model.generation_config = GenerationConfig(
        bos_token_id=tokenizer.bos_token_id,
        eos_token_id=tokenizer.eos_token_id,
        pad_token_id=student.encoder.pad_id,
    )
    model.save_pretrained(place, max_shard_size=_SHARD)
    tokenizer.save_pretrained(place)


def _compare(
    adapted: list[Tensor], merged: list[Tensor], written: list[Tensor], dtype: str
) -> Checked:
    import torch

    def apart(others: list[Tensor]) -> float:
        pairs = zip(adapted, others, strict=True)
        return float(torch.stack([(ours - theirs).abs().max() for ours, theirs in pairs]).max())

    pairs = zip(adapted, written, strict=True)
    same = torch.cat([ours.argmax(-1) == theirs.argmax(-1) for ours, theirs in pairs])
    return Checked(
        prompts=len(adapted),
        largest=max(float(each.abs().max()) for each in adapted),
        merged=apart(merged),
        written=apart(written),
        dtype=dtype,
        same_token=float(same.double().mean()),
    )
