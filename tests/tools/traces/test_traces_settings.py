"""What a command line or a YAML file may say, and what it may not: one line each."""

from __future__ import annotations

from pathlib import Path

import pytest

from synthpert.answers import Grade
from synthpert.errors import InputError
from tools.traces.recipe import Recipe
from tools.traces.settings import Model, Settings, read_settings

CONFIG = Path(__file__).resolve().parents[3] / "configs" / "traces.yaml"


def test_the_packaged_config_says_what_is_the_default() -> None:
    assert read_settings("make", ["--config", str(CONFIG)]) == Settings()


def test_flags_go_over_the_config() -> None:
    flags = ["--questions", "5", "--teacher.model", "a/b", "--teacher.parameters.top_p", "0.9"]
    settings = read_settings("make", ["--config", str(CONFIG), *flags])
    assert settings.questions == 5
    assert settings.teacher == Model("a/b", {"top_p": 0.9})
    assert settings.critics == [Model()]


def test_grades_and_cell_lines_are_lists_with_commas() -> None:
    settings = Settings(grades="excellent, good", cell_lines="k562,rpe1")
    assert settings.kept_grades == (Grade.EXCELLENT, Grade.GOOD)
    assert settings.asked_cell_lines == ["k562", "rpe1"]
    assert Settings().asked_cell_lines is None


def test_a_time_limit_does_not_decide_a_reply() -> None:
    told = {"max_tokens": 5, "top_k": 3, "temperature": 1, "api_base": "http://x"}
    assert Model("a/b", {"timeout": 3} | told).told == told


@pytest.mark.parametrize(
    "name", ["api_key", "extra_headers", "aws_session_token", "Authorization", "client_secret"]
)
def test_a_secret_in_the_parameters_is_refused_and_not_repeated(name: str) -> None:
    with pytest.raises(InputError, match="keys are not written down") as caught:
        Settings(teacher=Model("a/b", {name: "sk-canary"}))
    assert "sk-canary" not in str(caught.value)


def test_several_critics_come_from_yaml(tmp_path: Path) -> None:
    path = tmp_path / "traces.yaml"
    path.write_text("critics:\n- model: a/b\n- model: c/d\n  parameters: {top_p: 1}\n")
    settings = read_settings("make", ["--config", str(path)])
    assert settings.critics == [Model("a/b"), Model("c/d", {"top_p": 1})]


def test_without_a_critic_no_grade_is_asked_for() -> None:
    assert read_settings("make", ["--critics", "[]"]).kept_grades == ()


def test_a_share_of_the_questions_is_a_number_below_one() -> None:
    assert read_settings("plan", ["--questions", "0.15"]).questions == 0.15


@pytest.mark.parametrize(
    ("flags", "what"),
    [
        (["--grades", "superb"], "grades: unknown grade"),
        (["--grades", ""], "grades: unknown grade"),
        (["--questions", "0"], "questions: wrong number"),
        (["--questions", "1.5"], "questions: wrong number"),
        (["--questions=-0.1"], "questions: wrong number"),
        (["--questions", "many"], "questions"),
        (["--teacher.in_flight", "0"], "teacher.in_flight: too small"),
        (["--teacher.requests_per_minute", "0"], "teacher.requests_per_minute: too small"),
        (["--teacher.input_price=-1"], "teacher.input_price: not a price"),
        (["--teacher.engine", "mine"], "teacher.engine"),
        (["--budget", "0"], "budget: too small"),
        (["--target_kept=-5"], "target_kept: too small"),
        (["--least_words=-1"], "least_words: negative"),
        (["--attempts", "0"], "attempts: too small"),
        (["--samples", "0"], "samples: too small"),
        (["--backoff=-1"], "backoff: negative"),
        (["--balance", "fair"], "balance"),
        (["--out", "traces.csv"], "out: traces are written by suffix"),
        (["--teacher.parameters", "{n: 3}"], "teacher.parameters: set by this tool"),
        (["--critics", "[{parameters: {stream: true}}]"], "critics.0.parameters: set by this tool"),
        (["--seed=-1"], "seed: negative"),
        (["--teacher.parameters", "{max_tokens: many}"], "max_tokens: wrong number"),
        (["--teacher.parameters", "{max_completion_tokens: -5}"], "tokens: wrong number"),
        (["--teacher.parameters", "{timeout: soon}"], "timeout: wrong number"),
        (["--teacher.parameters", "{extra_body: [1]}"], "extra_body is no mapping"),
        (["--teacher.parameters", "{extra_body: {n: 3}}"], "set by this tool"),
        (["--teacher.parameters", "{extra_body: {api_key: x}}"], "keys are not written down"),
        (["--teacher.parameters", "{token: x}"], "keys are not written down"),
        (["--teacher.name", "x"], "name"),
        (["--config", "no-such.yaml"], "no-such.yaml"),
    ],
)
def test_what_is_wrong_is_said_in_one_line(flags: list[str], what: str) -> None:
    with pytest.raises(InputError) as caught:
        read_settings("make", flags)
    assert what in str(caught.value)
    assert "\n" not in str(caught.value)


@pytest.mark.parametrize("line", ["budget: .inf", "questions: .nan", "poll: .nan", "backoff: .inf"])
def test_what_yaml_takes_for_a_number_and_is_none_is_an_error(tmp_path: Path, line: str) -> None:
    path = tmp_path / "traces.yaml"
    path.write_text(line)
    with pytest.raises(InputError, match="not a number"):
        read_settings("make", ["--config", str(path)])


def test_a_config_with_an_unknown_key_is_an_error(tmp_path: Path) -> None:
    path = tmp_path / "traces.yaml"
    path.write_text("questoins: 5\n")
    with pytest.raises(InputError, match="questoins"):
        read_settings("make", ["--config", str(path)])


def test_a_config_that_is_no_yaml_is_an_error_of_one_line(tmp_path: Path) -> None:
    path = tmp_path / "traces.yaml"
    path.write_text("questions: [5\nseed: }\n")
    with pytest.raises(InputError) as caught:
        read_settings("make", ["--config", str(path)])
    assert "\n" not in str(caught.value)


def test_prompts_without_a_teachers_text_are_an_error() -> None:
    with pytest.raises(InputError, match=r"compact:generator_system: no such text"):
        Recipe.of(Settings(prompts="compact"))


def test_prompts_without_a_text_for_predictors_are_an_error() -> None:
    with pytest.raises(InputError, match=r"short:predictor_system: no such text"):
        Recipe.of(Settings(prompts="short", label_blind=True, critics=[]))


def test_unknown_prompts_are_an_error() -> None:
    with pytest.raises(InputError, match="unknown prompt set"):
        Recipe.of(Settings(prompts="papr"))
