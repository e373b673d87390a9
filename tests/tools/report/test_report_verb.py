"""The verb `report`: what it writes, and every way in which it refuses."""

from __future__ import annotations

import re
from pathlib import Path

import polars as pl
import pytest

from synthpert.errors import InputError
from synthpert.predictions import write_predictions
from synthpert.traces import TRACE_SCHEMA, write_traces
from tools.report import gathering, main, views
from tools.report.page import LARGEST, render

SAMPLE = Path(__file__).parents[3] / "synthpert" / "sample"


@pytest.fixture
def file(tmp_path: Path, student: pl.DataFrame) -> Path:
    write_predictions(student, tmp_path / "student.parquet")
    return tmp_path / "student.parquet"


def report(*args: str | Path) -> None:
    assert main([*map(str, args), "--data", str(SAMPLE), "--rounds", "0"]) == 0


def test_the_page_is_one_small_file(report_path: Path) -> None:
    assert report_path.stat().st_size < LARGEST
    assert list(report_path.parent.glob("*.html")) == [report_path]


def test_the_page_holds_every_section(report_path: Path) -> None:
    text = report_path.read_text(encoding="utf-8")
    for heading in (
        *("The question asked", "No number stands alone", "By cell line", "Differences", "Curves"),
        *("Classes and confusion", "Calibration and abstention", "Leakage and strata"),
        *("Training: run", "What the traces cost", "Single predictions", "Methods"),
        "Inputs and versions",
    ):
        assert heading in text
    assert "US$ 1.25" in text


def test_every_auroc_is_named_with_its_protocol(report_path: Path) -> None:
    text = report_path.read_text(encoding="utf-8")
    for name in (
        "AUROC of differential expression, per gene (PerturbQA, official)",
        "AUROC of differential expression, pooled (not official)",
        "AUROC of direction, per perturbation",
    ):
        assert name in text


def test_the_reference_rows_stand_below_every_system(report_path: Path) -> None:
    text = report_path.read_text(encoding="utf-8")
    tables = text.split("<table")[1:]
    for caption in ("All cell lines", "Accuracy, three classes", "Each class, all cell lines"):
        (table,) = [each for each in tables if f"<caption><span>{caption}</span></caption>" in each]
        names = re.findall(r'<th scope="row">([^<]+)</th>', table.partition("</table>")[0])
        assert names[0] == "student"
        assert set(names[1:]) >= {"majority", "gene-prior"}


def test_a_run_is_called_by_its_folder_and_few_counted_genes_are_told(
    file: Path, tmp_path: Path
) -> None:
    (tmp_path / "first").mkdir()
    file.rename(tmp_path / "first" / "predictions.parquet")
    report(tmp_path / "first" / "predictions.parquet", "--out", tmp_path / "r.html")
    text = (tmp_path / "r.html").read_text(encoding="utf-8")
    assert "How well does first predict" in text
    assert "Of 2,220 questions, the per-gene AUROC counts 10 genes in 22 rows" in text


def test_the_same_files_give_the_same_page(file: Path, tmp_path: Path) -> None:
    for name in ("a.html", "b.html"):
        report(file, "--out", tmp_path / name)
    assert (tmp_path / "a.html").read_bytes() == (tmp_path / "b.html").read_bytes()


def test_several_files_are_compared_and_unlike_records_said(
    file: Path, student: pl.DataFrame, tmp_path: Path
) -> None:
    other = student.with_columns(model=pl.lit("other"), prompt_id=pl.lit("short"))
    write_predictions(other, tmp_path / "other.csv")
    report(file, tmp_path / "other.csv", "--out", tmp_path / "r.html")
    text = (tmp_path / "r.html").read_text(encoding="utf-8")
    assert "2 systems are compared" in text
    assert "student and other were not made alike: model student | other" in text
    assert "Intervals were switched off." in text


def test_seeds_of_one_system_are_one_row(file: Path, tmp_path: Path) -> None:
    (tmp_path / "second.parquet").write_bytes(file.read_bytes())
    report(f"both={tmp_path}/s*.parquet", "--out", tmp_path / "r.html")
    text = (tmp_path / "r.html").read_text(encoding="utf-8")
    assert "both (mean of 2 seeds)" in text
    assert "Mean ± standard deviation over seeds" in text
    assert " ± 0.000" in text


