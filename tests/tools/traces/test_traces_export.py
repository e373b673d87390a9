"""`traces export`: the journal read anew, never a file worse than the one that is there."""

from __future__ import annotations

import asyncio
from dataclasses import replace
from pathlib import Path

import polars as pl
import pytest

from synthpert.errors import InputError
from synthpert.questions import Label, Question, read_questions
from synthpert.traces import read_traces
from tools.traces.export import export
from tools.traces.journal import Journal, Reply, State
from tools.traces.recipe import Recipe
from tools.traces.settings import Settings, read_settings
from tools.traces.status.funnel import Funnel

DRAWN = [(Question("k562", "A", f"G{i}"), Label.UP) for i in range(4)]
GRADES = ("excellent", "good", "excellent")


def taught(question: Question) -> tuple[str, str]:
    thought = f"{question.pert} holds {question.gene} back."
    return thought, f"<think>{thought}</think><answer>upregulated</answer>"


def filled(settings: Settings, recipe: Recipe) -> Journal:
    """A journal in which three of the four questions are taught and graded."""
    journal = Journal(settings.journal, write=True)

    async def write() -> None:
        for (question, label), grade in zip(DRAWN, GRADES, strict=False):
            thought, reply = taught(question)
            teacher = recipe.teacher_call(question, label, 0)
            (critic,) = recipe.critic_calls(teacher, thought)
            told = f"<evaluation>{grade}</evaluation>"
            for call, text in ((teacher, reply), (critic, told)):
                row = await journal.start(call)
                said = Reply(text, "stop", 10, 5, 0.5)
                await journal.finish(row, State.ANSWERED, 0.1, reply=said)

    asyncio.run(write())
    return journal


@pytest.fixture
def settings(tmp_path: Path) -> Settings:
    return Settings(
        journal=tmp_path / "j.sqlite", out=tmp_path / "traces.parquet", least_words=3
    )  # fmt: skip


def test_what_is_kept_and_what_is_not_add_up(
    settings: Settings, caplog: pytest.LogCaptureFixture
) -> None:
    recipe = Recipe.of(settings)
    with filled(settings, recipe) as journal, caplog.at_level("INFO"):
        assert export(settings, journal, recipe, DRAWN) == settings.out
    assert read_traces(settings.out)["gene"].to_list() == ["G0", "G2"]
    assert caplog.messages[-1] == (
        f"{settings.out}: 2 kept of 4; 1 rejected (grade_too_low 1); 1 without a reply yet"
    )
    assert "1 without a reply yet (not_answered 1): `traces make` asks them" in caplog.messages


def test_a_critics_reply_on_two_equal_thoughts_is_paid_for_once(settings: Settings) -> None:
    settings = replace(settings, samples=2)
    recipe = Recipe.of(settings)
    question, label = DRAWN[0]
    again = recipe.teacher_call(question, label, 1)

    async def write(journal: Journal) -> None:
        row = await journal.start(again)
        said = Reply(taught(question)[1], "stop", 10, 5, 0.5)
        await journal.finish(row, State.ANSWERED, 0.1, reply=said)

    with filled(settings, recipe) as journal:
        asyncio.run(write(journal))
        export(settings, journal, recipe, DRAWN)
    card = settings.out.with_suffix(".card.md").read_text()
    assert read_traces(settings.out)["gene"].to_list() == ["G0", "G2", "G0"]
    assert "| critic | offline/template | 3 | 30 | 15 | 1.5000 | 0 |" in card
    assert "| teacher | offline/template | 4 | 40 | 20 | 2.0000 | 0 |" in card


def test_the_funnel_of_the_journal_alone_counts_the_same(
    settings: Settings, caplog: pytest.LogCaptureFixture
) -> None:
    recipe = Recipe.of(settings)
    funnel = Funnel(settings.kept_grades, settings.least_words, 1)
    with filled(settings, recipe) as journal:
        export(settings, journal, recipe, DRAWN)
        for row in journal.rows():
            funnel.add(row)
    (counts,) = funnel.counts().values()
    assert counts == {"kept": 2, "grade_too_low": 1}


