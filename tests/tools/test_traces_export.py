"""`traces export`: the journal read anew, never a file worse than the one that is there."""

from __future__ import annotations

import asyncio
from pathlib import Path

import pytest

from synthpert.errors import InputError
from synthpert.questions import Label, Question
from synthpert.traces import read_traces
from tools.traces.export import export
from tools.traces.journal import Attempt, Journal, Reply, State
from tools.traces.recipe import Recipe
from tools.traces.settings import Settings

DRAWN = [(Question("k562", "A", f"G{i}"), Label.UP) for i in range(4)]
THOUGHT = "A holds it back."
TAUGHT = f"<think>{THOUGHT}</think><answer>upregulated</answer>"
GRADES = ("excellent", "good", "excellent")


def filled(settings: Settings, recipe: Recipe) -> Journal:
    """A journal in which three of the four questions are taught and graded."""
    journal = Journal(settings.journal, write=True)

    async def write() -> None:
        for (question, label), grade in zip(DRAWN, GRADES, strict=False):
            teacher = recipe.teacher_call(question, label, 0)
            critic = recipe.critic_call(question, label, 0, THOUGHT)
            told = f"<evaluation>{grade}</evaluation>"
            for call, text in ((teacher, TAUGHT), (critic, told)):
                await journal.record(Attempt(call, State.ANSWERED, 0.1, Reply(text, "stop")))

    asyncio.run(write())
    return journal


@pytest.fixture
def settings(tmp_path: Path) -> Settings:
    return Settings(journal=tmp_path / "j.sqlite", out=tmp_path / "traces.parquet")


def test_what_is_kept_and_what_is_not_add_up(
    settings: Settings, caplog: pytest.LogCaptureFixture
) -> None:
    recipe = Recipe.of(settings)
    with filled(settings, recipe) as journal, caplog.at_level("INFO"):
        assert export(settings, journal, recipe, DRAWN) == settings.out
    assert read_traces(settings.out)["gene"].to_list() == ["G0", "G2"]
    assert caplog.messages[-1] == (
        f"{settings.out}: 2 kept of 4; 2 rejected (grade_too_low 1, not_answered 1)"
    )


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
