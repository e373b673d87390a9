"""What a checkpoint keeps of a student, whose student it is, and where training goes on."""

from __future__ import annotations

import logging
import random
from typing import TYPE_CHECKING, Any

import numpy as np
import torch

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
    checkpoint[_KEY] = dict(identity)


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


def back_to_step(checkpoint: dict[str, Any], accumulate: int) -> None:
    """Let training go on where an optimiser step begins, with counters that agree.

    A checkpoint saved on an interrupt may lie between the micro-batches of a step, whose gradients
    are lost, or within a batch, which Lightning 2.6 then counts as begun in one of its totals and
    as not begun in the other, so that a later resume repeats a batch.

    Args:
        checkpoint: Lightning's, as read from disk, changed in place.
        accumulate: Micro-batches of an optimiser step.
    """
    loops = checkpoint["loops"]["fit_loop"]
    _back_to_last_batch(loops)
    progress = loops["epoch_loop.batch_progress"]
    current = progress["current"]
    # The last batch of an epoch ends a step, however many there were.
    ended = progress["is_last_batch"] and current["processed"] == current["ready"]
    undone = 0 if ended else current["processed"] % accumulate
    for counts in (progress["total"], current):
        # One that was saved at the end of a batch has it processed but not yet completed.
        completed = min(counts["completed"], counts["processed"] - undone)
        done = counts["processed"] - undone
        counts.update(ready=done, started=done, processed=done, completed=completed)


def _back_to_last_batch(loops: dict[str, Any]) -> None:
    """Make a checkpoint of an epoch's end one of its last batch.

    With `max_steps`, Lightning 2.6 takes the ended epoch for one under way, counts it twice and
    leaves the last one out; one saved at a batch's end it goes on with rightly, whatever ends the
    training.
    """
    epochs = loops["epoch_progress"]
    if epochs["current"]["processed"] < epochs["current"]["ready"]:
        return
    for counts in (epochs["total"], epochs["current"]):
        counts["processed"] -= 1
        counts["completed"] = counts["processed"]
    batches = loops["epoch_loop.batch_progress"]
    for counts in (batches["total"], batches["current"]):
        counts["completed"] = counts["processed"] - 1
    # The resumed loop counts that batch's step anew.
    loops["epoch_loop.state_dict"]["_batches_that_stepped"] -= 1


def open_next_epoch(fit_loop: Any) -> None:  # noqa: ANN401 - Lightning keeps its type to itself
    """Count the epoch that a run begins which goes on from the last batch of the one before.

    Lightning 2.6 counts it as neither ready nor started, so the next checkpoint within it would
    pass for one of an epoch's end.

    Args:
        fit_loop: Lightning's, when training starts.
    """
    epochs = fit_loop.epoch_progress
    if fit_loop.restarted_mid_epoch and epochs.current.processed == epochs.current.ready:
        epochs.increment_ready()
        epochs.increment_started()


def random_states(device: torch.device) -> dict[str, Any]:
    """The global random states, in types that `torch.load(weights_only=True)` reads."""
    name, keys, *rest = tuple(np.random.get_state(legacy=True))
    return {
        "python": random.getstate(),
        "numpy": (str(name), np.asarray(keys).tolist(), *rest),
        "torch": torch.get_rng_state(),
        "cuda": torch.cuda.get_rng_state(device) if device.type == "cuda" else None,
    }


def restore_random_states(states: dict[str, Any], device: torch.device) -> None:
    """Put the global random states back to what `random_states` gave."""
    random.setstate(states["python"])
    np.random.set_state(states["numpy"])
    torch.set_rng_state(states["torch"].cpu())
    if device.type == "cuda" and states["cuda"] is not None:
        torch.cuda.set_rng_state(states["cuda"].cpu(), device)


def _trained(module: nn.Module) -> set[str]:
    return {name for name, weight in module.named_parameters() if weight.requires_grad}
