"""Every figure of a BLOCK, held against scikit-learn's on random predictions."""

from __future__ import annotations

import json
from typing import Any

import numpy as np
import polars as pl
import pytest
from sklearn import metrics as sk

from synthpert.errors import InputError
from synthpert.predictions import PREDICTION_SCHEMA
from synthpert.questions import LABEL_DTYPE, LABELS
from synthpert.scoring import (
    answer_questions,
    brier,
    confusion_matrix,
    expected_calibration_error,
    score_block,
    score_cells,
    three_class,
)

P = ["p_not_de", "p_up", "p_down"]
NAMES = ("not_de", "up", "down")


def random_questions(n: int, seed: int) -> pl.DataFrame:
    """Unique questions over two cell lines with few genes and perturbations."""
    rng = np.random.default_rng(seed)
    cells = rng.choice(2 * 30 * 12, n, replace=False)
    return pl.DataFrame(
        {
            "cell_line": [f"line{cell // 360}" for cell in cells],
            "pert": [f"P{cell // 12 % 30}" for cell in cells],
            "gene": [f"G{cell % 12}" for cell in cells],
            "label": pl.Series(rng.choice(LABELS, n, p=[0.6, 0.2, 0.2]), dtype=LABEL_DTYPE),
        }
    )


def random_predictions(questions: pl.DataFrame, seed: int) -> pl.DataFrame:
    """For most of the questions; some unread, some probabilities tied."""
    rng = np.random.default_rng(seed)
    n = len(questions)
    p = rng.integers(1, 5, (n, 3)).astype(float)
    p /= p.sum(axis=1, keepdims=True)
    answers = [None if rng.random() < 0.1 else LABELS[int(i)] for i in p.argmax(axis=1)]
    table = questions.select("cell_line", "pert", "gene").with_columns(
        pl.Series("answer", answers, dtype=LABEL_DTYPE),
        *(pl.Series(P[i], p[:, i]) for i in range(3)),
    )
    table = table.select(
        pl.col(name) if name in table.columns else pl.lit(None, dtype=dtype).alias(name)
        for name, dtype in PREDICTION_SCHEMA.items()
    )
    return table.sample(fraction=0.9, shuffle=True, seed=seed)


def macro_auroc(table: pl.DataFrame, group: str | None) -> float:
    """Loop over the cell lines and their groups; `table` has score and positive."""
    lines = []
    for line in table.partition_by("cell_line"):
        parts = line.partition_by(group) if group else [line]
        parts = [part for part in parts if part["positive"].n_unique() == 2]
        areas = [sk.roc_auc_score(part["positive"], part["score"]) for part in parts]
        lines += [np.mean(areas)] if areas else []
    return float(np.mean(lines))


@pytest.fixture(scope="module")
def answered() -> pl.DataFrame:
    questions = random_questions(600, seed=1)
    return answer_questions(questions, random_predictions(questions, seed=2))


@pytest.fixture(scope="module")
def block(answered: pl.DataFrame) -> dict[str, Any]:
    return score_block(answered)


def test_three_class_figures_equal_scikit_learn(
    answered: pl.DataFrame, block: dict[str, Any]
) -> None:
    labels = answered["label"].cast(pl.String).to_list()
    answers = answered["answer"].cast(pl.String).fill_null("unread").to_list()
    classes = [label.value for label in LABELS]
    three = block["three_class"]
    each = sk.precision_recall_fscore_support(labels, answers, labels=classes, zero_division=0)
    f1 = sk.f1_score(labels, answers, labels=classes, average="macro", zero_division=0)
    expected = {
        "accuracy": sk.accuracy_score(labels, answers),
        "balanced_accuracy": sk.recall_score(
            labels, answers, labels=classes, average="macro", zero_division=0
        ),
        "macro_f1": f1,
        "mcc": sk.matthews_corrcoef(labels, answers),
    }
    assert {name: three[name] for name in expected} == pytest.approx(expected, abs=1e-12)
    for i, name in enumerate(NAMES):
        rates = [three[name][rate] for rate in ("precision", "recall", "f1")]
        assert rates == pytest.approx([each[r][i] for r in range(3)], abs=1e-12)


@pytest.mark.parametrize(
    ("figure", "group"), [("per_gene", "gene"), ("pooled", None), ("per_perturbation", "pert")]
)
def test_de_auroc_equals_a_loop_over_scikit_learn(
    answered: pl.DataFrame, block: dict[str, Any], figure: str, group: str | None
) -> None:
    table = answered.with_columns(
        score=1 - pl.col("p_not_de"), positive=pl.col("label") != LABELS[0].value
    )
    assert block["de_auroc"][figure] == pytest.approx(macro_auroc(table, group), abs=1e-12)


