"""`traces plan`: what it shows, what it takes from a journal, and that it reaches nobody."""

from __future__ import annotations

import asyncio
import re
import subprocess
import sys
from dataclasses import asdict, replace
from pathlib import Path
from typing import Any

import pytest

from synthpert.errors import InputError
from tools.traces.draw import draw
from tools.traces.journal import Journal
from tools.traces.journal.records import Call, Reply, State
from tools.traces.plan import plan
from tools.traces.plan.experience import gather
from tools.traces.recipe import Recipe
from tools.traces.settings import Model, Settings
from tools.traces.walk import walk

ROOT = Path(__file__).resolve().parents[3]
PRICED = Model("openai/a-model-of-ours", input_price=1.1, output_price=4.4)
THOUGHT = "In {cell_line} cells the product of {pert} and that of {gene} serve one program. " * 3


def settings(folder: Path, **how: Any) -> Settings:
    given = {"questions": 80, "teacher": PRICED, "critics": [PRICED]} | how
    return Settings(journal=folder / "j.sqlite", **given)


def rows(text: str) -> dict[str, list[str]]:
    """The table, by role: the cells after it."""
    lines = [line.strip("| ").split("|") for line in text.splitlines() if line.startswith("|")]
    return {cells[0].strip(): [cell.strip() for cell in cells[1:]] for cells in lines[2:]}


def shown(given: Settings, capsys: pytest.CaptureFixture[str]) -> str:
    plan(given)
    return capsys.readouterr().out


def answer(given: Settings, questions: int, wrong: int = 0, graded: bool = True) -> None:
    """Write replies of 300 tokens (critics' 50) to the first questions into the journal."""

    def reply(call: Call, number: int) -> Reply:
        if call.role == "critic":
            return Reply("<evaluation> [excellent] </evaluation>", "stop", 400, 50, 0.01)
        named = THOUGHT.format(**asdict(call.question))
        said = "I do not know" if number < wrong else str(call.label)
        text = f"<think>{named}</think><answer>{said}</answer>"
        return Reply(text, "stop", 200, 300, 0.02)

    async def write(journal: Journal) -> None:
        recipe = Recipe.of(given)
        for number, (question, label) in enumerate(draw(given)[:questions]):
            steps = walk(recipe, question, label, 0)
            call: Call | None = next(steps)
            while call is not None and (graded or call.role == "teacher"):
                row = await journal.start(call)
                told = reply(call, number)
                await journal.finish(row, State.ANSWERED, 2.0, reply=told)
                try:
                    call = steps.send(told)
                except StopIteration:
                    call = None

    with Journal(given.journal, write=True) as journal:
        asyncio.run(write(journal))


