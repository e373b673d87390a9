"""Speed, memory and the share of the GPU's peak."""

from __future__ import annotations

import logging
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import lightning as L
import polars as pl
import pytest
import torch
from fake_student import FakeData, FakeStudent, make_trainer
from lightning.pytorch.loggers import CSVLogger
from torch import nn
from torch.utils.data import DataLoader

from callbacks.generative_evaluation import GenerativeEvaluation
from callbacks.run_facts import RunFacts, count, flops_per_token, named_peak_flops, peak_flops
from data_modules.batching import LateLoader


class Sleeps(L.Callback):
    """Makes every step take at least 10 ms."""

    def on_train_batch_start(self, *rest: Any) -> None:
        time.sleep(0.01)


class SlowStudent(FakeStudent):
    """Takes half a second to answer."""

    def predictions(self, *args: Any, **settings: Any) -> pl.DataFrame:
        time.sleep(0.5)
        return super().predictions(*args, **settings)


def facts(tmp_path: Path, *callbacks: L.Callback, **settings: Any) -> pl.DataFrame:
    student = settings.pop("student", None) or FakeStudent()
    logger = CSVLogger(tmp_path, name="", version="")
    make_trainer(tmp_path, *callbacks, logger=logger, **settings).fit(student, FakeData())
    table = pl.read_csv(tmp_path / "metrics.csv")
    return table.filter(pl.col("tokens_per_second").is_not_null())


def test_padding_and_unsupervised_tokens_are_not_counted() -> None:
    batch = {
        "input_ids": torch.ones(2, 5, dtype=torch.int64),
        "labels": torch.tensor([[-100, -100, 7, 7, -100], [-100, 7, -100, -100, -100]]),
        "lengths": torch.tensor([4, 2]),
    }
    assert count(batch).tolist() == [6, 3, 2]


def test_facts_share_a_row_with_the_loss_once_an_interval(tmp_path: Path) -> None:
    table = facts(tmp_path, RunFacts(), log_every_n_steps=4)
    assert table["step"].to_list() == [3, 7, 11, 15]
    assert table["train_loss"].null_count() == 0
    assert "mfu" not in table.columns
    assert table["seconds"].is_sorted()
    assert 0.05 < table["peak_memory_gb"][0] < 100


def test_rates_are_of_the_interval(tmp_path: Path) -> None:
    table = facts(tmp_path, RunFacts(), Sleeps(), log_every_n_steps=4)
    # Two examples of 3 and 4 tokens, 3 supervised each, in at least 10 ms
    assert table["tokens_per_second"].max() <= 700
    ratio = table["supervised_tokens_per_second"] / table["tokens_per_second"]
    assert ratio.to_list() == pytest.approx([6 / 7] * 4)
    examples = table["examples_per_second"] / table["tokens_per_second"]
    assert examples.to_list() == pytest.approx([2 / 7] * 4)


def test_accumulated_micro_batches_count_into_one_step(tmp_path: Path) -> None:
    table = facts(tmp_path, RunFacts(), Sleeps(), log_every_n_steps=1, accumulate_grad_batches=4)
    assert table["step"].to_list() == [0, 1, 2, 3]
    assert table["tokens_per_second"].max() <= 700


@pytest.mark.parametrize("first", [True, False])
def test_the_time_of_evaluations_does_not_slow_training_down(tmp_path: Path, first: bool) -> None:
    pair: list[L.Callback] = [RunFacts(), GenerativeEvaluation(4, questions=5, at_start=True)]
    pair = pair if first else pair[::-1]
    table = facts(tmp_path, *pair, log_every_n_steps=4, student=SlowStudent())
    # 8 batches of 7 tokens in 0.5 s would be 56 tokens/s
    assert table["tokens_per_second"].min() > 200
    assert table["seconds"][-1] > 1.0


class SlowLoader(LateLoader):
    """Lets whoever iterates wait 10 ms for each batch."""

    def __init__(self, loader: DataLoader[Any]) -> None:
        super().__init__(loader)
        self.loader = SlowBatches(loader)  # type: ignore[assignment]


class SlowBatches:
    def __init__(self, loader: DataLoader[Any]) -> None:
        self.inner = loader

    def __len__(self) -> int:
        return len(self.inner)

    def __iter__(self) -> Iterator[Any]:
        for batch in self.inner:
            time.sleep(0.01)
            yield batch


