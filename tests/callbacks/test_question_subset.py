"""Which questions an evaluation asks."""

from __future__ import annotations

import random

import numpy as np
import polars as pl
import pytest
import torch
from fake_student import question_table
from hypothesis import given, settings
from hypothesis import strategies as st

from callbacks.question_subset import draw_subset
from synthpert.errors import InputError
from synthpert.questions import LABELS

KEY = ["cell_line", "pert", "gene"]


def perturbations(table: pl.DataFrame) -> int:
    return table.select("cell_line", "pert").n_unique()


def test_labels_have_the_shares_of_the_whole() -> None:
    drawn = draw_subset(question_table(), 50, seed=0)
    counts = dict(drawn["label"].value_counts().iter_rows())
    assert counts == {LABELS[0]: 30, LABELS[1]: 10, LABELS[2]: 10}


def test_whole_perturbations_are_taken_before_the_next_one() -> None:
    # 12 not DE, 4 up and 4 down in each: three perturbations hold 30, 10 and 10
    assert perturbations(draw_subset(question_table(), 50, seed=0)) == 3


def test_a_rare_label_is_never_left_out() -> None:
    table = question_table(perts=50, genes=5)
    rare = table.with_row_index().with_columns(
        label=pl.when(pl.col("index") == 77).then(pl.lit(LABELS[2])).otherwise(pl.lit(LABELS[0]))
    )
    rare = rare.with_columns(pl.col("label").cast(table["label"].dtype))
    drawn = draw_subset(rare, 10, seed=3)
    assert (drawn["label"] == LABELS[2]).sum() == 1


def test_rare_labels_do_not_make_it_larger() -> None:
    table = question_table(perts=1, genes=15).with_row_index()
    label = pl.when(pl.col("index") < 2).then(pl.lit(LABELS[1])).otherwise(pl.lit(LABELS[0]))
    label = pl.when(pl.col("index") == 2).then(pl.lit(LABELS[2])).otherwise(label)
    table = table.with_columns(label=label.cast(table["label"].dtype))
    assert sorted(draw_subset(table, 3, seed=0)["label"]) == sorted(map(str, LABELS))


def test_the_order_of_rows_does_not_matter() -> None:
    table = question_table()
    shuffled = table.sample(fraction=1.0, shuffle=True, seed=5)
    assert draw_subset(table, 40, seed=1).equals(draw_subset(shuffled, 40, seed=1))


def test_another_seed_draws_others() -> None:
    first, second = (draw_subset(question_table(), 40, seed=seed) for seed in (0, 1))
    assert not first.equals(second)


def test_no_random_state_is_read_or_moved() -> None:
    before = random.getstate(), np.random.get_state()[1].tolist(), torch.get_rng_state()
    first = draw_subset(question_table(), 40, seed=1)
    after = random.getstate(), np.random.get_state()[1].tolist(), torch.get_rng_state()
    assert before[:2] == after[:2]
    assert torch.equal(before[2], after[2])
    random.seed(99)
    assert draw_subset(question_table(), 40, seed=1).equals(first)


def test_a_small_table_is_taken_whole() -> None:
    table = question_table(perts=1, genes=3)
    assert draw_subset(table, 300, seed=0).sort(KEY).equals(table.sort(KEY))


def test_other_columns_are_left_out() -> None:
    table = question_table().with_columns(split=pl.lit("train"))
    assert draw_subset(table, 10, seed=0).columns == [*KEY, "label"]


@settings(max_examples=50, deadline=None)
@given(st.lists(st.tuples(st.integers(0, 5), st.integers(0, 2)), min_size=1), st.integers(1, 60))
def test_as_many_as_asked_and_every_label_that_occurs(
    rows: list[tuple[int, int]], size: int
) -> None:
    table = pl.DataFrame(
        {
            "cell_line": ["k562"] * len(rows),
            "pert": [f"P{pert}" for pert, _ in rows],
            "gene": [f"G{i}" for i in range(len(rows))],
            "label": [LABELS[label].value for _, label in rows],
        },
        schema_overrides={"label": question_table()["label"].dtype},
    )
    drawn = draw_subset(table, size, seed=0)
    assert set(drawn["label"]) == set(table["label"])
    assert drawn.height == max(min(size, table.height), table["label"].n_unique())
    assert drawn.select(KEY).is_unique().all()
    assert drawn.join(table, on=[*KEY, "label"], how="anti").is_empty()


def test_nothing_to_ask_is_an_error() -> None:
    with pytest.raises(InputError, match="got '0 questions, 0 without a label'"):
        draw_subset(question_table().head(0), 10, seed=0)
