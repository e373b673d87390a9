"""Checkpoints: what is kept, whose it is, where a step begins, what chance comes next."""

from __future__ import annotations

import logging
import random
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from torch import nn

from synthpert.checkpoints import state as checkpoints
from synthpert.errors import InputError

CPU = torch.device("cpu")
WHOSE = {"base": "a", "lora": "b", "prompt_id": "c"}


@pytest.fixture
def module() -> nn.Module:
    layers = nn.Sequential(nn.Linear(2, 2), nn.Linear(2, 2))
    layers[0].requires_grad_(False)
    return layers


def saved(module: nn.Module) -> dict[str, Any]:
    checkpoint: dict[str, Any] = {"state_dict": dict(module.state_dict())}
    checkpoints.keep_trained(module, checkpoint, WHOSE)
    return checkpoint


def test_only_trained_weights_are_kept(module: nn.Module) -> None:
    assert list(saved(module)["state_dict"]) == ["1.weight", "1.bias"]


def test_own_checkpoint_is_taken(module: nn.Module) -> None:
    checkpoints.refuse_another(module, saved(module), WHOSE, to_train=True)


@pytest.mark.parametrize("key", WHOSE)
def test_checkpoint_of_another_is_refused_by_name(module: nn.Module, key: str) -> None:
    with pytest.raises(InputError, match=f"{key}: the checkpoint is of another student"):
        checkpoints.refuse_another(module, saved(module), {**WHOSE, key: "x"}, to_train=True)


def test_other_prompts_are_only_warned_of_when_asking(
    module: nn.Module, caplog: pytest.LogCaptureFixture
) -> None:
    with caplog.at_level(logging.WARNING):
        checkpoints.refuse_another(
            module, saved(module), {**WHOSE, "prompt_id": "x"}, to_train=False
        )
    assert "trained with prompts c, asked with x" in caplog.text


def test_checkpoint_of_something_else_is_refused(module: nn.Module) -> None:
    with pytest.raises(InputError, match="another student"):
        checkpoints.refuse_another(module, {"state_dict": {}}, WHOSE, to_train=False)


@pytest.mark.parametrize("change", [{"0.weight": 1}, {"1.bias": None}])
def test_weights_too_many_or_too_few_are_refused(module: nn.Module, change: dict) -> None:
    checkpoint = saved(module)
    for name, value in change.items():
        checkpoint["state_dict"].pop(name, None)
        if value is not None:
            checkpoint["state_dict"][name] = value
    with pytest.raises(InputError, match=f"1 keys missing or unexpected, {next(iter(change))}"):
        checkpoints.refuse_another(module, checkpoint, WHOSE, to_train=True)


def progress(ready: int, processed: int, completed: int, last: bool = False) -> dict[str, Any]:
    counts = {"ready": ready, "started": ready, "processed": processed, "completed": completed}
    earlier = {name: value + 10 for name, value in counts.items()}
    batches = {"total": earlier, "current": counts, "is_last_batch": last}
    epochs = {"ready": 1, "started": 1, "processed": 0, "completed": 0}
    loops = {
        "epoch_loop.batch_progress": batches,
        "epoch_progress": {"total": dict(epochs), "current": dict(epochs)},
        "epoch_loop.state_dict": {"_batches_that_stepped": 3},
    }
    return {"loops": {"fit_loop": loops}}


@pytest.mark.parametrize(
    ("at", "accumulate", "expected"),
    [
        (progress(6, 6, 5), 2, progress(6, 6, 5)),  # saved when a step's last batch ended
        (progress(5, 5, 5), 2, progress(4, 4, 4)),  # between the batches of a step
        (progress(5, 5, 4), 3, progress(3, 3, 3)),
        (progress(5, 4, 4), 1, progress(4, 4, 4)),  # within a batch
        (progress(6, 5, 5), 2, progress(4, 4, 4)),
        (progress(5, 5, 4, last=True), 2, progress(5, 5, 4, last=True)),  # an epoch's end
        (progress(5, 4, 4, last=True), 3, progress(3, 3, 3, last=True)),  # within its last batch
    ],
)
def test_training_goes_on_where_a_step_begins(
    at: dict[str, Any], accumulate: int, expected: dict[str, Any]
) -> None:
    checkpoints.back_to_step(at, accumulate)
    assert at == expected


