"""Traces: the file in its three forms, the keep rule, and traces of the test split."""

from __future__ import annotations

import json
import subprocess
import sys
from pathlib import Path

import polars as pl
import pytest

from synthpert.errors import InputError
from synthpert.traces import (
    TRACE_SCHEMA,
    read_traces,
    select,
    write_traces,
)

COLUMNS = (
    "cell_line, pert, gene, label, question, reasoning, answer, response, grade, critique, teacher,"
    " critic, prompt_id, label_blind, key"
).split(", ")
RELEASED = (
    "pert,gene,cell_type,true_answer,user_prompt,assistant_response,generated_thinking,"
    "generated_answer,critic_evaluation,critic_reasoning\n"
)


def minimal(**changes: object) -> dict[str, object]:
    """A trace with the needed columns only."""
    trace: dict[str, object] = {
        "cell_line": "k562",
        "pert": "GATA1",
        "gene": "HBG1",
        "label": "upregulated",
        "reasoning": "GATA1 binds HBG1.",
        "answer": "upregulated",
    }
    return trace | changes


def full(**changes: object) -> dict[str, object]:
    """A trace with every column."""
    rest = {
        "question": "What happens?",
        "response": "<think>GATA1 binds HBG1.</think><answer>upregulated</answer>",
        "grade": "excellent",
        "critique": 'Sound,\n"really" – ok.',
        "teacher": "a/teacher",
        "critic": "a/critic",
        "prompt_id": "paper-0123456789ab",
        "label_blind": False,
        "key": "abc",
    }
    return minimal() | rest | changes


def table(*rows: dict[str, object]) -> pl.DataFrame:
    return pl.DataFrame(rows, schema=TRACE_SCHEMA)


def jsonl(folder: Path, *rows: object) -> Path:
    path = folder / "traces.jsonl"
    path.write_text("".join(json.dumps(row) + "\n" for row in rows), encoding="utf-8")
    return path


def test_the_schema_has_the_columns_of_the_contract_in_order() -> None:
    assert list(TRACE_SCHEMA) == COLUMNS


@pytest.mark.parametrize("suffix", [".parquet", ".jsonl"])
def test_what_is_written_is_read_back(tmp_path: Path, suffix: str) -> None:
    rows = table(full(), full(gene="NA", grade=None, answer=None, label_blind=True), minimal())
    path = tmp_path / "new folder" / f"traces{suffix}"
    write_traces(rows, path)
    read = read_traces(path)
    assert read.equals(rows)
    assert read.schema == TRACE_SCHEMA
    assert [file.name for file in path.parent.iterdir()] == [path.name]


@pytest.mark.parametrize("suffix", [".parquet", ".jsonl"])
def test_no_traces_are_a_file_too(tmp_path: Path, suffix: str) -> None:
    path = tmp_path / f"traces{suffix}"
    write_traces(table(), path)
    assert read_traces(path).equals(table())


