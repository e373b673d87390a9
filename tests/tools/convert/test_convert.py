"""Predicted expression of other programs, as predictions."""

from __future__ import annotations

import logging
from pathlib import Path

import anndata
import numpy as np
import polars as pl
import pytest
from scipy.sparse import csr_matrix
from sklearn.metrics import roc_auc_score

from synthpert.errors import InputError
from synthpert.predictions import read_predictions
from synthpert.predictions.records import read_record
from synthpert.questions import Label, read_questions, split_questions
from tools.convert import main
from tools.convert.changes import read_changes
from tools.convert.expression import read_expression
from tools.convert.probabilities import fit_threshold, to_probabilities

SAMPLE = Path(__file__).parents[3] / "synthpert" / "sample"


def convert(*args: str | Path) -> None:
    assert main([*map(str, args), "--data", str(SAMPLE)]) == 0


@pytest.fixture(scope="module")
def asked() -> pl.DataFrame:
    _, test = split_questions(read_questions(SAMPLE))
    return test.filter(pl.col("cell_line") == "k562")


@pytest.fixture
def long(tmp_path: Path, asked: pl.DataFrame) -> Path:
    """A random change for each question of k562."""
    path = tmp_path / "long.csv"
    change = pl.Series("logFC", np.random.default_rng(0).normal(size=len(asked)))
    asked.select("pert", "gene").with_columns(change).write_csv(path)
    return path


def expression(path: Path, perts: list[str], genes: list[str], rows: list[list[float]]) -> Path:
    cells = anndata.AnnData(csr_matrix(np.array(rows)))
    cells.obs["condition"] = perts
    cells.var_names = genes
    cells.write_h5ad(path)
    return path


def test_every_question_is_answered_in_the_order_of_its_change(
    tmp_path: Path, long: Path, asked: pl.DataFrame
) -> None:
    convert(f"k562={long}", "--out", tmp_path / "p.parquet")
    found = read_predictions(tmp_path / "p.parquet")
    assert found.select("pert", "gene").equals(asked.select("pert", "gene"))
    size = pl.read_csv(long)["logFC"].abs()
    de = asked["label"] != Label.NOT_DE.value
    expected = roc_auc_score(de, size)
    assert roc_auc_score(de, 1 - found["p_not_de"]) == pytest.approx(expected, abs=1e-12)


def test_as_many_changes_are_answered_as_train_rows_change(tmp_path: Path, long: Path) -> None:
    convert(f"k562={long}", "--out", tmp_path / "p.parquet")
    found = read_predictions(tmp_path / "p.parquet")
    train, _ = split_questions(read_questions(SAMPLE))
    share = (train.filter(pl.col("cell_line") == "k562")["label"] != Label.NOT_DE.value).mean()
    assert (found["answer"] != Label.NOT_DE.value).mean() == pytest.approx(share, abs=0.005)


def test_the_record_tells_file_and_threshold(tmp_path: Path, long: Path) -> None:
    convert(f"k562={long}", "--out", tmp_path / "p.parquet", "--threshold", "0.5")
    record = read_record(tmp_path / "p.parquet")
    assert record["threshold"] == {"k562": 0.5}
    assert record["files"] == ["long.csv"]


def test_a_matrix_and_a_list_say_the_same(tmp_path: Path) -> None:
    (tmp_path / "wide.tsv").write_text("pert\tA\tNA\nP\t1\t-2\nQ\t\t0.5\n")
    (tmp_path / "long.tsv").write_text(
        "pert\tgene\tchange\nP\tA\t1\nP\tNA\t-2\nQ\tA\t\nQ\tNA\t0.5\n"
    )
    wide, long = (read_changes(tmp_path / f"{name}.tsv", "k562") for name in ("wide", "long"))
    assert wide.sort("pert", "gene").equals(long.sort("pert", "gene"))


def test_a_table_may_name_the_cell_lines_itself(tmp_path: Path) -> None:
    pl.DataFrame({"cell_line": ["a", "b"], "pert": ["P", "P"], "G": [1.0, 2.0]}).write_parquet(
        tmp_path / "t.parquet"
    )
    assert read_changes(tmp_path / "t.parquet", None)["cell_line"].to_list() == ["a", "b"]


def test_cells_are_compared_with_the_control_cells(tmp_path: Path) -> None:
    perts = ["ctrl", "ctrl", "P+ctrl", "P+ctrl", "ctrl+Q", "P+Q"]
    rows = [[1.0, 0.0], [3.0, 0.0], [2.0, 4.0], [4.0, 0.0], [2.0, 0.5], [9.0, 9.0]]
    path = expression(tmp_path / "e.h5ad", perts, ["A", "B"], rows)
    found = read_expression(path, "k562")
    assert found.rows() == [
        *(("k562", "P", "A", 1.0), ("k562", "P", "B", 2.0)),
        *(("k562", "Q", "A", 0.0), ("k562", "Q", "B", 0.5)),
    ]


