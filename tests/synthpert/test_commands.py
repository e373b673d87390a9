"""A typed function becomes a command."""

from __future__ import annotations

from pathlib import Path

import pytest

from synthpert import commands
from synthpert.errors import InputError

Shown = tuple[list[Path], str, int, bool]


def show(files: list[Path], name: str = "none", seed: int = 0, quick: bool = False) -> Shown:
    """Show what was given.

    More about it.

    Args:
        files: Files to show.
        name: A name of your own.
        seed: Seed of the order.
        quick: Whether to hurry.
    """
    return files, name, seed, quick


def one(folder: Path, level: int) -> tuple[Path, int]:
    """Take two positional values."""
    return folder, level


def any_number(names: tuple[str, ...] = (), loud: bool = False) -> tuple[list[str], bool]:
    """Take any number of values."""
    return list(names), loud


def run(*args: str) -> Shown:
    return commands.run("show", show, args)


def test_list_without_default_takes_several_words() -> None:
    assert run("a.csv", "b.csv")[0] == [Path("a.csv"), Path("b.csv")]


def test_positional_values_are_of_their_types() -> None:
    assert commands.run("one", one, ["here", "3"]) == (Path("here"), 3)


@pytest.mark.parametrize("names", [[], ["a"], ["a", "b"]])
def test_a_tuple_takes_any_number_of_words(names: list[str]) -> None:
    assert commands.run("any", any_number, [*names, "--loud"]) == (names, True)


def test_parameters_with_defaults_are_flags() -> None:
    assert run("a.csv", "--name=me", "--seed", "7", "--quick=true")[1:] == ("me", 7, True)


@pytest.mark.parametrize("words", [["--quick"], ["--quick", "true"], ["--quick=true"]])
def test_a_flag_that_is_true_or_false_needs_no_value(words: list[str]) -> None:
    assert run("a.csv", *words, "--seed", "7")[2:] == (7, True)
    assert run("a.csv", "--quick", "false")[3] is False


def test_a_flag_is_spelled_with_hyphens_or_underscores() -> None:
    def named(first_name: str = "", last_name: str = "") -> str:
        """Name somebody."""
        return first_name + last_name

    assert commands.run("name", named, ["--first-name", "a-b", "--last_name=c-d"]) == "a-bc-d"


def test_flags_may_come_from_a_yaml(tmp_path: Path) -> None:
    (tmp_path / "show.yaml").write_text("name: yaml\nseed: 3\n")
    found = run("a.csv", "--config", str(tmp_path / "show.yaml"), "--seed", "4")
    assert found[1:] == ("yaml", 4, False)


@pytest.mark.parametrize(
    "args", [["a.csv", "--sed", "1"], [], ["a.csv", "--seed", "many"], ["a.csv", "--config", "no"]]
)
def test_wrong_command_line_is_one_line(args: list[str]) -> None:
    with pytest.raises(InputError, match=r"synthpert show|^no: no such file$") as error:
        run(*args)
    assert "\n" not in str(error.value)


def test_help_is_the_docstring(capsys: pytest.CaptureFixture[str]) -> None:
    with pytest.raises(SystemExit) as stop:
        run("--help")
    text = capsys.readouterr().out
    assert stop.value.code == 0
    for part in ("Show what was given.", "More about it.", "Files to show.", "A name of your own."):
        assert part in text


def test_shipped_recipe_is_found_from_anywhere(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    for word in ("configs/tiny.yaml", "--config=configs/tiny.yaml"):
        flag, _, path = commands.shipped(word).rpartition("=")
        assert flag == word.rpartition("=")[0]
        assert Path(path).is_absolute()
        assert Path(path).is_file()


def test_nearer_recipe_goes_before_the_shipped(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    (tmp_path / "configs").mkdir()
    (tmp_path / "configs" / "tiny.yaml").touch()
    assert commands.shipped("configs/tiny.yaml") == "configs/tiny.yaml"


@pytest.mark.parametrize("word", ["configs/none.yaml", "--seed=3", "elsewhere/tiny.yaml", "fit"])
def test_other_words_stay_as_they_are(word: str) -> None:
    assert commands.shipped(word) == word


def test_shortened_flag_is_not_guessed_at() -> None:
    def verb(split: str = "default") -> str:
        """Do it."""
        return split

    with pytest.raises(InputError, match="--spli"):
        commands.run("verb", verb, ["--spli", "strict"])
