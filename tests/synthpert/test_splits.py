"""Train and test: what each split keeps apart, and what the audit counts."""

from __future__ import annotations

import math
from pathlib import Path

import polars as pl
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

import synthpert.sample
from synthpert.errors import InputError
from synthpert.questions import (
    CELL_LINES,
    LABEL_DTYPE,
    LABELS,
    Label,
    read_questions,
    split_questions,
)
from synthpert.questions.leakage import leakage

SAMPLE = Path(synthpert.sample.__file__).parent


def table(rows: list[tuple[str, str, str, str, str]]) -> pl.DataFrame:
    schema: dict[str, pl.DataType | type[pl.DataType]] = {
        "cell_line": pl.String,
        "pert": pl.String,
        "gene": pl.String,
        "label": LABEL_DTYPE,
        "split": pl.String,
    }
    return pl.DataFrame(rows, schema=schema, orient="row")


@st.composite
def questions(draw: st.DrawFn) -> pl.DataFrame:
    """Any questions of three cell lines; a perturbation has one split in a cell line."""
    keys = st.tuples(
        st.sampled_from(["k562", "rpe1", "hela"]), st.sampled_from("ABCDE"), st.sampled_from("xyz")
    )
    rows = draw(st.lists(keys, unique=True, max_size=30))
    parts = {row[:2]: draw(st.sampled_from(["train", "test"])) for row in rows}
    return table([(*row, draw(st.sampled_from(LABELS)), parts[row[:2]]) for row in rows])


SMALL = table(
    [
        ("k562", "A", "x", Label.UP, "train"),
        ("k562", "B", "x", Label.NOT_DE, "test"),
        ("rpe1", "B", "x", Label.DOWN, "train"),
        ("rpe1", "C", "x", Label.DOWN, "test"),
        ("rpe1", "A", "x", Label.UP, "test"),
        ("rpe1", "A", "y", Label.UP, "test"),
    ]
)


@settings(deadline=None)  # a busy machine is no failure
@given(questions())
def test_the_default_split_is_the_files_own(rows: pl.DataFrame) -> None:
    train, test = split_questions(rows)
    assert train.equals(rows.filter(pl.col("split") == "train"))
    assert test.equals(rows.filter(pl.col("split") == "test"))


@settings(deadline=None)  # a busy machine is no failure
@given(questions())
def test_strict_trains_on_no_tested_perturbation_and_drops_no_other_row(rows: pl.DataFrame) -> None:
    train, test = split_questions(rows, "strict")
    default_train, default_test = split_questions(rows)
    tested = set(test["pert"])
    assert tested.isdisjoint(train["pert"])
    assert test.equals(default_test)
    assert train.height == sum(pert not in tested for pert in default_train["pert"])


@settings(deadline=None)  # a busy machine is no failure
@given(questions(), st.sampled_from(["k562", "rpe1", "hela"]))
def test_a_held_out_line_is_all_of_test_and_none_of_train(rows: pl.DataFrame, line: str) -> None:
    present = set(rows["cell_line"])
    if line not in present or len(present) == 1:
        with pytest.raises(InputError):
            split_questions(rows, f"held_out:{line}")
        return
    train, test = split_questions(rows, f"held_out:{line}")
    assert set(test["cell_line"]) == {line}
    assert set(train["cell_line"]) == present - {line}
    assert train.height + test.height == rows.height


@settings(deadline=None)  # a busy machine is no failure
@given(questions(), st.sampled_from(["default", "strict"]))
def test_leakage_counts_what_a_slow_reading_counts(rows: pl.DataFrame, split: str) -> None:
    train, test = split_questions(rows, split)
    keys = list(train.select("cell_line", "pert", "gene").iter_rows())
    other = pairs = same = 0
    for line, pert, gene in test.select("cell_line", "pert", "gene").iter_rows():
        other += any(l != line and p == pert for l, p, _ in keys)  # noqa: E741
        same += any(l == line and p == pert for l, p, _ in keys)  # noqa: E741
        pairs += any(l != line and (p, g) == (pert, gene) for l, p, g in keys)  # noqa: E741
    whole = leakage(train, test).row(-1, named=True)
    assert (whole["other_line"], whole["same_line"], whole["pairs"]) == (other, same, pairs)
    assert whole["cell_line"] == "all"
    assert whole["rows"] == test.height