def test_expression_is_converted_to_predictions(tmp_path: Path, asked: pl.DataFrame) -> None:
    pert, gene, _ = asked.select("pert", "gene", "label").row(0)
    path = expression(tmp_path / "e.h5ad", ["control", pert], [gene, "X"], [[1.0, 1.0], [0.0, 1.0]])
    convert(f"k562={path}", "--out", tmp_path / "p.csv")
    found = read_predictions(tmp_path / "p.csv").row(0, named=True)
    assert found["answer"] == Label.DOWN.value
    assert found["model"] == "convert/e"


def test_what_is_not_in_the_file_is_counted(
    tmp_path: Path, asked: pl.DataFrame, caplog: pytest.LogCaptureFixture
) -> None:
    pert, gene, _ = asked.select("pert", "gene", "label").row(0)
    (tmp_path / "t.csv").write_text(f"pert,gene,change\n{pert},{gene},1\n")
    with caplog.at_level(logging.INFO):
        convert(f"k562={tmp_path / 't.csv'}", "--out", tmp_path / "p.csv")
    assert f"1 of {len(asked):,} test questions answered" in caplog.text


def test_probabilities_are_a_distribution_without_ties() -> None:
    changes = np.array([-1e6, -1e5, -1.0, -0.1, 0.0, 0.1, 1.0, 1e5, 1e6])
    not_de, up, down = to_probabilities(changes, 1.0)
    assert (not_de + up + down).to_list() == pytest.approx([1.0] * len(changes))
    assert (up / (up + down)).diff().drop_nulls().min() > 0
    assert not_de[4:].diff().drop_nulls().max() < 0


def test_a_change_of_very_many_thresholds_is_a_number() -> None:
    p = np.stack(to_probabilities(np.array([-1e300, 1.7e308, 0.0]), 1e-300))
    assert np.isfinite(p).all()
    assert p.argmax(axis=0).tolist() == [2, 1, 0]


def test_a_file_in_which_little_changes_has_the_smallest_change_as_threshold() -> None:
    assert fit_threshold(pl.Series([0.0] * 98 + [0.2, 0.3]), 0.14) == 0.2
    assert fit_threshold(pl.Series([0.0, None]), 0.14) == 1.0


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("pert,gene,change\nP,A,1\nP,A,2\n", r"t\.csv:3: stands there twice .*P, A"),
        ("pert,A\nP,1\nP,2\n", r"t\.csv:3: stands there twice"),
        ("pert,gene,change\nP,A,x\n", r"t\.csv:2:A: change is no number \(got 'x'"),
        ("pert,gene,change\nP,A,inf\n", r"t\.csv:2:A: change is no number"),
        ("thing,gene,change\nP,A,1\n", r"t\.csv:1: no column of perturbations"),
    ],
)
def test_a_wrong_row_is_refused_with_its_place(tmp_path: Path, text: str, message: str) -> None:
    (tmp_path / "t.csv").write_text(text)
    with pytest.raises(InputError, match=message):
        read_changes(tmp_path / "t.csv", "k562")


def test_a_file_without_a_cell_line_is_refused(long: Path) -> None:
    with pytest.raises(InputError, match="of which cell line"):
        convert(long)


def test_an_unknown_cell_line_is_refused(long: Path) -> None:
    with pytest.raises(InputError, match=r"no such cell line .*k562 \| rpe1"):
        convert(f"hela={long}")


def test_expression_without_control_cells_is_refused(tmp_path: Path) -> None:
    path = expression(tmp_path / "e.h5ad", ["P"], ["A"], [[1.0]])
    with pytest.raises(InputError, match="no control cell of k562"):
        read_expression(path, "k562")
    assert read_expression(path, "k562", changes=True)["change"].to_list() == [1.0]


def test_a_file_that_is_no_anndata_is_refused(tmp_path: Path) -> None:
    (tmp_path / "e.h5ad").write_bytes(b"nothing")
    with pytest.raises(InputError, match=r"not a sound \.h5ad file"):
        read_expression(tmp_path / "e.h5ad", "k562")


def test_a_file_that_answers_nothing_is_refused(tmp_path: Path) -> None:
    (tmp_path / "t.csv").write_text("pert,gene,change\nNOPERT,NOGENE,1\n")
    with pytest.raises(InputError, match="answers no test question"):
        convert(f"k562={tmp_path / 't.csv'}", "--out", tmp_path / "p.csv")
