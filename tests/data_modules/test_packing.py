"""Packed batches: within the budget, a pure function of (seed, epoch, seen), and said aloud."""

from __future__ import annotations

import logging
from pathlib import Path

import polars as pl
import pytest
from hypothesis import given
from hypothesis import strategies as st
from tiny import attach, quiet_trainer, r1_tokenizer, tiny_base, write_benchmark

from data_modules.batching import Examples
from data_modules.packing import PackedBatches, packed, refuse_packing, token_counts
from data_modules.traces import TraceDataModule
from data_modules.tuples import TupleDataModule
from synthpert.encoding import Encoder
from synthpert.errors import InputError
from synthpert.prompts import load_prompts
from synthpert.questions import Label
from synthpert.student import Student

LENGTHS = st.lists(st.integers(1, 30), min_size=1, max_size=60)
TABLE = pl.DataFrame(
    {
        "cell_line": ["k562", "rpe1", "k562"],
        "pert": ["AARS", "B2M", "AARS"],
        "gene": ["A2M", "A2M", "HLA-A"],
        "label": [str(Label.UP), str(Label.NOT_DE), str(Label.DOWN)],
        "reasoning": ["So.", "Thus it is.", "Hence."],
    }
)


@given(lengths=LENGTHS, budget=st.integers(30, 90), epoch=st.integers(0, 3))
def test_every_example_is_seen_once_an_epoch_within_the_budget(
    lengths: list[int], budget: int, epoch: int
) -> None:
    batches = list(PackedBatches(lengths, budget, 3, position=lambda: (epoch, 0)))
    assert sorted(index for batch in batches for index in batch) == list(range(len(lengths)))
    assert all(0 < sum(lengths[index] for index in batch) <= budget for batch in batches)


@given(lengths=LENGTHS, seen=st.integers(0, 5), epoch=st.integers(0, 3))
def test_order_goes_on_from_any_position(lengths: list[int], seen: int, epoch: int) -> None:
    whole = list(PackedBatches(lengths, 60, 3, position=lambda: (epoch, 0)))
    rest = list(PackedBatches(lengths, 60, 3, position=lambda: (epoch, seen)))
    assert rest == whole[seen:]


@given(lengths=LENGTHS, world=st.integers(1, 4))
def test_ranks_share_no_example_and_have_as_many_batches(lengths: list[int], world: int) -> None:
    found = [list(PackedBatches(lengths, 60, 3, rank, world)) for rank in range(world)]
    assert len({len(batches) for batches in found}) == 1
    seen = [index for batches in found for batch in batches for index in batch]
    assert len(seen) == len(set(seen))


def test_epochs_have_another_order_and_as_many_batches() -> None:
    orders = [list(PackedBatches([9] * 40, 30, 0, position=lambda e=e: (e, 0))) for e in (0, 1)]
    assert orders[0] != orders[1]
    assert len(orders[0]) == len(orders[1]) == 14


def test_budget_below_the_longest_example_is_refused() -> None:
    with pytest.raises(InputError, match=r"data\.tokens_per_batch: the longest .* \(got 20; exp"):
        PackedBatches([5, 21], 20, 0)


def test_packing_a_mixture_is_refused() -> None:
    from data_modules.mixing import Mix

    with pytest.raises(InputError, match="packs no mixture"):
        TraceDataModule(traces="any", mix=Mix(file="any.jsonl", ratio=0.5), tokens_per_batch=99)


@pytest.fixture(scope="module")
def examples() -> Examples:
    return Examples(TABLE, Encoder(r1_tokenizer(), load_prompts("compact"), max_tokens=120))


def test_tokens_are_those_of_the_encoded_examples(examples: Examples) -> None:
    assert token_counts(examples) == [len(examples[i].example.input_ids) for i in range(3)]


def test_what_packing_changes_is_said(examples: Examples, caplog: pytest.LogCaptureFixture) -> None:
    with caplog.at_level(logging.WARNING, "data_modules"):
        batches = packed(examples, 240, 0, quiet_trainer(), lambda: (0, 0))
    assert len(batches) == len(batches.packs)
    assert "examples, no longer as many in each step" in caplog.text


def test_data_module_trains_on_batches_within_the_budget(tmp_path: Path) -> None:
    module = TupleDataModule(data=write_benchmark(tmp_path / "data"), tokens_per_batch=100)
    attach(module, Student(tiny_base(tmp_path / "base"), "compact", dtype="float32"))
    module.setup("fit")
    batches = list(module.train_dataloader())
    assert sum(len(batch["lengths"]) for batch in batches) == len(module.train)
    assert max(int(batch["lengths"].sum()) for batch in batches) <= 100


@pytest.mark.parametrize(("budget", "mixed"), [(0, False), (-5, False), (512, True)])
def test_a_budget_that_packs_nothing_is_refused(budget: int, mixed: bool) -> None:
    with pytest.raises(InputError, match="tokens_per_batch"):
        refuse_packing(budget, mixed=mixed)
