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
            expected=f"{value!r}; RUN/config.yaml is the recipe that it was trained with",
        )
    odd = sorted(_trained(module) ^ set(checkpoint["state_dict"]))
    if odd:
        raise InputError(
            "the checkpoint's weights are not the student's",
            file="ckpt_path",
            got=f"{len(odd)} keys missing or unexpected, {odd[0]} first",
        )


def terms(student: Any) -> dict[str, Any]:  # noqa: ANN401 - duck-typed, as its data module
    """What a run that goes on must share with the one it goes on from, or be told of.

    Args:
        student: Attached to a trainer.

    Returns:
        Rates that a checkpoint's optimiser brings along, `accumulate`; where the data module tells,
        also `batch` (examples of a micro-batch on all ranks, or tokens where `packed`), how many
        `examples` there are, and the `seed` of their order.
    """
    trainer = student.trainer
    found = {
        "learning_rate": student.learning_rate,
        "weight_decay": student.weight_decay,
        "accumulate": trainer.accumulate_grad_batches,
    }
    data: Any = getattr(trainer, "datamodule", None)
    size, budget = getattr(data, "batch_size", None), getattr(data, "tokens_per_batch", None)
    if size is None or getattr(data, "train", None) is None:
        return found
    own, mixture = len(data.train), getattr(data, "mixture", None)
    return found | {
        "batch": (budget or size) * trainer.world_size,
        "packed": budget or 0,
        "examples": own + (mixture.count(own) if mixture else 0),
        "seed": getattr(data, "seed", None),
    }


def go_on(checkpoint: dict[str, Any], now: dict[str, Any]) -> None:
    """Let training go on with the examples that it has not seen, in whatever micro-batches.

    Args:
        checkpoint: Lightning's, as read from disk, changed in place.
        now: The `terms` of the run that goes on; the checkpoint holds those of the run before.

    Raises:
        InputError: If a rate differs, which would be the checkpoint's whatever the recipe says; or
            if a step has another number of examples, for which the epochs' steps and so the
            learning rate's way to zero would be others than those behind it.
    """
    then = checkpoint.get("terms", now)
    for name in ("learning_rate", "weight_decay"):
        if then[name] != now[name]:
            raise InputError(
                "the optimiser of the checkpoint has another",
                column=f"model.{name}",
                got=now[name],
                expected=f"{then[name]}, or a run of its own",
            )
    back_to_step(checkpoint, then["accumulate"])
    if then == now or "batch" not in then or "batch" not in now:
        return
    wanted, got = (each["batch"] * each["accumulate"] for each in (then, now))
    if wanted != got or then["packed"] != now["packed"]:
        raise InputError(
            "a step of the checkpoint has other examples",
            column="data.batch_size x trainer.accumulate_grad_batches x devices",
            got=f"{got} {_unit(now)}",
            expected=f"{wanted} {_unit(then)}",
        )
    if (then["examples"], then["seed"]) != (now["examples"], now["seed"]):
        log.warning(
            "other data than the checkpoint's (%s examples then, %s now): of this epoch, some "
            "come twice and some not at all",
            f"{then['examples']:,}",
            f"{now['examples']:,}",
        )
    _batch_anew(checkpoint["loops"]["fit_loop"]["epoch_loop.batch_progress"], then, now)


def _unit(terms: dict[str, Any]) -> str:
    return f"tokens, packed by {terms['packed']:,}" if terms["packed"] else "examples"


def _batch_anew(progress: dict[str, Any], then: dict[str, Any], now: dict[str, Any]) -> None:
    """Count the batches of this epoch that are behind in those of now: as many examples."""
    seen = progress["current"]["processed"]
    # Behind an epoch's end, where the last batch may have been a smaller one, lies all of it.
    after = -(-seen * then["batch"] // now["batch"])
    for counts in (progress["total"], progress["current"]):
        for name in counts:
            counts[name] += after - seen


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


def of_all_ranks(states: dict[str, Any]) -> list[dict[str, Any]]:
    """The random states of every rank, in their order; a joint act of several."""
    together = torch.distributed
    if not (together.is_available() and together.is_initialized()):
        return [states]
    found: list[Any] = [None] * together.get_world_size()
    together.all_gather_object(found, states)
    return found


def of_rank(states: list[dict[str, Any]] | None, rank: int) -> dict[str, Any] | None:
    """What `of_all_ranks` has of one rank; None of one that was not there."""
    return states[rank] if states and rank < len(states) else None


def restore_random_states(states: dict[str, Any], device: torch.device) -> None:
    """Put the global random states back to what `random_states` gave."""
    random.setstate(states["python"])
    np.random.set_state(states["numpy"])
    torch.set_rng_state(states["torch"].cpu())
    if device.type == "cuda" and states["cuda"] is not None:
        torch.cuda.set_rng_state(states["cuda"].cpu(), device)


def _trained(module: nn.Module) -> set[str]:
    return {name for name, weight in module.named_parameters() if weight.requires_grad}