class SlowData(FakeData):
    def train_dataloader(self) -> LateLoader:  # type: ignore[override]
        return SlowLoader(super().train_dataloader())


def test_seconds_of_an_interval_are_split_into_data_step_and_evaluation(tmp_path: Path) -> None:
    logger = CSVLogger(tmp_path, name="", version="")
    callbacks = [RunFacts(), GenerativeEvaluation(8, questions=5, at_end=False)]
    trainer = make_trainer(tmp_path, *callbacks, logger=logger, log_every_n_steps=4)
    trainer.fit(SlowStudent(), SlowData())
    table = pl.read_csv(tmp_path / "metrics.csv").drop_nulls("data_seconds")
    parts = table.select("data_seconds", "step_seconds", "evaluation_seconds")
    assert (table["data_seconds"][1:] >= 0.04).all()
    assert table["evaluation_seconds"].max() >= 0.5
    assert parts.min_horizontal().min() >= 0
    assert float(parts.sum_horizontal().sum()) == pytest.approx(table["seconds"][-1], abs=1e-3)


def test_loader_that_counts_nothing_leaves_all_to_the_step(tmp_path: Path) -> None:
    table = facts(tmp_path, RunFacts(), log_every_n_steps=4)
    assert table["data_seconds"].to_list() == [0.0] * 4


def test_one_line_sums_up_the_run(tmp_path: Path, caplog: pytest.LogCaptureFixture) -> None:
    with caplog.at_level(logging.INFO, "callbacks"):
        make_trainer(tmp_path, RunFacts(), log_every_n_steps=5).fit(FakeStudent(), FakeData())
    (line,) = [r.getMessage() for r in caplog.records if r.name == "callbacks.run_facts"]
    assert line.startswith("trained 16 steps on 112 tokens (96 supervised) in ")
    assert "tokens/s" in line


def test_logging_switched_off_leaves_the_summary(tmp_path: Path) -> None:
    trainer = make_trainer(tmp_path, RunFacts(), log_every_n_steps=0)
    trainer.fit(FakeStudent(), FakeData())
    assert "tokens_per_second" not in trainer.callback_metrics


@pytest.mark.parametrize(
    ("name", "peak"),
    [
        ("NVIDIA A100-SXM4-80GB", 312e12),
        ("NVIDIA A100 80GB PCIe", 312e12),
        ("NVIDIA H100 80GB HBM3", 989e12),
        ("NVIDIA H100 PCIe", 756e12),
        ("NVIDIA H100 NVL", 835e12),
        ("NVIDIA H200", 989e12),
        ("NVIDIA H200 NVL", 835e12),
        ("NVIDIA A100-SXM4-40GB MIG 1g.5gb", None),
        ("NVIDIA GH200 480GB", None),
        ("NVIDIA A10", 125e12),
        ("NVIDIA A10G", None),
        ("NVIDIA L40S", 362e12),
        ("Tesla T4", None),
        ("NVIDIA GeForce RTX 4090", None),
        ("NVIDIA H2000", None),
    ],
)
def test_the_peak_is_that_of_the_card_or_unknown(name: str, peak: float | None) -> None:
    assert named_peak_flops(name) == peak


def test_a_cpu_has_no_peak() -> None:
    assert peak_flops(torch.device("cpu")) is None


def test_frozen_weights_need_no_gradient_of_their_own() -> None:
    frozen, trained = nn.Linear(3, 5), nn.Linear(5, 2)
    frozen.requires_grad_(False)
    assert flops_per_token(nn.Sequential(frozen, nn.LayerNorm(5), trained)) == 4 * 15 + 6 * 10


def test_the_8b_recipe_needs_what_was_counted_on_its_real_shapes() -> None:
    # 31.3 GFLOP a token with a flop counter at 512 tokens, 0.8 of them attention's own products
    with torch.device("meta"):
        d, kv, wide, r = 4096, 1024, 14336, 32
        shapes = [(d, d), (d, kv), (d, kv), (d, d), (d, wide), (d, wide), (wide, d)]
        base = [nn.Linear(*shape, bias=False).requires_grad_(False) for shape in shapes]
        lora = [nn.Linear(a, b, bias=False) for i, o in shapes for a, b in ((i, r), (r, o))]
        head = nn.Linear(d, 128256, bias=False).requires_grad_(False)
    layer = flops_per_token(nn.ModuleList([*base, *lora]))
    assert (32 * layer + flops_per_token(head)) / 1e9 == pytest.approx(31.3 - 0.8, abs=0.15)
