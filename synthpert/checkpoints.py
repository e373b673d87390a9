"""What a checkpoint keeps of a student, and whose student it is."""

from __future__ import annotations

import logging
from typing import TYPE_CHECKING, Any

from synthpert.errors import InputError

if TYPE_CHECKING:
    from torch import nn

log = logging.getLogger(__name__)

_KEY = "student"


def keep_trained(module: nn.Module, checkpoint: dict[str, Any], identity: dict[str, str]) -> None:
    """Leave only trained weights in a checkpoint, and write down whose they are.

    Args:
        module: The student.
        checkpoint: Lightning's, changed in place.
        identity: Base, adapters and prompt set of the student.
    """
    trained = _trained(module)
    weights = checkpoint["state_dict"]
    checkpoint["state_dict"] = {name: weights[name] for name in weights if name in trained}
    checkpoint[_KEY] = identity


def refuse_another(
    module: nn.Module, checkpoint: dict[str, Any], identity: dict[str, str], to_train: bool
) -> None:
    """Refuse a checkpoint that is not this student's.

    Args:
        module: The student, adapters in place.
        checkpoint: Lightning's, as read from disk.
        identity: Base, adapters and prompt set of the student.
        to_train: Whether training goes on; to answer, another prompt set is only warned of.

    Raises:
        InputError: If base, adapters or prompt set differ, or a weight is missing or unexpected.
    """
    saved = checkpoint.get(_KEY, {})
    for key, value in identity.items():
        if saved.get(key) == value:
            continue
        if key == "prompt_id" and not to_train:
            log.warning("trained with prompts %s, asked with %s", saved.get(key), value)
            continue
        raise InputError(
            "the checkpoint is of another student",
            file="ckpt_path",
            column=key,
            got=saved.get(key),
            expected=repr(value),
        )
    odd = sorted(_trained(module) ^ set(checkpoint["state_dict"]))
    if odd:
        raise InputError(
            "the checkpoint's weights are not the student's",
            file="ckpt_path",
            got=f"{len(odd)} keys missing or unexpected, {odd[0]} first",
        )


def _trained(module: nn.Module) -> set[str]:
    return {name for name, weight in module.named_parameters() if weight.requires_grad}
