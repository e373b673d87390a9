"""The draw of questions, the reading of samples, and what a plan reckons with."""

from __future__ import annotations

from pathlib import Path

import polars as pl
import pytest
from tiny import write_benchmark

from synthpert.prompts import load_prompts
from synthpert.questions import LABELS, Question, to_questions
from tools.ask import planning
from tools.ask.asking import record_of
from tools.ask.drawing import draw
from tools.ask.settings import Settings
from tools.ask.ways import ByPrompt, Said
from tools.traces.journal.records import Reply
from tools.traces.settings import Model
from tools.traces.walk import replay

NOT_DE, UP, DOWN = LABELS
SAMPLE = Path(__file__).resolve().parents[3] / "synthpert" / "sample"
WAY = ByPrompt(load_prompts("paper"), Model("openai/x"))


def drawn(**options: object) -> pl.DataFrame:
    return draw(Settings("openai/x", data=SAMPLE, **options)).kept  # type: ignore[arg-type]


def said(text: str, finish_reason: str = "stop") -> Said:
    return replay(WAY.walk(Question("k562", "A", "B"), 0), lambda key: Reply(text, finish_reason))


def test_a_draw_takes_whole_perturbations_but_the_last() -> None:
    every, some = drawn(), drawn(questions=500)
    assert some.height == 500
    pert = ["cell_line", "pert"]
    sizes = every.group_by(pert).len().join(some.group_by(pert).len(), on=pert, suffix="_drawn")
    assert sizes.filter(pl.col("len") != pl.col("len_drawn")).height <= 1


def test_a_larger_draw_keeps_the_smaller_one() -> None:
    small, large = drawn(questions=100), drawn(questions=0.4)
    assert small.join(large, on=["cell_line", "pert", "gene"], how="anti").is_empty()


def test_a_draw_reaches_every_cell_line_early_and_follows_its_seed() -> None:
    every = drawn()
    first = every.group_by("cell_line", "pert").len()["len"].max() * 4
    assert set(drawn(questions=int(first))["cell_line"]) == set(every["cell_line"])
    assert not drawn(questions=100).equals(drawn(questions=100, draw=1))


def test_a_cell_line_can_be_asked_alone() -> None:
    assert set(drawn(cell_lines="rpe1")["cell_line"]) == {"rpe1"}


def test_the_record_of_a_draw_names_the_questions_in_any_order(tmp_path: Path) -> None:
    write_benchmark(tmp_path)
    records = []
    for _ in range(2):
        records.append(draw(Settings("openai/x", data=tmp_path)).record)
        path = tmp_path / "k562-de.csv"
        head, *rows = path.read_text().splitlines()
        path.write_text("\n".join([head, *reversed(rows)]) + "\n")
    assert records[0]["sha256"] == records[1]["sha256"]


def test_a_probe_leaves_what_is_kept_alone() -> None:
    both = draw(Settings("openai/x", data=SAMPLE, questions=50, probe="swapped-perturbation"))
    assert both.kept.equals(drawn(questions=50))
    assert (both.kept["pert"] != both.asked["pert"]).all()
    assert both.kept["gene"].equals(both.asked["gene"])


def test_the_vote_is_shown_with_a_sample_that_agrees() -> None:
    texts = ["<think>one</think>", "<think>two</think>", "<think>three</think>"]
    labels = [DOWN, UP, UP]
    samples = [
        said(f"{text}<answer>{label}</answer>") for text, label in zip(texts, labels, strict=True)
    ]
    row = WAY.row(samples)
    assert (row["answer"], row["reasoning"]) == (UP, "two")
    assert [row[name] for name in ("p_not_de", "p_up", "p_down")] == [0, 2 / 3, 1 / 3]


def test_a_refusal_is_no_answer_even_if_it_reads_like_one() -> None:
    row = WAY.row([said("<answer>upregulated</answer>", "content_filter")])
    assert (row["answer"], row["parse_status"]) == (None, "refused")


def test_a_question_without_any_reply_is_null_throughout() -> None:
    row = WAY.row([Said(None, None)])
    assert row.pop("parse_status") == "not_answered"
    assert set(row.values()) == {None}


def test_equal_questions_of_a_probe_are_one_call() -> None:
    steps = [WAY.walk(Question("k562", "A", "B"), 0) for _ in range(2)]
    assert next(steps[0]).key == next(steps[1]).key


def test_the_call_does_not_know_the_outcome() -> None:
    call = next(WAY.walk(Question("k562", "A", "B"), 0))
    assert (call.label, call.role) == (None, "reader")


def test_a_plan_is_reckoned_from_some_of_many_questions(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.chdir(tmp_path)
    settings = Settings("openai/x", data=SAMPLE, input_price=1.0, output_price=1.0)
    questions = draw(settings)
    planning.plan(settings, ByPrompt(WAY.prompts, settings.asked), questions)
    out = capsys.readouterr().out
    assert f"| {len(to_questions(questions.kept)):,} |" in out
    assert "Reckoned from" in out


def test_the_record_leaves_out_where_a_server_stands() -> None:
    settings = Settings("openai/x", data=SAMPLE, api_base="http://here/v1", temperature=0.5)
    way = ByPrompt(WAY.prompts, settings.asked)
    record = record_of(settings, way, draw(settings))
    assert record["decoding"] == {"temperature": 0.5}
    assert record["questions"]["split"] == "default"
    assert record_of(Settings("openai/x"), WAY, draw(settings))["decoding"] == {
        "temperature": "the provider's own"
    }
