"""The optimiser: which weights learn at which rate, and the rate over the steps."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import lightning as L
import pytest
import torch
from lightning.pytorch.callbacks import ModelCheckpoint
from tiny import quiet_trainer, tiny_base, write_benchmark
from torch import nn

from data_modules.tuples import TupleDataModule
from synthpert.bases import Lora
from synthpert.errors import InputError
from synthpert.optimisation import adamw, warmed_up
from synthpert.student import Student


class Adapted(nn.Module):
    """The names that PEFT gives: a frozen weight, and two matrices."""

    def __init__(self) -> None:
        super().__init__()
        self.weight = nn.Parameter(torch.zeros(6, 6), requires_grad=False)
        self.lora_A = nn.ModuleDict({"default": nn.Linear(6, 2, bias=False)})
        self.lora_B = nn.ModuleDict({"default": nn.Linear(2, 6, bias=False)})


def rates(optimizer: torch.optim.Optimizer) -> dict[tuple[int, ...], tuple[float, float]]:
    return {
        tuple(weight.shape): (group["lr"], group["weight_decay"])
        for group in optimizer.param_groups
        for weight in group["params"]
    }


def test_trained_weights_have_one_rate() -> None:
    found = rates(adamw(Adapted(), 1e-4, 0.1, plus=None, fused=False))
    assert found == {(2, 6): (1e-4, 0.1), (6, 2): (1e-4, 0.1)}


def test_b_matrices_learn_faster_with_plus() -> None:
    found = rates(adamw(Adapted(), 1e-4, 0.1, plus=16.0, fused=False))
    assert found == {(2, 6): (1e-4, 0.1), (6, 2): (pytest.approx(16e-4), 0.1)}


def test_frozen_weight_does_not_move() -> None:
    module = Adapted()
    optimizer = adamw(module, 1.0, 0.1, plus=2.0, fused=False)
    for weight in module.parameters():
        weight.grad = torch.ones_like(weight) if weight.requires_grad else None
    optimizer.step()
    assert not module.weight.any()


def over(schedule: str, steps: float, count: int) -> list[list[float]]:
    optimizer = adamw(Adapted(), 1.0, 0.0, plus=2.0, fused=False)
    scheduler = warmed_up(optimizer, schedule, 3, lambda: steps)  # type: ignore[arg-type]
    found = []
    for _ in range(count):
        found.append([group["lr"] for group in optimizer.param_groups if group["params"]])
        optimizer.step()
        scheduler.step()
    return found


def test_linear_schedule_warms_up_and_ends_at_zero() -> None:
    assert [a for a, _ in over("linear", 7, 8)] == [0.25, 0.5, 0.75, 1.0, 0.75, 0.5, 0.25, 0.0]


def test_constant_schedule_stays_and_asks_for_no_end() -> None:
    assert [a for a, _ in over("constant", float("inf"), 6)] == [0.25, 0.5, 0.75, 1.0, 1.0, 1.0]


def test_both_rates_follow_the_schedule() -> None:
    assert all(b == pytest.approx(2 * a) for a, b in over("linear", 7, 8))


def test_linear_schedule_without_an_end_is_refused() -> None:
    with pytest.raises(InputError, match=r"trainer\.max_epochs: a linear schedule needs an end"):
        over("linear", float("inf"), 1)


@pytest.fixture(scope="module")
def lab(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("optimisation")
    tiny_base(folder / "base")
    write_benchmark(folder / "data")
    return folder


def fit(lab: Path, start: Path | None, *callbacks: L.Callback, **form: Any) -> dict[str, Any]:
    """The adapters after four steps."""
    L.seed_everything(3)
    lora = Lora(r=2, dropout=0.2, targets=("q_proj", "down_proj"), **form)
    student = Student(str(lab / "base"), "compact", lora=lora, dtype="float32", learning_rate=1e-2)
    trainer = quiet_trainer(*callbacks, max_steps=4, max_epochs=-1)
    module = TupleDataModule(data=lab / "data", batch_size=4)
    trainer.fit(student, module, ckpt_path=start, weights_only=True)
    return {name: p.detach() for name, p in student.named_parameters() if p.requires_grad}


def each_step(folder: Path) -> ModelCheckpoint:
    return ModelCheckpoint(folder, "{step}", save_top_k=-1, every_n_train_steps=1)


@pytest.mark.parametrize("form", [{"plus": 16.0}, {"dora": True, "plus": 4.0}, {"rslora": True}])
def test_adapters_of_every_form_go_on_to_the_bit(lab: Path, tmp_path: Path, form: dict) -> None:
    whole = fit(lab, None, each_step(tmp_path), **form)
    resumed = fit(lab, tmp_path / "step=2.ckpt", **form)
    assert all(torch.equal(resumed[name], weight) for name, weight in whole.items())


@pytest.mark.parametrize("form", [{"plus": 4.0}, {"rslora": True, "plus": 16.0}, {}])
def test_checkpoint_of_another_form_is_refused(lab: Path, tmp_path: Path, form: dict) -> None:
    fit(lab, None, each_step(tmp_path), plus=16.0)
    with pytest.raises(InputError, match="lora: the checkpoint is of another student"):
        fit(lab, tmp_path / "step=2.ckpt", **form)
