"""`recipes`: what is shipped, to list, to read and to copy."""

from __future__ import annotations

from pathlib import Path

import pytest
from repository import ROOT

from synthpert.__main__ import main
from synthpert.shipped import shipped_folder
from tools.recipes import find, recipes


@pytest.fixture(autouse=True)
def _there(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)


def refused(capsys: pytest.CaptureFixture[str], *args: str) -> str:
    assert main(["recipes", *args]) == 2
    (line,) = capsys.readouterr().err.splitlines()
    return line


def test_every_yaml_is_listed_with_what_it_is(capsys: pytest.CaptureFixture[str]) -> None:
    every = recipes()
    assert len(every) == len(list(shipped_folder().rglob("*.yaml"))) == 25
    assert all(each.about for each in every)
    assert main(["recipes", "ls"]) == 0
    out = capsys.readouterr().out
    assert all(f"| {each.name} |" in out for each in every)


@pytest.mark.parametrize(
    ("name", "needs"),
    [
        ("synthpert", "GPU of 80 GB, traces"),
        ("tiny", "CPU, minutes, traces"),
        ("traces_paper", "key of openai"),
        ("traces", "no key"),
        ("splits/strict", ""),
    ],
)
def test_what_a_recipe_needs_is_read_from_it(name: str, needs: str) -> None:
    assert find(name).needs == needs


def test_a_recipe_is_shown_as_it_stands(capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["recipes", "show", "configs/tiny.yaml"]) == 0
    assert capsys.readouterr().out == (ROOT / "configs/tiny.yaml").read_text()


@pytest.mark.parametrize(
    ("name", "after"),
    [
        ("tiny", "synthpert fit --config mine.yaml"),
        ("traces_paper", "synthpert traces plan --config mine.yaml"),
        ("strict", "synthpert check configs/tiny.yaml mine.yaml"),
        ("prompts/paper", "--model.prompts mine.yaml"),
    ],
)
def test_a_copy_keeps_the_comments_and_says_what_comes_next(
    name: str, after: str, capsys: pytest.CaptureFixture[str]
) -> None:
    assert main(["recipes", "cp", name, "mine.yaml"]) == 0
    assert Path("mine.yaml").read_text() == find(name).text
    assert after in capsys.readouterr().out


def test_a_copy_goes_into_a_folder_and_to_a_place_named_like_ours() -> None:
    Path("configs").mkdir()
    assert main(["recipes", "cp", "ddp", "configs"]) == 0
    assert main(["recipes", "cp", "tiny", "configs/tiny.yaml"]) == 0
    assert sorted(path.name for path in Path("configs").iterdir()) == ["ddp.yaml", "tiny.yaml"]


def test_nothing_is_written_over(capsys: pytest.CaptureFixture[str]) -> None:
    Path("mine.yaml").write_text("mine")
    line = refused(capsys, "cp", "tiny", "mine.yaml")
    assert line.startswith("mine.yaml: is there already, and is not written over (expected another")
    assert Path("mine.yaml").read_text() == "mine"


@pytest.mark.parametrize(
    ("args", "said"),
    [
        (
            ("show", "papr"),
            "no such recipe (got 'papr'; expected a name of `synthpert recipes ls`; ",
        ),
        (("cp", "tiny", "mine.txt"), "mine.txt: a recipe is a YAML file"),
        (("lst",), "unknown verb (got 'lst'; expected one of ls, show, cp; did you mean 'ls'?)"),
        (("show",), "synthpert recipes show: missing: name"),
    ],
)
def test_what_is_wrong_is_one_line(
    args: tuple[str, ...], said: str, capsys: pytest.CaptureFixture[str]
) -> None:
    assert said in refused(capsys, *args)
