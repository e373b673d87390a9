"""What a command line or a YAML file may say, and what it may not: one line each."""

from __future__ import annotations

from pathlib import Path

import pytest

from synthpert.answers import Grade
from synthpert.errors import InputError
from tools.traces.recipe import Recipe
from tools.traces.settings import Model, Settings, read_settings

CONFIG = Path(__file__).resolve().parents[2] / "configs" / "traces.yaml"


def test_the_packaged_config_says_what_is_the_default() -> None:
    assert read_settings("make", ["--config", str(CONFIG)]) == Settings()


def test_flags_go_over_the_config() -> None:
    flags = ["--questions", "5", "--teacher.model", "a/b", "--teacher.parameters.top_p", "0.9"]
    settings = read_settings("make", ["--config", str(CONFIG), *flags])
    assert settings.questions == 5
    assert settings.teacher == Model("a/b", {"top_p": 0.9})
    assert settings.critic == Model()


def test_grades_and_cell_lines_are_lists_with_commas() -> None:
    settings = Settings(grades="excellent, good", cell_lines="k562,rpe1")
    assert settings.kept_grades == (Grade.EXCELLENT, Grade.GOOD)
    assert settings.asked_cell_lines == ["k562", "rpe1"]
    assert Settings().asked_cell_lines is None


def test_secrets_and_time_limits_do_not_decide_a_reply() -> None:
    secrets = {"api_key": "x", "extra_headers": {}, "timeout": 3, "aws_session_token": "x"}
    told = {"max_tokens": 5, "top_k": 3, "temperature": 1, "api_base": "http://x"}
    assert Model("a/b", secrets | told).told == told


@pytest.mark.parametrize(
    ("flags", "what"),
    [
        (["--grades", "superb"], "grades: unknown grade"),
        (["--grades", ""], "grades: unknown grade"),
        (["--questions", "0"], "questions: too small"),
        (["--questions", "many"], "questions"),
        (["--in_flight", "0"], "in_flight: too small"),
        (["--attempts", "0"], "attempts: too small"),
        (["--samples", "0"], "samples: too small"),
        (["--backoff=-1"], "backoff: negative"),
        (["--balance", "fair"], "balance"),
        (["--out", "traces.csv"], "out: traces are written by suffix"),
        (["--teacher.parameters", "{n: 3}"], "teacher.parameters: set by this tool"),
        (["--critic.parameters", "{stream: true}"], "critic.parameters: set by this tool"),
        (["--teacher.name", "x"], "name"),
        (["--config", "no-such.yaml"], "no-such.yaml"),
    ],
)
def test_what_is_wrong_is_said_in_one_line(flags: list[str], what: str) -> None:
    with pytest.raises(InputError) as caught:
        read_settings("make", flags)
    assert what in str(caught.value)
    assert "\n" not in str(caught.value)


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


def test_unknown_prompts_are_an_error() -> None:
    with pytest.raises(InputError, match="unknown prompt set"):
        Recipe.of(Settings(prompts="papr"))