def test_leakage_of_a_small_table_is_known_by_hand() -> None:
    rows = {row["cell_line"]: row for row in leakage(*split_questions(SMALL)).to_dicts()}
    assert list(rows) == ["k562", "rpe1", "all"]
    rpe1 = rows["rpe1"]
    assert (rpe1["rows"], rpe1["perts"], rpe1["de_rows"]) == (3, 2, 3)
    assert (rpe1["other_line"], rpe1["unseen"], rpe1["pairs"], rpe1["de_pairs"]) == (2, 1, 1, 1)
    assert rpe1["other_line_share"] == pytest.approx(2 / 3)
    assert rows["k562"]["de_pairs"] == 0
    assert math.isnan(rows["k562"]["de_pairs_share"])


def test_a_strict_split_has_no_leakage() -> None:
    whole = leakage(*split_questions(SMALL, "strict")).row(-1, named=True)
    assert whole["unseen_share"] == 1.0
    assert whole["pairs"] == 0


@pytest.mark.parametrize(
    ("split", "message"),
    [
        (
            "random",
            "split: unknown split (got 'random'; expected default | strict | held_out:CELL)",
        ),
        (
            "held_out:hela",
            "split: unknown cell line (got 'held_out:hela'; "
            "expected held_out:k562 | held_out:rpe1)",
        ),
        (
            "held_out",
            "split: unknown cell line (got 'held_out'; expected held_out:k562 | held_out:rpe1)",
        ),
    ],
)
def test_an_unknown_split_is_refused(split: str, message: str) -> None:
    with pytest.raises(InputError) as caught:
        split_questions(SMALL, split)
    assert str(caught.value) == message


def test_holding_out_the_only_cell_line_is_refused() -> None:
    with pytest.raises(InputError, match="is the only one"):
        split_questions(SMALL.filter(pl.col("cell_line") == "k562"), "held_out:k562")


def test_a_table_without_splits_can_only_be_held_out() -> None:
    with pytest.raises(InputError, match="split: column is missing"):
        split_questions(SMALL.drop("split"))
    assert split_questions(SMALL.drop("split"), "held_out:k562")[1].height == 2


def test_a_value_that_is_no_split_is_refused_and_not_dropped() -> None:
    changed = SMALL.with_columns(split=pl.lit("valid"))
    with pytest.raises(InputError, match=r"unknown value .got 'valid'"):
        split_questions(changed)


def test_the_bundled_sample_resembles_the_benchmark() -> None:
    sample = read_questions(SAMPLE)
    train, test = split_questions(sample)
    shares = sample["label"].value_counts(normalize=True).sort("label")["proportion"].to_list()
    assert sample["cell_line"].unique(maintain_order=True).to_list() == list(CELL_LINES)
    assert shares == pytest.approx([0.862, 0.063, 0.075], abs=0.01)
    assert test.height / sample.height == pytest.approx(0.19, abs=0.02)
    assert sample.height == 11_753
    for part in (train, test):
        assert part.select("cell_line", "label").n_unique() == 12
    assert leakage(train, test).row(-1, named=True)["other_line_share"] > 0.5


def test_the_bundled_sample_is_small_and_carries_the_benchmarks_licence() -> None:
    files = [path for path in SAMPLE.iterdir() if path.is_file()]
    assert sum(path.stat().st_size for path in files) < 300_000
    assert "Genentech Non-Commercial" in (SAMPLE / "LICENSE.txt").read_text()
