"""Which packages' classes a YAML may name, and how a later command is told."""

from __future__ import annotations

import sys
from collections.abc import Iterator
from pathlib import Path

import jsonargparse
import pytest

from synthpert.errors import InputError
from synthpert.importing import allow_imports, import_words


class Mine:
    """A class that a YAML of ours could name."""


@pytest.fixture(autouse=True)
def _settings_put_back() -> Iterator[None]:
    yield
    allow_imports([])


def parse(word: str) -> object:
    parser = jsonargparse.ArgumentParser(exit_on_error=False)
    parser.add_argument("--kind", type=type[object])
    return parser.parse_args(["--kind", word]).kind


def test_a_class_of_another_package_is_not_imported() -> None:
    allow_imports([])
    with pytest.raises(jsonargparse.ArgumentError, match="not allowed"):
        parse("antigravity.Nothing")


def test_a_package_of_ones_own_is_let_in(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (tmp_path / "lab_let_in.py").write_text("class Loss:\n    pass\n")
    monkeypatch.chdir(tmp_path)
    monkeypatch.setattr(sys, "path", [*sys.path])
    allow_imports(["fit", "--import-from", "lab_let_in"])
    assert getattr(parse("lab_let_in.Loss"), "__name__", None) == "Loss"


def test_a_package_that_is_not_there_is_one_line() -> None:
    with pytest.raises(InputError, match=r"--import-from: no such package from here .*nosuchlab"):
        allow_imports(["fit", "--import-from=nosuchlab"])


def test_a_later_command_lets_in_the_same_packages() -> None:
    words = import_words(["fit", "--import-from", "a", "--run", "x", "--import-from=b"])
    assert sorted(words) == ["--import-from", "--import-from", "a", "b"]
    assert words[::2] == ["--import-from"] * 2