@pytest.mark.parametrize(
    ("figure", "group"), [("per_gene", "gene"), ("pooled", None), ("per_perturbation", "pert")]
)
def test_direction_auroc_equals_a_loop_over_scikit_learn(
    answered: pl.DataFrame, block: dict[str, Any], figure: str, group: str | None
) -> None:
    table = answered.filter(pl.col("label") != LABELS[0].value).with_columns(
        score=pl.col("p_up") / (pl.col("p_up") + pl.col("p_down")),
        positive=pl.col("label") == LABELS[1].value,
    )
    assert block["direction_auroc"][figure] == pytest.approx(macro_auroc(table, group), abs=1e-12)


def test_the_brier_score_is_the_summed_squared_difference(
    answered: pl.DataFrame, block: dict[str, Any]
) -> None:
    labels = answered["label"].to_physical().to_numpy()
    expected = sk.brier_score_loss(
        labels, answered.select(P).to_numpy(), labels=[0, 1, 2], scale_by_half=False
    )
    assert block["three_class"]["brier"] == pytest.approx(expected, abs=1e-12)


def test_calibration_error_equals_a_loop_over_bins() -> None:
    rng = np.random.default_rng(3)
    p = rng.dirichlet(np.ones(3), 500)
    correct = rng.random(500) < p.max(axis=1)
    confidence, error = p.max(axis=1), 0.0
    for low in range(15):
        rows = (confidence > low / 15) & (confidence <= (low + 1) / 15)
        if rows.any():
            error += rows.mean() * abs(confidence[rows].mean() - correct[rows].mean())
    assert expected_calibration_error(p, correct) == pytest.approx(error, abs=1e-12)


def test_certain_and_right_is_perfectly_calibrated() -> None:
    p = np.eye(3)[[0, 1, 2]]
    assert expected_calibration_error(p, np.array([True] * 3)) == 0
    assert brier(p, np.array([0, 1, 2])) == 0


def test_missing_rows_lower_the_coverage_and_unread_ones_are_counted(
    answered: pl.DataFrame, block: dict[str, Any]
) -> None:
    assert block["n"] == 600
    assert block["coverage"] == pytest.approx(0.9)
    unread = answered.filter(pl.col("found") & pl.col("answer").is_null())
    assert block["unparsed"] == len(unread) > 0


def test_a_question_without_prediction_is_wrong_and_uniform() -> None:
    questions = random_questions(50, seed=4)
    none = random_predictions(questions, seed=5).clear()
    block = score_block(answer_questions(questions, none))
    assert block["three_class"]["accuracy"] == block["coverage"] == 0
    assert block["de_auroc"]["pooled"] == block["direction_auroc"]["pooled"] == 0.5
    assert block["three_class"]["brier"] == pytest.approx(2 / 3)


def test_direction_is_one_half_where_neither_is_likely() -> None:
    questions = random_questions(50, seed=6)
    sure = random_predictions(questions, seed=7).with_columns(p_not_de=1.0, p_up=0.0, p_down=0.0)
    assert score_block(answer_questions(questions, sure))["direction_auroc"]["pooled"] == 0.5


def test_all_is_the_mean_of_the_cell_lines_for_an_auroc(answered: pl.DataFrame) -> None:
    scores = score_cells(answered)
    per_gene = [cell["de_auroc"]["per_gene"] for cell in scores["cells"].values()]
    assert len(per_gene) == 2
    assert scores["all"]["de_auroc"]["per_gene"] == pytest.approx(np.mean(per_gene), abs=1e-15)
    rows = [cell["de_auroc"]["n_rows"] for cell in scores["cells"].values()]
    assert scores["all"]["de_auroc"]["n_rows"] == sum(rows)


def test_a_figure_that_does_not_exist_is_null_in_json() -> None:
    questions = random_questions(5, seed=8).with_columns(
        label=pl.lit(LABELS[0].value, dtype=LABEL_DTYPE)
    )
    block = score_block(answer_questions(questions, random_predictions(questions, seed=9)))
    assert block["de_auroc"]["per_gene"] is None
    json.dumps(block, allow_nan=False)


def test_an_empty_confusion_matrix_has_no_accuracy() -> None:
    empty = confusion_matrix(np.empty(0, np.int64), np.empty(0, np.int64))
    assert empty.shape == (3, 4)
    assert np.isnan(three_class(empty)["accuracy"])


def test_a_prediction_for_no_question_is_refused_with_its_row() -> None:
    questions = random_questions(5, seed=10)
    predictions = random_predictions(random_questions(5, seed=10), seed=11)[:2]
    predictions[1, "gene"] = "NOGENE"
    with pytest.raises(InputError, match=r"p\.csv:3: not a question .*NOGENE"):
        answer_questions(questions, predictions, "p.csv")


def test_a_label_that_is_not_the_benchmarks_is_refused_with_its_row() -> None:
    questions = random_questions(5, seed=12).with_columns(
        label=pl.lit(LABELS[0].value, dtype=LABEL_DTYPE)
    )
    predictions = random_predictions(questions, seed=13).with_columns(
        label=pl.lit(LABELS[2].value, dtype=LABEL_DTYPE)
    )
    with pytest.raises(InputError, match=r"p\.csv:2:label: label contradicts the benchmark"):
        answer_questions(questions, predictions, "p.csv")
