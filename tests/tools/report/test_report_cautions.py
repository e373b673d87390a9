"""What a page says before its figures, and nowhere else."""

from __future__ import annotations

from pathlib import Path

import polars as pl
import pytest

from synthpert.questions import read_questions
from tools.report import cautions, findings
from tools.score.scoring import Scored, score_files

SAMPLE = Path(__file__).parents[3] / "synthpert" / "sample"


def scored(student: pl.DataFrame, folder: Path) -> Scored:
    """A file of hard answers, scored on the sample."""
    student.select("cell_line", "pert", "gene", "answer").write_csv(folder / "hard.csv")
    return score_files([str(folder / "hard.csv")], data=str(SAMPLE), rounds=0)


def told(found: Scored, name: str = cautions.WHOLE) -> str:
    return " ".join(cautions.cautions(found, findings.list_results(found), name))


def test_hard_unread_and_few_are_told(student: pl.DataFrame, tmp_path: Path) -> None:
    text = told(scored(student, tmp_path))
    unread = student["answer"].null_count()
    assert f"{unread} answers of hard cannot be read and count as wrong." in text
    assert "hard gives hard answers" in text
    assert "Fewer than 30 genes count in the per-gene AUROC of differential expression" in text


def test_a_file_of_one_cell_line_says_how_much_it_lacks(
    student: pl.DataFrame, tmp_path: Path
) -> None:
    found = scored(student.filter(student["cell_line"] == "k562"), tmp_path)
    assert "hard has 430 of the 2,220 questions (19.4%); the others count as wrong." in told(found)


def test_the_sample_is_not_taken_for_the_benchmark(student: pl.DataFrame, tmp_path: Path) -> None:
    found = scored(student, tmp_path)
    assert cautions.benchmark_name(found, SAMPLE) == "a small sample of PerturbQA"
    assert cautions.benchmark_name(found, tmp_path) == "a part of PerturbQA"
    assert "no figure here is comparable" in told(found, "a part of PerturbQA")
    assert "no figure here is comparable" not in told(found)


@pytest.mark.parametrize("split", ["default", "strict", "held_out:rpe1"])
def test_the_benchmark_is_known_by_its_number_of_questions(
    student: pl.DataFrame, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, split: str
) -> None:
    found = scored(student, tmp_path)
    found.split = split
    n = found.of
    monkeypatch.setattr(cautions, "TEST_ROWS", n)
    monkeypatch.setattr(cautions, "published", lambda: {"table5_counts": {"de": {"rpe1": n}}})
    assert cautions.benchmark_name(found, SAMPLE) == cautions.WHOLE


def test_a_perturbation_trained_on_in_its_own_line_is_told(
    student: pl.DataFrame, tmp_path: Path
) -> None:
    found = scored(student, tmp_path)
    assert "trained on in the same cell line" not in told(found)
    found.leakage = found.leakage.with_columns(same_line_share=pl.lit(0.25))
    assert "25.0% of the test rows have a perturbation that is trained on in the same" in told(
        found
    )


def test_a_missing_neighbour_row_is_told(student: pl.DataFrame, tmp_path: Path) -> None:
    found = scored(student, tmp_path)
    assert "no reference row knn" not in told(found)
    del found.references["knn"]
    assert "no reference row knn" in told(found)


def test_the_sample_is_the_bundled_one() -> None:
    assert len(read_questions(cautions._SAMPLE)) > 2_220
