"""The run's directory: may it be written to, and is there room for its checkpoints."""

from __future__ import annotations

import os
import shutil
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final

from synthpert.errors import InputError
from tools.estimate.shapes import Shape, find_shape, scratch_shape

if TYPE_CHECKING:
    from tools.building import Built
    from tools.check.findings import Findings

# A float32 weight and AdamW's two moments, as a checkpoint holds them.
_BYTES_A_TRAINED: Final = 12
# Of a vocabulary that the data gives, and that nobody has counted.
_WORDS: Final = 20_000


def check_room(found: Findings, built: Built, parsed: Any) -> None:  # noqa: ANN401
    """Check the run's directory and the disk it lies on.

    Args:
        found: Takes errors and facts.
        built: Student and trainer.
        parsed: The recipe's settings.
    """
    if any(error.column == "run" for error in found.errors):
        return
    with found.noting("run"):
        run = Path(parsed.run or "runs")
        if run.exists() and not run.is_dir():
            raise InputError("this is a file", got=str(run), expected="a directory")
        place = next(each for each in (run.absolute(), *run.absolute().parents) if each.exists())
        if not os.access(place, os.W_OK | os.X_OK):
            raise InputError("cannot be written to", got=str(place), expected="another --run")
        needed, free = _checkpoints(built), shutil.disk_usage(place).free
        if needed is not None:
            if needed > free:
                what = f"the checkpoints take {_size(needed)}"
                wanted = "another --run, or a smaller save_top_k"
                raise InputError(what, got=f"{_size(free)} free in {place}", expected=wanted)
            found.facts.append(f"checkpoints {_size(needed)} of {_size(free)} free")
    found.facts.append(_machines(built, parsed))


def _checkpoints(built: Built) -> int | None:
    """Bytes of all checkpoints that are kept, and of one that is being written."""
    shape = _shape(built)
    if shape is None:
        return None
    lora = built.student.lora
    trained = shape.parameters if lora is None else shape.adapters(lora)
    kept = 1
    for each in built.trainer.checkpoint_callbacks:
        kept += max(getattr(each, "save_top_k", 0) or 0, 0) + bool(getattr(each, "save_last", 0))
    return kept * trained * _BYTES_A_TRAINED


def _shape(built: Built) -> Shape | None:
    if built.student.scratch is not None:
        return scratch_shape(built.student.scratch, _WORDS)
    try:
        return find_shape(built.student.base, None)
    except InputError:
        return None


def _machines(built: Built, parsed: Any) -> str:  # noqa: ANN401 - the recipe's settings
    import torch

    epochs = parsed.trainer.max_epochs
    length = f"{epochs} epochs" if epochs else f"{parsed.trainer.max_steps} steps"
    if str(parsed.trainer.accelerator) in ("cpu", "auto"):
        return f"{length} on {parsed.trainer.accelerator}"
    here = torch.cuda.device_count() if torch.cuda.is_available() else 0
    count = f"{built.devices} GPU" + ("s" if built.devices > 1 else "")
    return f"{length} on {count} (here: {here})"


def _size(count: float) -> str:
    return f"{count / 1e9:,.1f} GB" if count >= 1e8 else f"{count / 1e6:,.1f} MB"
