"""The baselines: fitted on the train split, blind to the perturbation."""

from __future__ import annotations

from pathlib import Path

import polars as pl
import pytest

from synthpert.errors import InputError
from synthpert.predictions import read_predictions
from synthpert.questions import LABEL_DTYPE, LABELS, read_questions, split_questions
from synthpert.scores import answer_questions, score_cells
from tools.baseline import BASELINES, SMOOTHING, answer, main

NOT_DE, UP, DOWN = (label.value for label in LABELS)
P = ("p_not_de", "p_up", "p_down")
SAMPLE = Path(__file__).parents[2] / "synthpert" / "sample"


def questions(*rows: tuple[str, str, str, str]) -> pl.DataFrame:
    schema = {"cell_line": pl.String, "pert": pl.String, "gene": pl.String, "label": LABEL_DTYPE}
    return pl.DataFrame(rows, schema=schema, orient="row")


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


def smoothed(counts: tuple[int, int, int], shares: tuple[float, ...]) -> list[float]:
    return [
        (count + SMOOTHING * share) / (sum(counts) + SMOOTHING)
        for count, share in zip(counts, shares, strict=True)
    ]


def prior(cell_line: str, gene: str) -> list[float]:
    table = answer("gene-prior", TRAIN, questions((cell_line, "T", gene, NOT_DE)))
    return list(table.select(P).row(0))


def test_majority_answers_the_most_frequent_class_of_the_line() -> None:
    test = questions(("k562", "T", "X", UP), ("rpe1", "T", "X", UP))
    assert answer("majority", TRAIN, test)["answer"].to_list() == [NOT_DE, DOWN]


def test_majority_writes_the_class_shares_as_probabilities() -> None:
    table = answer("majority", TRAIN, questions(("k562", "T", "X", UP)))
    assert table.select(P).row(0) == pytest.approx(K562_SHARES)


def test_majority_of_a_line_without_train_rows_is_that_of_all_lines() -> None:
    table = answer("majority", TRAIN, questions(("jurkat", "T", "X", UP)))
    assert table.select(P).row(0) == (4 / 8, 2 / 8, 2 / 8)


def test_gene_prior_is_the_gene_in_its_line() -> None:
    assert prior("k562", "X") == pytest.approx(smoothed((1, 2, 0), K562_SHARES))


def test_gene_prior_falls_back_to_the_other_lines() -> None:
    assert prior("k562", "Z") == pytest.approx(smoothed((0, 0, 2), K562_SHARES))


def test_gene_prior_falls_back_to_the_class_shares() -> None:
    assert prior("k562", "UNSEEN") == pytest.approx(K562_SHARES)


def test_gene_prior_answers_the_most_probable_class() -> None:
    test = questions(("k562", "T", "X", UP), ("k562", "T", "Y", UP), ("k562", "T", "Z", UP))
    assert answer("gene-prior", TRAIN, test)["answer"].to_list() == [UP, NOT_DE, DOWN]


@pytest.mark.parametrize("name", BASELINES)
def test_no_baseline_looks_at_the_test_labels_or_the_perturbation(name: str) -> None:
    one = answer(name, TRAIN, questions(("k562", "T", "X", UP)))
    other = answer(name, TRAIN, questions(("k562", "S", "X", DOWN)))
    assert one.select("answer", *P).equals(other.select("answer", *P))


@pytest.mark.parametrize("name", BASELINES)
def test_probabilities_sum_to_one_on_the_sample(name: str) -> None:
    table = answer(name, *split_questions(read_questions(SAMPLE)))
    assert table.select((pl.sum_horizontal(P) - 1).abs().max()).item() < 1e-12


@pytest.mark.parametrize("name", BASELINES)
def test_per_gene_auroc_is_one_half_by_construction(name: str) -> None:
    train, test = split_questions(read_questions(SAMPLE))
    scores = score_cells(answer_questions(test, answer(name, train, test)))
    for block in (scores["all"], *scores["cells"].values()):
        assert block["de_auroc"]["per_gene"] == 0.5


def test_majority_accuracy_is_the_share_of_the_class() -> None:
    train, test = split_questions(read_questions(SAMPLE))
    scores = score_cells(answer_questions(test, answer("majority", train, test)))
    share = (test["label"] == NOT_DE).mean()
    assert scores["all"]["three_class"]["accuracy"] == pytest.approx(share, abs=1e-15)


def test_the_verb_writes_predictions_for_every_test_question(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    out = tmp_path / "prior.parquet"
    assert main(["gene-prior", "--data", str(SAMPLE), "--out", str(out)]) == 0
    table = read_predictions(out)
    test = split_questions(read_questions(SAMPLE))[1]
    assert table.select("cell_line", "pert", "gene").equals(test.select(table.columns[:3]))
    assert table["model"].unique().to_list() == ["baseline/gene-prior"]
    assert capsys.readouterr().out == f"{out}: {len(test):,} predictions by gene-prior\n"


def test_without_out_it_writes_into_the_current_folder(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    main(["majority", "--data", str(SAMPLE), "--split", "held_out:rpe1"])
    table = read_predictions(tmp_path / "predictions-majority.parquet")
    assert table["cell_line"].unique().to_list() == ["rpe1"]


def test_help_lists_every_name(capsys: pytest.CaptureFixture[str]) -> None:
    with pytest.raises(SystemExit, match="0"):
        main(["--help"])
    out = capsys.readouterr().out
    assert all(name in out for name in BASELINES)


def test_an_unknown_name_is_refused_with_the_nearest() -> None:
    with pytest.raises(InputError, match="did you mean 'gene-prior'"):
        main(["geneprior", "--data", str(SAMPLE)])


def test_an_unknown_split_is_refused() -> None:
    with pytest.raises(InputError, match="unknown split"):
        main(["majority", "--data", str(SAMPLE), "--split", "random"])


def test_no_train_row_is_refused() -> None:
    with pytest.raises(InputError, match="no train row"):
        answer("majority", TRAIN.clear(), TRAIN)