def test_hard_answers_have_a_point_to_see(
    file: Path, student: pl.DataFrame, tmp_path: Path
) -> None:
    student.select("cell_line", "pert", "gene", "answer").write_csv(tmp_path / "hard.csv")
    report(tmp_path / "hard.csv", file, "--out", tmp_path / "r.html")
    text = (tmp_path / "r.html").read_text(encoding="utf-8")
    one, several = re.findall(r'aria-labelledby="retention-\d-title".*?</svg>', text, re.DOTALL)
    assert one.count("<use") > several.count("<use")


def test_what_is_missing_is_said(student: pl.DataFrame, tmp_path: Path) -> None:
    nothing = student.select("cell_line", "pert", "gene", answer=pl.lit(None, pl.String))
    nothing.write_csv(tmp_path / "nothing.csv")
    report(tmp_path / "nothing.csv", "--out", tmp_path / "r.html")
    text = (tmp_path / "r.html").read_text(encoding="utf-8")
    assert "No system answers a question." in text
    assert "No curve for k562: one of the two classes is missing." in text
    assert "A small sample of PerturbQA" in text
    assert "string_v12_sample.tsv.gz" in text


def test_the_page_names_no_folder_of_the_machine(report_path: Path) -> None:
    assert str(report_path.parent.parent) not in report_path.read_text(encoding="utf-8")


def test_a_template_that_lacks_a_value_is_an_error() -> None:
    from jinja2 import UndefinedError

    with pytest.raises(UndefinedError):
        render({})


def test_no_file_is_refused() -> None:
    with pytest.raises(InputError, match="no prediction file"):
        main([])


def test_a_missing_file_is_refused(tmp_path: Path) -> None:
    with pytest.raises(InputError, match=r"none\.csv: no such file"):
        report(tmp_path / "none.csv")


def test_a_run_without_metrics_is_refused_before_anything_is_scored(
    file: Path, tmp_path: Path
) -> None:
    with pytest.raises(InputError, match=r"metrics\.csv: no such file"):
        report(file, "--run", tmp_path, "--out", tmp_path / "r.html")
    assert not (tmp_path / "r.html").exists()


def test_a_page_that_cannot_be_written_is_one_line(file: Path, tmp_path: Path) -> None:
    (tmp_path / "taken").write_text("")
    with pytest.raises(InputError, match="cannot be written"):
        report(file, "--out", tmp_path / "taken" / "r.html")


def test_an_unknown_flag_is_refused() -> None:
    with pytest.raises(InputError, match="colour"):
        main(["p.csv", "--colour", "red"])


def test_the_sections_left_out_are_not_in_the_menu(file: Path) -> None:
    context = gathering.gather([str(file)], str(SAMPLE), "default", None, None, None, None, 0)
    names = [name for _, name in context["sections"]]
    assert "Training" not in names
    assert "Traces" not in names


def test_only_known_reference_rows_are_explained() -> None:
    assert [name for name, _ in views.reference_views(["majority", "mine"])] == ["majority"]


def test_a_part_of_the_questions_is_scored_alone(
    file: Path, student: pl.DataFrame, tmp_path: Path
) -> None:
    asked = student.filter(student["cell_line"] == "k562").select("cell_line", "pert", "gene")
    asked.write_csv(tmp_path / "asked.csv")
    report(file, "--questions", tmp_path / "asked.csv", "--out", tmp_path / "r.html")
    text = (tmp_path / "r.html").read_text(encoding="utf-8")
    assert "Scored on 430 of the 2,220 test questions" in text
    assert "One of 430 test questions over 1 cell line;" in text


@pytest.mark.parametrize("flag", ["--split=strict", "--run=x", "--traces=x", "--questions=x"])
def test_the_tables_of_the_paper_refuse_what_they_do_not_show(
    flag: str,
) -> None:
    with pytest.raises(InputError, match="has no place in the paper's tables"):
        main(["--paper", flag])


def test_a_file_without_a_trace_is_said_to_be_empty(file: Path, tmp_path: Path) -> None:
    write_traces(pl.DataFrame(schema=TRACE_SCHEMA), tmp_path / "traces.parquet")
    report(file, "--traces", tmp_path / "traces.parquet", "--out", tmp_path / "r.html")
    text = (tmp_path / "r.html").read_text(encoding="utf-8")
    assert "It holds no trace and no attempt to make one." in text
