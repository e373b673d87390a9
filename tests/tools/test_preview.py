"""What the model sees: the ids of fit, told apart and counted, and rows that are left out."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import polars as pl
import pytest
from cli_recipe import recipe, write
from hypothesis import given, settings
from hypothesis import strategies as st
from tiny import REASONING, r1_tokenizer, tiny_base, write_benchmark

from synthpert.__main__ import main
from synthpert.encoding import Encoder, Example, LossOn
from synthpert.prompts import load_prompts
from synthpert.questions import Label, Question, read_questions
from synthpert.traces import write_traces
from tools.building import build
from tools.preview import preview
from tools.preview.tokens import Piece, coloured, pieces, prompt_length

QUESTION = Question("k562", "AARS", "A2M")


@pytest.fixture(scope="module")
def encoder() -> Encoder:
    return Encoder(r1_tokenizer(), load_prompts("compact"))


@pytest.fixture
def there(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.chdir(tmp_path)
    return tmp_path


def example(encoder: Encoder, reasoning: str | None = REASONING) -> Example:
    made = encoder.examples([QUESTION], [Label.UP], [reasoning])[0]
    assert made is not None
    return made


@settings(max_examples=30)
@given(reasoning=st.text(st.characters(codec="utf-8"), min_size=1, max_size=30))
def test_the_pieces_together_are_the_whole_text(encoder: Encoder, reasoning: str) -> None:
    made = example(encoder, reasoning)
    shown = list(pieces(encoder, made, prompt_length(encoder, made, QUESTION)))
    assert "".join(piece.text for piece in shown) == encoder.raw_text(made.input_ids)


def test_special_tokens_are_seen_and_the_end_is_trained_on(encoder: Encoder) -> None:
    made = example(encoder)
    shown = list(pieces(encoder, made, prompt_length(encoder, made, QUESTION)))
    assert shown[0] == Piece("<｜begin▁of▁sentence｜>", "prompt", True)
    assert shown[-1] == Piece("<｜end▁of▁sentence｜>", "supervised", True)


@pytest.mark.parametrize("loss_on", ["completion", "all", "answer"])
def test_what_is_shown_as_supervised_is_what_is_trained_on(loss_on: LossOn) -> None:
    encoder = Encoder(r1_tokenizer(), load_prompts("compact"), loss_on=loss_on)
    made = example(encoder)
    prompt = prompt_length(encoder, made, QUESTION)
    assert prompt == len(encoder.prompt_ids([QUESTION])[0])
    shown = list(pieces(encoder, made, prompt))
    parts = dict.fromkeys(piece.part for piece in shown)
    wanted = {"completion": ["prompt", "supervised"], "all": ["supervised"]}
    assert list(parts) == wanted.get(loss_on, ["prompt", "other", "supervised"])
    assert "upregulated" in "".join(each.text for each in shown if each.part == "supervised")


def test_without_a_question_the_prompt_is_what_comes_before_the_supervised(
    encoder: Encoder,
) -> None:
    made = example(encoder)
    assert prompt_length(encoder, made, None) == prompt_length(encoder, made, QUESTION)


def test_on_a_terminal_each_part_has_its_colour() -> None:
    text = coloured([Piece("ask", "prompt", False), Piece("say", "supervised", False)], "head")
    drawn = {text.plain[span.start : span.end]: str(span.style) for span in text.spans}
    assert "grey15" in drawn["ask"]
    assert "green" in drawn["say"]


def test_a_model_from_nothing_is_previewed_in_a_fresh_folder(
    there: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    assert main(["preview", "--config", write(there / "recipe.yaml", recipe()), "--n", "2"]) == 0
    out = capsys.readouterr().out
    assert "tokens: 5 prompt, 2 supervised, 7 in all" in out
    assert out.count("[prompt: not trained on]\n<|begin|>|k562|") == 2
    assert "|<|end|>\n" in out
    assert not (there / "bases").exists()


def trace_recipe(there: Path, **options: Any) -> str:
    """Forty traces: three graded bad, one without a thought, one too long."""
    data = write_benchmark(there / "data")
    table = read_questions(data).with_columns(
        answer=pl.col("label"),
        grade=pl.lit("excellent"),
        reasoning=pl.format("Loss of {} acts on {}.", "pert", "gene"),
    )
    table = (
        table.filter(pl.col("split") == "train", pl.col("cell_line") == "k562")
        .head(40)
        .drop("split")
        .with_row_index()
    )
    grade = pl.when(pl.col("index") < 3).then(pl.lit("bad")).otherwise(pl.col("grade"))
    thought = pl.when(pl.col("index") == 5).then(pl.lit("")).otherwise(pl.col("reasoning"))
    long = pl.when(pl.col("index") == 9).then(thought + " It is so." * 60).otherwise(thought)
    table = table.with_columns(grade=grade, reasoning=long).drop("index")
    write_traces(table, there / "traces.parquet")
    settings = recipe()
    del settings["model"]["scratch"]
    settings["model"] |= {"base": tiny_base(there / "base"), "max_tokens": 200}
    inside = {"traces": "traces.parquet", "data": str(data), "batch_size": 4, **options}
    settings["data"] = {
        "class_path": "data_modules.traces.TraceDataModule",
        "init_args": inside,
    }
    return write(there / "recipe.yaml", settings)


def test_rows_left_out_are_counted_by_reason(
    there: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    assert main(["preview", "--config", trace_recipe(there), "--n", "1"]) == 0
    rows = {
        cells[1].strip(): cells[2].strip()
        for line in capsys.readouterr().out.splitlines()
        if len(cells := line.split("|")) == 5
    }
    assert rows["dropped: grade_too_low"] == "3"
    assert rows["dropped: thought_missing"] == "1"
    assert rows["dropped: too_long"] == "1"
    assert rows["in all"] == "40"
    assert int(rows["trained on"]) + int(rows["held out to validate on"]) == 35


def test_traces_of_the_test_split_are_refused_as_fit_refuses_them(
    there: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    config = trace_recipe(there)
    flags = ["--data.init_args.split", "held_out:k562"]
    assert main(["preview", "--config", config, *flags]) == 2
    assert capsys.readouterr().err.splitlines()[-1].count("traces are of test perturbations") == 1


def test_a_base_that_is_not_here_is_one_line(
    there: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    assert main(["preview", "--config", trace_recipe(there), "--base", "nobody/nothing"]) == 2
    last = capsys.readouterr().err.splitlines()[-1]
    assert last.startswith("model.base: cannot load the base model")


def test_a_negative_number_of_examples_is_refused(capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["preview", "--config", "any.yaml", "--n", "-1"]) == 2
    assert capsys.readouterr().err == "--n: must not be negative (got -1)\n"


def test_no_example_is_shown_where_none_is_asked_for(
    there: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    preview(build(["--config", write(there / "recipe.yaml", recipe())]), 0)
    out = capsys.readouterr().out
    assert "Example" not in out
    assert "**Rows of the data**" in out
