"""Batches: padding that is never trained on, and an order that is a pure function."""

from __future__ import annotations

from collections.abc import Iterable

import polars as pl
import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st
from tiny import r1_tokenizer
from torch.utils.data import DataLoader

from data_modules.batching import Examples, LabelledExample, LateLoader, ShuffledBatches, collate
from synthpert.encoding import IGNORED, Encoder, Example
from synthpert.errors import InputError
from synthpert.prompts import load_prompts
from synthpert.questions import LABELS, Label, Question

SHAPES = {"size": st.integers(1, 60), "batch_size": st.integers(1, 9), "world": st.integers(1, 4)}
EOS = 2
ROWS = [
    LabelledExample(Example([5, 6, 7, EOS], [IGNORED, 6, 7, EOS], 2), 1),
    LabelledExample(Example([8, EOS], [IGNORED, EOS], 1), 0),
]


def ranks(size: int, batch_size: int, world: int, at: tuple[int, int] = (0, 0)) -> list[list]:
    return [
        list(ShuffledBatches(size, batch_size, 3, rank, world, lambda: at)) for rank in range(world)
    ]


def flat(batches: Iterable[list[int]]) -> list[int]:
    return [index for batch in batches for index in batch]


@given(size=st.integers(0, 99), batch_size=st.integers(1, 9), epoch=st.integers(0, 5))
def test_every_example_is_seen_once_an_epoch(size: int, batch_size: int, epoch: int) -> None:
    (batches,) = ranks(size, batch_size, 1, (epoch, 0))
    assert sorted(flat(batches)) == list(range(size))


@given(**SHAPES)
def test_ranks_share_no_example(size: int, batch_size: int, world: int) -> None:
    seen = [index for batches in ranks(size, batch_size, world) for index in flat(batches)]
    assert len(seen) == len(set(seen))


@given(size=st.integers(1, 60), batch_size=st.integers(1, 5), world=st.sampled_from([2, 3, 4]))
def test_a_step_has_the_same_examples_on_any_number_of_ranks(
    size: int, batch_size: int, world: int
) -> None:
    (alone,) = ranks(size, batch_size * world, 1)
    steps = [sorted(flat(parts)) for parts in zip(*ranks(size, batch_size, world), strict=True)]
    assert steps == [sorted(batch) for batch in alone[: len(steps)]]


@given(**SHAPES)
def test_ranks_have_equally_many_batches_and_none_is_empty(
    size: int, batch_size: int, world: int
) -> None:
    found = ranks(size, batch_size, world)
    length = len(ShuffledBatches(size, batch_size, 3, 0, world))
    assert {len(batches) for batches in found} == {length}
    assert all(batch for batches in found for batch in batches)


@given(**SHAPES)
def test_only_a_tail_too_small_for_all_ranks_is_left_out(
    size: int, batch_size: int, world: int
) -> None:
    seen = sum(len(batch) for batches in ranks(size, batch_size, world) for batch in batches)
    tail = size % (batch_size * world)
    assert size - seen == (tail if tail < world else 0)


@given(seen=st.integers(0, 12), epoch=st.integers(0, 3))
def test_order_goes_on_from_any_position(seen: int, epoch: int) -> None:
    (whole,) = ranks(50, 4, 1, (epoch, 0))
    (rest,) = ranks(50, 4, 1, (epoch, seen))
    assert rest == whole[seen:]


def test_epochs_and_seeds_differ() -> None:
    orders = [
        flat(ShuffledBatches(40, 4, seed, position=lambda epoch=epoch: (epoch, 0)))
        for seed in (0, 1)
        for epoch in (0, 1)
    ]
    assert len({tuple(order) for order in orders}) == 4


def test_collation_pads_on_the_right_and_trains_on_no_padding() -> None:
    batch = collate(ROWS, pad_id=0)
    assert batch["input_ids"].tolist() == [[5, 6, 7, EOS], [8, EOS, 0, 0]]
    assert batch["labels"].tolist() == [[IGNORED, 6, 7, EOS], [IGNORED, EOS, IGNORED, IGNORED]]


def test_padding_that_is_the_end_of_sequence_hides_no_end() -> None:
    labels = collate(ROWS, pad_id=EOS)["labels"]
    assert labels[1].tolist() == [IGNORED, EOS, IGNORED, IGNORED]


def test_collation_keeps_lengths_answers_and_labels() -> None:
    batch = collate(ROWS, pad_id=0)
    found = [batch[name].tolist() for name in ("lengths", "answer_start", "label")]
    assert found == [[4, 2], [2, 1], [1, 0]]
    assert {tensor.dtype for tensor in batch.values()} == {torch.int64}


TABLE = pl.DataFrame(
    {
        "cell_line": ["k562", "rpe1", "k562"],
        "pert": ["AARS", "B2M", "AARS"],
        "gene": ["A2M", "A2M", "HLA-A"],
        "label": [str(Label.UP), str(Label.NOT_DE), str(Label.DOWN)],
        "reasoning": ["So.", "Thus.", "Hence."],
    }
)


@pytest.fixture(scope="module")
def encoder() -> Encoder:
    return Encoder(r1_tokenizer(), load_prompts("compact"), max_tokens=120)


def test_examples_are_what_the_encoder_makes_of_the_rows(encoder: Encoder) -> None:
    found = Examples(TABLE, encoder).__getitems__([2, 0])
    questions = [Question("k562", "AARS", "HLA-A"), Question("k562", "AARS", "A2M")]
    expected = encoder.examples(questions, [Label.DOWN, Label.UP], ["Hence.", "So."])
    assert [row.example for row in found] == expected
    assert [row.label for row in found] == [LABELS.index(Label.DOWN), LABELS.index(Label.UP)]


def test_examples_without_reasoning_are_bare_answers(encoder: Encoder) -> None:
    row = Examples(TABLE.drop("reasoning"), encoder)[1]
    assert encoder.decode(row.example.input_ids).endswith("<think>\n</think>\nunchanged")


def test_example_that_is_too_long_is_refused(encoder: Encoder) -> None:
    long = TABLE.with_columns(reasoning=pl.lit("So. " * 99))
    with pytest.raises(InputError, match=r"model\.max_tokens: an example is too long"):
        Examples(long, encoder)[1]


def test_forked_workers_encode_a_table_that_polars_threads_have_touched(encoder: Encoder) -> None:
    table = pl.concat([TABLE] * 2000).sort("gene", "pert")
    loader = DataLoader(
        Examples(table, encoder), 500, num_workers=2, collate_fn=lambda rows: len(rows), timeout=60
    )
    assert list(loader) == [500] * 12


def test_late_loader_asks_for_its_position_with_the_first_batch() -> None:
    position = [0, 0]
    batches = ShuffledBatches(12, 3, 0, position=lambda: (position[0], position[1]))
    loader = LateLoader(DataLoader(range(12), batch_sampler=batches, num_workers=2))
    iterator = iter(loader)
    position[:] = [1, 2]
    found = [batch.tolist() for batch in iterator]
    assert found == list(ShuffledBatches(12, 3, 0, position=lambda: (1, 2)))
    assert len(loader) == 4