def test_calls_tokens_and_dollars_are_shown_by_role(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    text = shown(settings(tmp_path, samples=2), capsys)
    table = rows(text)
    assert "80 questions x 2 samples: 0 decided, 160 to ask" in text
    assert table["teacher"][:2] == ["openai/a-model-of-ours", "160"]
    assert table["teacher"][3] == "192,000"
    assert table["critic"][1] == "152"
    low, base, high = (float(cell) for cell in table["total"][4:])
    assert low < base < high
    assert base == pytest.approx(160 * 900 / 74_765, rel=0.1)
    assert "Assumed of a reasoning model" in text


def test_every_critic_has_its_row_and_no_critic_none(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    assert shown(settings(tmp_path, critics=[PRICED] * 2), capsys).count("| critic |") == 2
    assert "critic" not in rows(shown(settings(tmp_path, critics=[]), capsys))


def test_fewer_blind_answers_reach_the_critic(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    assert rows(shown(settings(tmp_path, label_blind=True), capsys))["critic"][1] == "48"


def test_a_batch_has_its_own_prices(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    known = Model("openai/gpt-5.6-terra")
    table = rows(shown(settings(tmp_path, teacher=known, critics=[known]), capsys))
    half = float(table["total"][5]) / 2
    assert float(table["total by batch"][5]) == pytest.approx(half, abs=0.01)


def test_max_tokens_bounds_what_replies_are_expected_to_have(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    brief = replace(PRICED, parameters={"max_tokens": 100})
    table = rows(shown(settings(tmp_path, teacher=brief), capsys))
    assert table["teacher"][3] == "8,000"


def test_what_the_journal_holds_is_not_counted_again(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    given = settings(tmp_path)
    answer(given, 10)
    text = shown(given, capsys)
    assert "80 questions: 10 decided, 70 to ask" in text
    assert rows(text)["teacher"][1] == "70"


def test_a_trace_may_wait_for_its_critic_alone(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    given = settings(tmp_path)
    answer(given, 10, wrong=2, graded=False)
    seen = gather(given, Recipe.of(given), draw(given))
    assert seen.waiting == {0: 70, 1: 8}
    assert seen.went_on == [0.0] * 2 + [1.0] * 8
    assert rows(shown(given, capsys))["critic"][1] == str(8 + round(70 * 0.95))


def test_thirty_replies_are_better_than_an_assumption(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    given = settings(tmp_path)
    answer(given, 60, wrong=30)
    text = shown(given, capsys)
    assert rows(text)["teacher"][1:4] == ["20", "4,000", "6,000"]
    assert rows(text)["critic"][1:4] == ["10", "4,000", "500"]
    assert "Assumed" not in text


def test_replies_to_other_parameters_tell_nothing(tmp_path: Path) -> None:
    given = settings(tmp_path)
    answer(given, 40)
    other = replace(given, teacher=replace(PRICED, parameters={"top_p": 0.5}))
    seen = gather(other, Recipe.of(other), draw(other))
    assert seen.waiting[0] == 80
    assert seen.mean(0, "completion_tokens") is None
    assert seen.mean(1, "completion_tokens") == (50, 50, 50)


def test_it_says_when_the_budget_will_stop_the_run(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    bounded = replace(PRICED, parameters={"max_tokens": 4000})
    given = settings(tmp_path, teacher=bounded, critics=[bounded], budget=0.5)
    text = shown(given, capsys)
    dollars = float(rows(text)["total"][5])
    stop = re.search(r"US\$ 0\.50, of which 0\.00 is spent, stops after about (\d+) ", text)
    assert stop is not None
    # What a call may cost: 4,000 tokens at 4.4 US$ a million, and the prompt.
    assert int(stop[1]) == pytest.approx(80 * (0.5 - 0.0196) / dollars, abs=1)
    assert "About US$ 0.0196 at most is set aside for each call under way, so 25 at once" in text


def test_it_says_when_the_budget_is_enough(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    bounded = replace(PRICED, parameters={"max_tokens": 4000})
    given = settings(tmp_path, teacher=bounded, critics=[bounded], budget=100.0)
    answer(given, 10)
    text = shown(given, capsys)
    assert "Budget: US$ 100.00, of which 0.30 is spent, is enough." in text
    assert " at once" not in text


def test_a_batch_takes_a_day_for_each_model(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    assert "Time: 2 x 24 hours at most" in shown(settings(tmp_path, batch=True), capsys)


def test_a_budget_that_holds_back_a_part_of_a_batch_is_said(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    bounded = replace(PRICED, parameters={"max_tokens": 4000})
    given = settings(tmp_path, teacher=bounded, critics=[bounded], budget=1.5, batch=True)
    text = shown(given, capsys)
    assert "for a batch; more where the budget splits it." in text
    assert "so 76 at once" in text


def test_offline_models_cost_and_assume_nothing(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    text = shown(settings(tmp_path, teacher=Model(), critics=[Model()], budget=1.0), capsys)
    assert rows(text)["total"][4:] == ["0.0000"] * 3
    assert "is enough." in text
    assert "Assumed" not in text
    assert "Time" not in text


def test_an_unknown_price_is_an_error(tmp_path: Path) -> None:
    given = settings(tmp_path, teacher=Model("openai/a-model-of-ours"))
    with pytest.raises(InputError, match="input_price and output_price"):
        plan(given)


def test_a_budget_needs_a_bound(tmp_path: Path) -> None:
    with pytest.raises(InputError, match="expected max_tokens or max_completion_tokens"):
        plan(settings(tmp_path, budget=1.0))


def test_a_file_that_is_no_journal_is_an_error(tmp_path: Path) -> None:
    given = settings(tmp_path)
    given.journal.write_text("no journal")
    with pytest.raises(InputError, match="not a journal"):
        plan(given)


# Every attempt to reach somebody is seen by the interpreter itself.
CHILD = """
import sys
reached = []
def watch(event, args):
    if event in ("socket.connect", "socket.getaddrinfo", "socket.sendto"):
        reached.append((event, args))
sys.addaudithook(watch)
from tools.traces import main
code = main(sys.argv[1:])
assert not reached, reached
sys.exit(code)
"""


def test_a_plan_needs_no_key_and_reaches_nobody(tmp_path: Path) -> None:
    models = [
        "--teacher.model",
        "openai/gpt-5.6-terra",
        "--critics",
        '[{"model": "anthropic/claude-sonnet-4-5"}]',
    ]
    flags = ["plan", "--questions", "20", "--journal", str(tmp_path / "j.sqlite"), *models]
    done = subprocess.run(
        [sys.executable, "-c", CHILD, *flags],
        cwd=ROOT,
        env={},
        capture_output=True,
        text=True,
        timeout=120,
        check=False,
    )
    assert done.returncode == 0, done.stderr
    assert rows(done.stdout)["teacher"][1] == "20"
    assert list(tmp_path.iterdir()) == []