def test_settings_that_nothing_was_asked_with_do_not_replace_a_file(settings: Settings) -> None:
    recipe = Recipe.of(settings)
    with filled(settings, recipe) as journal:
        export(settings, journal, recipe, DRAWN)
        others = [(Question("k562", "B", "G"), Label.UP)]
        with pytest.raises(InputError, match="no reply with these settings"):
            export(settings, journal, recipe, others)
    assert len(read_traces(settings.out)) == 2


def test_traces_that_are_all_rejected_are_an_empty_file(settings: Settings) -> None:
    recipe = Recipe.of(settings)
    with filled(settings, recipe) as journal:
        export(settings, journal, recipe, DRAWN[1:2])
    assert read_traces(settings.out).is_empty()


def test_a_trace_of_a_test_perturbation_is_refused_and_nothing_is_written(
    settings: Settings, monkeypatch: pytest.MonkeyPatch
) -> None:
    tested = read_questions().filter(pl.col("split") == "test").row(0, named=True)
    pert = tested["pert"].lower()
    monkeypatch.setattr(
        "test_traces_export.DRAWN", [(Question(tested["cell_line"], pert, "G"), Label.UP)]
    )
    recipe = Recipe.of(settings)
    with (
        filled(settings, recipe) as journal,
        pytest.raises(InputError, match=f"1 of 1 traces are of test perturbations.*{pert} G"),
    ):
        export(settings, journal, recipe, DRAWN)
    assert not settings.out.exists()


def test_the_other_forms_and_the_card_stand_beside_it(settings: Settings) -> None:
    recipe = Recipe.of(settings)
    with filled(settings, recipe) as journal:
        export(replace(settings, also="messages, csv"), journal, recipe, DRAWN)
    names = sorted(path.name for path in settings.out.parent.glob("traces.*"))
    assert names == [
        "traces.card.md", "traces.messages.jsonl", "traces.paper.csv", "traces.parquet",
    ]  # fmt: skip
    assert read_traces(settings.out.with_name("traces.paper.csv")).height == 2
    card = settings.out.with_name("traces.card.md").read_text(encoding="utf-8")
    assert "| teacher | offline/template | 3 | 30 | 15 | 1.5000 | 0 |" in card


def test_a_form_of_an_earlier_export_is_pointed_out(
    settings: Settings, caplog: pytest.LogCaptureFixture
) -> None:
    recipe = Recipe.of(settings)
    with filled(settings, recipe) as journal:
        export(replace(settings, also="csv"), journal, recipe, DRAWN)
        export(settings, journal, recipe, DRAWN)
    assert "traces.paper.csv is of an earlier export; --also csv renews it" in caplog.text


def test_a_push_without_a_token_is_refused_before_anything_is_written(
    settings: Settings, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.delenv("HF_TOKEN", raising=False)
    recipe = Recipe.of(settings)
    with (
        filled(settings, recipe) as journal,
        pytest.raises(InputError, match="the hub wants a token"),
    ):
        export(replace(settings, push="ada/traces"), journal, recipe, DRAWN)
    assert not settings.out.exists()


@pytest.mark.parametrize(
    ("flags", "message"),
    [
        (["--also", "messages,excel"], r"also: unknown form \(got 'excel'; expected messages, csv"),
        (["--push", "https://hub/ada/t"], "push: not a name on the hub .*USER/NAME"),
        (["--json", "perhaps"], "perhaps"),
    ],
)
def test_a_wrong_flag_is_one_line(flags: list[str], message: str) -> None:
    with pytest.raises(InputError, match=message):
        read_settings("export", flags)


def test_a_switch_needs_no_value() -> None:
    assert read_settings("status", ["--json", "--also", "csv"]).json
    assert not read_settings("status", ["--json", "false"]).json