def test_a_checkpoint_of_an_epochs_end_becomes_one_of_its_last_batch() -> None:
    at, expected = progress(5, 5, 5, last=True), progress(5, 5, 4, last=True)
    loops = at["loops"]["fit_loop"]
    for counts in loops["epoch_progress"].values():
        counts["processed"] = 1
    loops["epoch_loop.state_dict"]["_batches_that_stepped"] = 4
    checkpoints.back_to_step(at, accumulate=2)
    assert at == expected


def draws() -> tuple[float, float, list[float]]:
    return random.random(), float(np.random.rand()), torch.rand(3).tolist()


def test_random_states_come_back_through_a_checkpoint_file(tmp_path: Path) -> None:
    torch.save(checkpoints.random_states(CPU), tmp_path / "states.ckpt")
    expected = draws()
    states = torch.load(tmp_path / "states.ckpt", weights_only=True)
    checkpoints.restore_random_states(states, CPU)
    assert draws() == expected


TERMS = {
    "learning_rate": 1e-4,
    "weight_decay": 0.0,
    "accumulate": 2,
    "batch": 4,
    "packed": 0,
    "examples": 100,
    "seed": 0,
}


def kept(at: dict[str, Any], **then: Any) -> dict[str, Any]:
    return {**at, "terms": {**TERMS, **then}}


@pytest.mark.parametrize(
    ("now", "seen"),
    [
        ({}, 6),
        ({"accumulate": 1, "batch": 8}, 3),  # larger micro-batches
        ({"accumulate": 8, "batch": 1}, 24),  # smaller ones
    ],
)
def test_the_same_steps_in_other_micro_batches_go_on_with_the_next_example(
    now: dict[str, int], seen: int
) -> None:
    checkpoint = kept(progress(6, 6, 5))
    checkpoints.go_on(checkpoint, {**TERMS, **now})
    batches = checkpoint["loops"]["fit_loop"]["epoch_loop.batch_progress"]
    assert batches["current"]["processed"] == batches["current"]["ready"] == seen
    assert batches["current"]["completed"] == seen - 1
    assert batches["total"]["processed"] == seen + 10


@pytest.mark.parametrize("now", [{"batch": 16}, {"accumulate": 1}, {"packed": 4}])
def test_steps_of_other_examples_are_refused(now: dict[str, int]) -> None:
    with pytest.raises(InputError, match="a step of the checkpoint has other examples"):
        checkpoints.go_on(kept(progress(6, 6, 5)), {**TERMS, **now})


@pytest.mark.parametrize("name", ["learning_rate", "weight_decay"])
def test_a_rate_that_the_checkpoint_would_overrule_is_refused(name: str) -> None:
    with pytest.raises(InputError, match=f"model.{name}: the optimiser of the checkpoint"):
        checkpoints.go_on(kept(progress(6, 6, 5)), {**TERMS, name: 0.5})


def test_other_data_are_told_of(caplog: pytest.LogCaptureFixture) -> None:
    checkpoints.go_on(kept(progress(6, 6, 5)), {**TERMS, "examples": 120})
    assert "other data than the checkpoint's (100 examples then, 120 now)" in caplog.text


def test_a_checkpoint_without_terms_goes_on() -> None:
    at = progress(6, 6, 5)
    checkpoints.go_on(at, TERMS)
    assert at == progress(6, 6, 5)


def test_a_rank_that_was_not_there_has_no_random_states() -> None:
    states = checkpoints.of_all_ranks(checkpoints.random_states(CPU))
    assert checkpoints.of_rank(states, 0) == states[0]
    assert checkpoints.of_rank(states, 1) is None
    assert checkpoints.of_rank(None, 0) is None
