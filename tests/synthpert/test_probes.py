"""Probes: what they exchange, what they leave, and what a system must lose by them."""

from __future__ import annotations

import polars as pl
import pytest
from hypothesis import given
from hypothesis import strategies as st

from synthpert.errors import InputError
from synthpert.probes import PROBES, Probe, probed, pseudonyms
from synthpert.questions import KEY

QUESTIONS = pl.DataFrame(
    [
        (line, f"P{i}", f"G{j}", i * 5 + j)
        for line in ("k562", "rpe1")
        for i in range(6)
        for j in range(5)
    ],
    schema=[*KEY, "number"],
    orient="row",
)


def changed(probe: Probe, table: pl.DataFrame = QUESTIONS, seed: int = 0) -> pl.DataFrame:
    return probed(table, probe, QUESTIONS, seed)


@pytest.mark.parametrize(
    ("probe", "exchanged"),
    [
        ("masked-gene", ["pert", "gene"]),
        ("swapped-perturbation", ["pert"]),
        ("swapped-cell-line", ["cell_line"]),
    ],
)
def test_a_probe_exchanges_these_names_in_every_row_and_no_others(
    probe: Probe, exchanged: list[str]
) -> None:
    asked = changed(probe)
    for name in QUESTIONS.columns:
        same = asked[name] == QUESTIONS[name]
        assert not same.any() if name in exchanged else same.all()


@pytest.mark.parametrize("probe", PROBES)
@given(order=st.permutations(range(60)), take=st.integers(1, 60))
def test_a_row_is_asked_the_same_whatever_stands_around_it(
    probe: Probe, order: list[int], take: int
) -> None:
    rows = QUESTIONS[order[:take]]
    assert changed(probe, rows).equals(changed(probe)[order[:take]])


def test_another_seed_draws_otherwise() -> None:
    for probe in ("masked-gene", "swapped-perturbation"):
        assert not changed(probe).equals(changed(probe, seed=1))


def test_a_gene_has_one_pseudonym_as_perturbation_and_as_target() -> None:
    table = pl.DataFrame([("k562", "A", "B"), ("rpe1", "B", "A")], schema=KEY, orient="row")
    asked = probed(table, "masked-gene", table)
    assert asked["pert"][0] == asked["gene"][1]
    assert asked["gene"][0] == asked["pert"][1]


@given(st.lists(st.sampled_from([f"GENE{i:04}" for i in range(30)] + ["A", "B"]), min_size=1))
def test_pseudonyms_are_one_to_one_and_nobodys_name(names: list[str]) -> None:
    given_names = pseudonyms(pl.Series(names), 3)
    assert len(set(given_names.values())) == len(set(names))
    assert not set(given_names.values()) & set(names)


def test_a_swapped_perturbation_is_of_the_same_line_and_not_the_target_gene() -> None:
    rows = [("k562", "A", "B"), ("k562", "B", "C"), ("k562", "C", "A"), ("rpe1", "X", "Y")]
    pool = pl.DataFrame([*rows, ("rpe1", "Z", "Y")], schema=KEY, orient="row")
    asked = probed(pool, "swapped-perturbation", pool)
    assert asked["pert"].to_list() == ["C", "A", "B", "Z", "X"]


def test_swaps_are_spread_evenly_over_the_others() -> None:
    genes = [("k562", f"P{i}", f"G{j}") for i in range(5) for j in range(400)]
    table = pl.DataFrame(genes, schema=KEY, orient="row")
    counts = probed(table, "swapped-perturbation", table)["pert"].value_counts()["count"]
    assert counts.min() > 330
    assert counts.max() < 470


def test_what_knows_the_perturbation_falls_to_what_does_not() -> None:
    # Half of the perturbations move every gene, so that a gene's prior is a coin toss.
    genes = [("k562", f"P{i}", f"G{j}") for i in range(40) for j in range(50)]
    table = pl.DataFrame(genes, schema=KEY, orient="row")

    def moved(questions: pl.DataFrame) -> pl.Series:
        return questions["pert"].str.slice(1).cast(pl.Int64) < 20

    asked = probed(table, "swapped-perturbation", table)
    assert (moved(table) == moved(table)).mean() == 1
    assert (moved(asked) == moved(table)).mean() == pytest.approx(0.5, abs=0.05)


def test_a_lone_cell_line_has_none_to_be_exchanged_with() -> None:
    one = QUESTIONS.filter(pl.col("cell_line") == "k562")
    with pytest.raises(InputError, match="nothing to exchange it with"):
        probed(one, "swapped-cell-line", one)


def test_a_lone_perturbation_has_none_to_be_exchanged_with() -> None:
    one = QUESTIONS.filter(pl.col("pert") == "P0")
    with pytest.raises(InputError, match="nothing to exchange it with"):
        probed(one, "swapped-perturbation", one)


def test_an_unknown_probe_is_refused() -> None:
    with pytest.raises(InputError, match="unknown probe"):
        changed("upside-down")  # type: ignore[arg-type]
