"""Traces: which rows of a file are trained on, and which files are refused."""

from __future__ import annotations

import logging
from pathlib import Path
from typing import Any

import polars as pl
import pytest
from tiny import attach, tiny_base, write_benchmark

from data_modules.traces import TraceDataModule
from synthpert.errors import InputError
from synthpert.questions import read_questions
from synthpert.student import Student
from synthpert.traces import TRACE_SCHEMA, write_traces


@pytest.fixture(scope="module")
def base(tmp_path_factory: pytest.TempPathFactory) -> str:
    return tiny_base(tmp_path_factory.mktemp("traces") / "base")


@pytest.fixture(scope="module")
def data(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return write_benchmark(tmp_path_factory.mktemp("traces") / "data")


def table(data: Path, split: str = "train", **columns: Any) -> pl.DataFrame:
    """A trace of every question of a split: right, graded excellent, with a thought."""
    questions = read_questions(data).filter(pl.col("split") == split).drop("split")
    questions = questions.with_columns(pl.col("label").cast(pl.String))
    return questions.with_columns(
        answer=pl.col("label"),
        grade=pl.lit("excellent"),
        reasoning=pl.format("Loss of {} acts on {}.", "pert", "gene"),
        **columns,
    )


def write(traces: pl.DataFrame, path: Path) -> Path:
    missing = [pl.lit(None).alias(name) for name in TRACE_SCHEMA if name not in traces.columns]
    write_traces(traces.with_columns(missing).select(*TRACE_SCHEMA), path)
    return path


def ready(base: str, data: Path, traces: Path, **options: Any) -> TraceDataModule:
    max_tokens = options.pop("max_tokens", 2048)
    module = TraceDataModule(traces=traces, data=data, **options)
    attach(module, Student(base, "compact", max_tokens, dtype="float32"))
    module.setup("fit")
    return module


def everything(module: TraceDataModule) -> pl.DataFrame:
    assert module.train is not None
    assert module.validation is not None
    return module.train.vstack(module.validation)


@pytest.mark.parametrize("name", ["traces.parquet", "traces.jsonl"])
def test_own_formats_are_read(base: str, data: Path, tmp_path: Path, name: str) -> None:
    made = table(data)
    module = ready(base, data, write(made, tmp_path / name))
    found = everything(module)
    assert found.sort(found.columns).equals(made.select(found.columns).sort(found.columns))


def test_released_csv_is_read(base: str, data: Path, tmp_path: Path) -> None:
    released = table(data).select(
        "pert",
        "gene",
        cell_type="cell_line",
        true_answer="label",
        generated_thinking="reasoning",
        generated_answer=pl.format("<answer>{}</answer>", "answer"),
        critic_evaluation=pl.lit("<evaluation>excellent</evaluation>"),
    )
    released.write_csv(tmp_path / "released.csv")
    assert len(everything(ready(base, data, tmp_path / "released.csv"))) == len(released)


def test_held_out_perturbations_are_validated_on(base: str, data: Path, tmp_path: Path) -> None:
    module = ready(base, data, write(table(data), tmp_path / "t.parquet"), validation_share=0.25)
    assert module.train is not None
    assert module.validation is not None
    assert len(set(module.validation["pert"])) == 3
    assert not set(module.validation["pert"]) & set(module.train["pert"])


def test_only_the_wanted_grades_are_kept(base: str, data: Path, tmp_path: Path) -> None:
    made = table(data).with_columns(
        grade=pl.when(pl.col("gene") == "G0").then(pl.lit("good")).otherwise("grade")
    )
    path = write(made, tmp_path / "t.parquet")
    assert "G0" not in set(everything(ready(base, data, path))["gene"])
    both = ready(base, data, path, grades=["excellent", "good"])
    assert "G0" in set(everything(both)["gene"])


def test_wrong_answers_are_not_trained_on(base: str, data: Path, tmp_path: Path) -> None:
    made = table(data).with_columns(
        answer=pl.when(pl.col("gene") == "G1").then(None).otherwise("answer")
    )
    module = ready(base, data, write(made, tmp_path / "t.parquet"))
    assert "G1" not in set(everything(module)["gene"])


def test_equal_rebalancing_has_as_many_of_each_label(base: str, data: Path, tmp_path: Path) -> None:
    made = table(data)
    fewer = made.filter((pl.col("label") != "upregulated") | (pl.col("gene") == "G2"))
    path = write(fewer, tmp_path / "t.parquet")
    counts = everything(ready(base, data, path, rebalance="equal"))["label"].value_counts()
    rarest = int((fewer["label"] == "upregulated").sum())
    assert counts["count"].to_list() == [rarest] * 3


def test_too_long_traces_are_dropped_and_counted(
    base: str, data: Path, tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    longer = pl.lit("So. " * 300) + pl.col("reasoning")
    long = pl.when(pl.col("gene") == "G3").then(longer).otherwise("reasoning")
    made = table(data).with_columns(reasoning=long)
    count = int((made["gene"] == "G3").sum())
    with caplog.at_level(logging.WARNING):
        module = ready(base, data, write(made, tmp_path / "t.parquet"), max_tokens=200)
    assert len(everything(module)) == len(made) - count
    assert f"{count} of {len(made)} traces dropped: longer than 200 tokens" in caplog.text


def test_traces_of_the_test_split_are_refused(base: str, data: Path, tmp_path: Path) -> None:
    made = pl.concat([table(data), table(data, "test").head(2)])
    with pytest.raises(InputError, match="2 of 94 traces are of test perturbations") as error:
        ready(base, data, write(made, tmp_path / "t.parquet"))
    assert "\n" not in str(error.value)


def test_traces_of_the_test_split_are_left_out_if_asked(
    base: str, data: Path, tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    made = pl.concat([table(data), table(data, "test").head(2)])
    path = write(made, tmp_path / "t.parquet")
    module = ready(base, data, path, test_traces="drop")
    assert len(everything(module)) == len(made) - 2
    assert "2 traces of test perturbations dropped" in caplog.text


@pytest.mark.parametrize("name", ["traces.parquet", "traces.jsonl"])
@pytest.mark.parametrize("cell_lines", [None, ["k562"], ["rpe1"]])
@pytest.mark.parametrize(
    ("line", "hint"), [("K562", "; did you mean 'k562'?"), ("K-562", ""), ("mine", "")]
)
def test_a_cell_line_of_no_question_is_refused(
    base: str, data: Path, tmp_path: Path, name: str, cell_lines: list[str] | None, line: str,
    hint: str,
) -> None:  # fmt: skip
    tested = table(data, "test").head(2).with_columns(cell_line=pl.lit(line))
    path = write(pl.concat([table(data), tested]), tmp_path / name)
    with pytest.raises(InputError) as error:
        ready(base, data, path, cell_lines=cell_lines, test_traces="drop")
    assert str(error.value) == (
        f"{path}:cell_line: traces of an unknown cell line (got {line!r}; "
        f"expected one of k562, rpe1{hint})"
    )


def test_a_line_of_the_benchmark_spelled_as_a_folder_does_not_is_refused(
    base: str, tmp_path: Path
) -> None:
    data = write_benchmark(tmp_path / "data")
    path = write(table(data), tmp_path / "t.parquet")
    for file in data.glob("k562-*.csv"):
        file.rename(
            data / file.name.upper().replace("-DE.CSV", "-de.csv").replace("-DIR.CSV", "-dir.csv")
        )
    with pytest.raises(InputError, match=r"got 'k562'; expected one of .*did you mean 'K562'"):
        ready(base, data, path)


def test_traces_of_a_line_that_is_not_asked_for_are_left_out(
    base: str, data: Path, tmp_path: Path
) -> None:
    made = table(data)
    elsewhere = made.head(2).with_columns(cell_line=pl.lit("jurkat"))
    path = write(pl.concat([made, elsewhere]), tmp_path / "t.parquet")
    found = everything(ready(base, data, path, cell_lines=["rpe1"]))
    assert set(found["cell_line"]) == {"rpe1"}
    assert "jurkat" in set(everything(ready(base, data, path))["cell_line"])


def test_a_test_perturbation_in_another_case_is_refused(
    base: str, data: Path, tmp_path: Path
) -> None:
    tested = table(data, "test").head(2).with_columns(pert=pl.col("pert").str.to_lowercase())
    path = write(pl.concat([table(data), tested]), tmp_path / "t.parquet")
    with pytest.raises(InputError, match="2 of 94 traces are of test perturbations"):
        ready(base, data, path)


def test_strict_split_drops_a_perturbation_in_every_line(
    base: str, data: Path, tmp_path: Path
) -> None:
    # P11 is of the train split in k562 and of the test split in rpe1.
    path = write(table(data), tmp_path / "t.parquet")
    assert "P11" in set(everything(ready(base, data, path))["pert"])
    strict = ready(base, data, path, split="strict", test_traces="drop")
    assert "P11" not in set(everything(strict)["pert"])


def test_held_out_line_is_not_trained_on(base: str, data: Path, tmp_path: Path) -> None:
    path = write(table(data), tmp_path / "t.parquet")
    module = ready(base, data, path, split="held_out:rpe1", test_traces="drop")
    assert set(everything(module)["cell_line"]) == {"k562"}


def test_no_trace_left_is_one_line(base: str, data: Path, tmp_path: Path) -> None:
    path = write(table(data), tmp_path / "t.parquet")
    with pytest.raises(InputError, match="no example to train on") as error:
        ready(base, data, path, grades=["good"])
    assert "\n" not in str(error.value)


def test_testing_a_student_needs_no_traces(base: str, data: Path, tmp_path: Path) -> None:
    module = TraceDataModule(traces=tmp_path / "gone.parquet", data=data)
    attach(module, Student(base, "compact", dtype="float32"))
    module.setup("test")
    assert module.test is not None
