"""One question with its text as it is written, and lists a few at a time."""

from __future__ import annotations

import itertools
from threading import Event

import polars as pl
import pytest
import torch
from polars.testing import assert_frame_equal

from synthpert.questions import Label, Question
from tools.serve.asking import AT_ONCE, MODES, Asker, Words
from tools.serve.desk import Desk

QUESTION = Question("k562", "T0", "G0")
SAME = ("response", "answer", "p_not_de", "p_up", "p_down", "finish_reason", "mode", "n_samples")


@pytest.fixture
def asker(desk: Desk) -> Asker:
    return desk.asker


def last(asker: Asker, mode: str) -> pl.DataFrame:
    *_, table = asker.stream(QUESTION, Label.UP, mode, Event())  # type: ignore[arg-type]
    assert isinstance(table, pl.DataFrame)
    return table


@pytest.mark.parametrize("mode", MODES)
def test_what_is_streamed_is_what_predict_answers(asker: Asker, mode: str) -> None:
    student = asker.student
    before = student.decoding
    student.decoding = asker.decoding(mode)  # type: ignore[arg-type]
    try:
        theirs = student.predictions([QUESTION], [Label.UP])
    finally:
        student.decoding = before
    assert_frame_equal(last(asker, mode).select(SAME), theirs.select(SAME))


def test_text_grows_until_it_is_whole(asker: Asker) -> None:
    *words, table = asker.stream(QUESTION, None, "reason", Event())
    texts = [each.text for each in words if isinstance(each, Words)]
    assert all(after.startswith(before) for before, after in itertools.pairwise(texts))
    assert isinstance(table, pl.DataFrame)
    assert texts[-1] == table["response"][0]


def test_a_vote_streams_every_sample(asker: Asker) -> None:
    words = [x for x in asker.stream(QUESTION, None, "vote", Event()) if isinstance(x, Words)]
    assert {each.sample for each in words} == {1, 2, 3, 4, 5}


def test_a_stop_leaves_no_answer(asker: Asker) -> None:
    stop = Event()
    stop.set()
    found = list(asker.stream(QUESTION, None, "reason", stop))
    assert all(isinstance(each, Words) for each in found)


def test_whoever_leaves_ends_the_writing(asker: Asker) -> None:
    stop = Event()
    writing = asker.stream(QUESTION, None, "vote", stop)
    next(writing)
    writing.close()
    assert stop.is_set()


def test_the_random_state_is_left_alone(asker: Asker) -> None:
    before = torch.get_rng_state()
    last(asker, "vote")
    assert torch.equal(before, torch.get_rng_state())


def test_trouble_in_the_writing_is_raised(asker: Asker, monkeypatch: pytest.MonkeyPatch) -> None:
    def fail(*args: object, **kwargs: object) -> None:
        raise RuntimeError("out of memory")

    monkeypatch.setattr(asker.student.causal_lm, "generate", fail)
    with pytest.raises(RuntimeError, match="out of memory"):
        last(asker, "reason")


def test_a_list_comes_a_few_at_a_time_in_order(asker: Asker) -> None:
    questions = [Question("k562", "T0", f"G{i}") for i in range(AT_ONCE + 3)]
    tables = list(asker.tables(questions, [None] * len(questions), "reason", Event()))
    assert [len(table) for table in tables] == [AT_ONCE, 3]
    assert pl.concat(tables)["gene"].to_list() == [each.gene for each in questions]
    assert set(tables[0]["run"]) == {"run"}


def test_a_stopped_list_gives_nothing_more(asker: Asker) -> None:
    stop = Event()
    questions = [QUESTION] * (AT_ONCE + 1)
    tables = asker.tables(questions, [None] * len(questions), "reason", stop)
    next(tables)
    stop.set()
    assert list(tables) == []