def test_a_failed_write_leaves_the_old_file(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def full_disk(descriptor: int) -> None:
        raise OSError(28, "No space left on device")

    path = tmp_path / "traces.parquet"
    write_traces(table(full()), path)
    monkeypatch.setattr("synthpert.files.os.fsync", full_disk)
    with pytest.raises(InputError, match="cannot be written: No space left"):
        write_traces(table(), path)
    assert len(read_traces(path)) == 1
    assert [file.name for file in tmp_path.iterdir()] == [path.name]


def test_a_file_of_another_suffix_is_not_written(tmp_path: Path) -> None:
    with pytest.raises(InputError, match=r"expected \.parquet or \.jsonl"):
        write_traces(table(), tmp_path / "traces.xlsx")


def test_a_column_that_no_trace_has_is_a_programming_error(tmp_path: Path) -> None:
    with pytest.raises(ValueError, match="not columns of a trace: mood"):
        write_traces(table(full()).with_columns(mood=1), tmp_path / "traces.parquet")


def test_the_needed_columns_are_enough(tmp_path: Path) -> None:
    read = read_traces(jsonl(tmp_path, minimal()))
    assert read.equals(table(minimal()))
    assert read["grade"].null_count() == 1


def test_columns_of_the_users_own_are_left_out(tmp_path: Path) -> None:
    assert read_traces(jsonl(tmp_path, minimal(mood="good"))).columns == COLUMNS


@pytest.mark.parametrize("column", list(minimal()))
def test_a_missing_column_is_named(tmp_path: Path, column: str) -> None:
    row = minimal()
    del row[column]
    with pytest.raises(InputError, match=f"traces.jsonl:1:{column}: column is missing"):
        read_traces(jsonl(tmp_path, row))
    pl.DataFrame([row]).write_parquet(tmp_path / "traces.parquet")
    with pytest.raises(InputError, match=f"traces.parquet:{column}: column is missing"):
        read_traces(tmp_path / "traces.parquet")


@pytest.mark.parametrize(
    ("row", "message"),
    [
        (minimal(label="up"), r"2:label: unknown label \(got 'up'; expected not diff"),
        (minimal(label=None), "2:label: unknown label"),
        (minimal(answer="maybe"), r"2:answer: unknown answer \(got 'maybe'"),
        (minimal(grade="fine"), r"2:grade: unknown grade \(got 'fine'; expected excellent, good"),
        (minimal(gene=" "), "2:gene: gene is empty"),
        (minimal(pert=None), "2:pert: pert is empty"),
        (
            minimal(cell_line="k562 "),
            r"2:cell_line: white space around the name \(got 'k562 '; expected 'k562'\)",
        ),
        (minimal(pert="\tGATA1"), "2:pert: white space around the name"),
        (minimal(gene="HBG1\u00a0"), "2:gene: white space around the name"),
        (minimal(gene=5), r"2:gene: wrong value \(got 5; expected a string"),
        (minimal(label_blind="no"), r"2:label_blind: wrong value .*true or false"),
        (minimal(reasoning="\ud800"), "2:reasoning: wrong value"),
        ([1], "2: not an object"),
    ],
)
def test_a_wrong_row_is_named(tmp_path: Path, row: object, message: str) -> None:
    with pytest.raises(InputError, match=rf"traces\.jsonl:{message}"):
        read_traces(jsonl(tmp_path, minimal(), row))


@pytest.mark.parametrize("line", ["{", "\xff", "[" * 100_000, "9" * 5000])
def test_a_broken_line_is_named(tmp_path: Path, line: str) -> None:
    path = jsonl(tmp_path, minimal())
    path.write_bytes(path.read_bytes() + line.encode("latin-1") + b"\n" + path.read_bytes())
    with pytest.raises(InputError, match=r"traces\.jsonl:2: (not JSON|not UTF-8|nested)"):
        read_traces(path)


def test_an_empty_line_is_no_trace_and_counts_as_a_row(tmp_path: Path) -> None:
    path = jsonl(tmp_path, minimal())
    wrong = jsonl(tmp_path, minimal(label="up")).read_bytes()
    path.write_bytes(b"\n" + wrong)
    with pytest.raises(InputError, match=r"traces\.jsonl:2:label: unknown label"):
        read_traces(path)


def test_the_row_in_a_table_counts_the_header(tmp_path: Path) -> None:
    path = tmp_path / "traces.parquet"
    pl.DataFrame([minimal(), minimal(label="up")]).write_parquet(path)
    with pytest.raises(InputError, match=r"traces\.parquet:3:label: unknown label"):
        read_traces(path)


@pytest.mark.parametrize("column", ["cell_line", "pert", "gene"])
def test_white_space_in_a_table_is_refused(tmp_path: Path, column: str) -> None:
    path = tmp_path / "traces.parquet"
    pl.DataFrame([minimal(), minimal(**{column: " A"})]).write_parquet(path)
    with pytest.raises(InputError, match=rf"parquet:3:{column}: white space .*\(got ' A'; exp"):
        read_traces(path)


def test_a_flag_written_as_text_is_refused(tmp_path: Path) -> None:
    path = tmp_path / "traces.parquet"
    pl.DataFrame([minimal(label_blind="no")]).write_parquet(path)
    with pytest.raises(InputError, match="label_blind: wrong type"):
        read_traces(path)


@pytest.mark.parametrize("name", ["traces.parquet", "traces.jsonl", "traces.csv"])
def test_a_missing_file_is_refused(tmp_path: Path, name: str) -> None:
    with pytest.raises(InputError, match="no such file"):
        read_traces(tmp_path / name)


def test_a_file_of_another_kind_is_refused(tmp_path: Path) -> None:
    with pytest.raises(InputError, match="not a trace file"):
        read_traces(tmp_path / "traces.txt")


def test_the_released_csv_is_read(tmp_path: Path) -> None:
    path = tmp_path / "released.csv"
    path.write_text(
        RELEASED
        + 'NA,HBG1,K562,Upregulated,"Analyze, please",<think>…,"It binds.\nSo it rises.",'
        + "**Up-regulated**,[excellent],Sound.\n"
        + "GATA1,HBG1,RPE1,not differentially expressed,q,r,t,I do not know,excellent/good,c\n",
        encoding="utf-8",
    )
    first, second = read_traces(path).rows(named=True)
    assert first == dict.fromkeys(COLUMNS) | {
        "cell_line": "k562",
        "pert": "NA",
        "gene": "HBG1",
        "label": "upregulated",
        "question": "Analyze, please",
        "reasoning": "It binds.\nSo it rises.",
        "answer": "upregulated",
        "response": "<think>…",
        "grade": "excellent",
        "critique": "Sound.",
    }
    assert (second["cell_line"], second["answer"], second["grade"]) == ("rpe1", None, None)


def test_a_released_csv_without_its_labels_is_refused(tmp_path: Path) -> None:
    path = tmp_path / "released.csv"
    path.write_text(RELEASED.replace("true_answer,", "") + "a,b,c,d,e,f,g,h,i\n", encoding="utf-8")
    with pytest.raises(InputError, match=r"released\.csv.*true_answer"):
        read_traces(path)


def test_a_wrong_label_of_a_released_csv_is_refused(tmp_path: Path) -> None:
    path = tmp_path / "released.csv"
    path.write_text(RELEASED + "a,b,c,maybe,e,f,g,h,i,j\n", encoding="utf-8")
    with pytest.raises(InputError, match=r"released\.csv:2:label: unknown label \(got 'maybe'"):
        read_traces(path)


def test_selected_and_rejected_rows_are_all_rows() -> None:
    rows = table(
        full(key="kept"),
        full(answer="downregulated"),
        full(answer="downregulated"),
        full(grade="bad"),
        full(reasoning=""),
        full(reasoning="GATA1 binds it."),
        full(response="<|im_end|>"),
        full(key="kept too", response=None),
    )
    kept, rejected = select(rows, ["excellent"])
    assert kept["key"].to_list() == ["kept", "kept too"]
    assert kept.schema == TRACE_SCHEMA
    assert rejected == {
        "wrong_answer": 2,
        "thought_missing": 1,
        "control_characters": 1,
        "gene_not_mentioned": 1,
        "grade_too_low": 1,
    }


def test_how_long_a_thought_must_be_is_judged_where_it_is_asked_for() -> None:
    assert select(table(full()), [], least_words=3)[1] == {}
    assert select(table(full()), [], least_words=4)[1] == {"thought_too_short": 1}


def test_selecting_from_no_traces_gives_none() -> None:
    kept, rejected = select(table(), ["excellent"])
    assert (len(kept), rejected) == (0, {})


def test_an_unknown_grade_is_refused() -> None:
    with pytest.raises(InputError, match=r"unknown grade \(got 'superb'; expected excellent"):
        select(table(full()), ["superb"])


def test_a_full_disk_is_an_error_of_one_line_and_leaves_the_old_file(tmp_path: Path) -> None:
    path = tmp_path / "traces.parquet"
    write_traces(pl.DataFrame([minimal()]), path)
    before = path.read_bytes()
    program = """
import resource, signal, sys
import polars as pl
from synthpert.errors import InputError
from synthpert.traces import write_traces
signal.signal(signal.SIGXFSZ, signal.SIG_IGN)
table = pl.DataFrame({"pert": [str(i) for i in range(200_000)]})
resource.setrlimit(resource.RLIMIT_FSIZE, (10_000, 10_000))
try:
    write_traces(table, sys.argv[1])
except InputError as error:
    sys.exit(0 if "cannot be written" in str(error) and chr(10) not in str(error) else 1)
sys.exit(2)
"""
    root = Path(__file__).parents[3]
    subprocess.run([sys.executable, "-c", program, str(path)], check=True, cwd=root)
    assert path.read_bytes() == before
    assert list(tmp_path.iterdir()) == [path]
