"""Baselines of class shares: of the line, the gene, the perturbation, the pair."""

from __future__ import annotations

import pytest
from worlds import DOWN, NOT_DE, UP, P, questions

from tools.baseline import answer
from tools.baseline.priors import SMOOTHING

TRAIN = questions(
    ("k562", "A", "X", UP),
    ("k562", "B", "X", UP),
    ("k562", "C", "X", NOT_DE),
    ("k562", "A", "Y", NOT_DE),
    ("k562", "B", "Y", NOT_DE),
    ("rpe1", "A", "Z", DOWN),
    ("rpe1", "B", "Z", DOWN),
    ("rpe1", "C", "W", NOT_DE),
)
K562_SHARES = (3 / 5, 2 / 5, 0.0)
RPE1_SHARES = (1 / 3, 0.0, 2 / 3)


def smoothed(counts: tuple[int, int, int], shares: tuple[float, ...]) -> list[float]:
    return [
        (count + SMOOTHING * share) / (sum(counts) + SMOOTHING)
        for count, share in zip(counts, shares, strict=True)
    ]


def told(name: str, cell_line: str, pert: str, gene: str) -> list[float]:
    table = answer(name, TRAIN, questions((cell_line, pert, gene, NOT_DE)))
    return list(table.select(P).row(0))


def test_majority_answers_the_most_frequent_class_of_the_line() -> None:
    test = questions(("k562", "T", "X", UP), ("rpe1", "T", "X", UP))
    assert answer("majority", TRAIN, test)["answer"].to_list() == [NOT_DE, DOWN]


def test_majority_writes_the_class_shares_as_probabilities() -> None:
    assert told("majority", "k562", "T", "X") == pytest.approx(K562_SHARES)


def test_majority_of_a_line_without_train_rows_is_that_of_all_lines() -> None:
    assert told("majority", "jurkat", "T", "X") == [4 / 8, 2 / 8, 2 / 8]


def test_gene_prior_is_the_gene_in_its_line() -> None:
    assert told("gene-prior", "k562", "T", "X") == pytest.approx(smoothed((1, 2, 0), K562_SHARES))


def test_gene_prior_falls_back_to_the_other_lines() -> None:
    assert told("gene-prior", "k562", "T", "Z") == pytest.approx(smoothed((0, 0, 2), K562_SHARES))


def test_gene_prior_falls_back_to_the_class_shares() -> None:
    assert told("gene-prior", "k562", "T", "UNSEEN") == pytest.approx(K562_SHARES)


def test_gene_prior_answers_the_most_probable_class() -> None:
    test = questions(("k562", "T", "X", UP), ("k562", "T", "Y", UP), ("k562", "T", "Z", UP))
    assert answer("gene-prior", TRAIN, test)["answer"].to_list() == [UP, NOT_DE, DOWN]


def test_gene_prior_of_other_lines_leaves_out_its_own() -> None:
    name = "gene-prior-other-lines"
    assert told(name, "rpe1", "T", "X") == pytest.approx(smoothed((1, 2, 0), RPE1_SHARES))
    assert told(name, "k562", "T", "X") == pytest.approx(K562_SHARES)


def test_pert_prior_is_the_perturbation_in_other_lines() -> None:
    found = told("pert-prior", "rpe1", "B", "Z")
    assert found == pytest.approx(smoothed((1, 1, 0), RPE1_SHARES))


def test_pert_prior_of_a_perturbation_of_no_other_line_is_that_of_the_line() -> None:
    assert told("pert-prior", "rpe1", "T", "Z") == pytest.approx(RPE1_SHARES)


def test_pair_lookup_adds_the_pair_to_the_gene_prior() -> None:
    prior = tuple(told("gene-prior", "rpe1", "A", "X"))
    assert told("pair-lookup", "rpe1", "A", "X") == pytest.approx(smoothed((0, 1, 0), prior))


def test_pair_lookup_of_an_unseen_pair_is_the_gene_prior() -> None:
    assert told("pair-lookup", "rpe1", "T", "Z") == pytest.approx(
        told("gene-prior", "rpe1", "T", "Z")
    )


def test_class_frequency_draws_each_class_as_often_as_it_is() -> None:
    test = questions(*(("k562", f"T{i}", "X", UP) for i in range(2000)))
    answers = answer("class-frequency", TRAIN, test)["answer"]
    assert (answers == UP).mean() == pytest.approx(2 / 5, abs=0.05)
    assert DOWN not in answers.to_list()


def test_class_frequency_draws_the_same_for_a_question_in_any_company() -> None:
    test = questions(*(("k562", f"T{i}", "X", UP) for i in range(50)))
    every = answer("class-frequency", TRAIN, test)
    assert answer("class-frequency", TRAIN, test[10:20])["answer"].equals(every["answer"][10:20])
