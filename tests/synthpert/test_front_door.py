"""The front door: its table, its speed and its exit codes."""

from __future__ import annotations

import importlib.util
import json
import logging
import os
import re
import resource
import subprocess
import sys
from pathlib import Path

import pytest

from synthpert import __main__ as front_door
from synthpert import __version__
from synthpert.__main__ import main
from synthpert.verbs import VERBS, Verb

HEAVY = ("torch", "lightning", "transformers", "polars", "litellm", "rich", "jsonargparse", "yaml")
ORDER = [
    *("doctor", "recipes", "check", "data", "traces", "preview", "estimate"),
    *("fit", "validate", "test", "predict", "hits", "serve"),
    *("ask", "baseline", "convert", "score", "report", "export", "completion"),
]

PLANTED = """
import logging
import sys
from synthpert.errors import InputError, StoppedError

def main(args):
    if args[:1] == ["wrong"]:
        raise InputError("no such label", file="a.csv", row=2, column="label", got="upp")
    if args[:1] == ["secret"]:
        logging.getLogger("tools.score").info("asking with sk-%s", "a" * 30)
        raise InputError("refused", got="sk-" + "a" * 30)
    if args[:1] == ["stopped"]:
        raise StoppedError("the budget is spent\\nthe same command goes on")
    if args[:1] == ["interrupted"]:
        raise KeyboardInterrupt
    if args[:1] == ["exits"]:
        sys.exit(*args[1:])
    if args[:1] == ["bug"]:
        raise KeyError("a bug")
    if args[:1] == ["socket"]:
        raise BrokenPipeError("a worker died")
    if args[:1] == ["logs"]:
        logging.getLogger("tools.score").info("read 5 rows")
        logging.getLogger("httpx").info("GET")
    sys.stdout.write(f"{args}\\n")
    return 7 if args[:1] == ["seven"] else None
"""


@pytest.fixture
def planted(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A table of two verbs whose module does as its first argument says."""
    (tmp_path / "planted_verb.py").write_text(PLANTED)
    monkeypatch.syspath_prepend(tmp_path)
    verbs = (
        Verb("plant", "planted_verb", "a verb", "plant"),
        Verb("fern", "planted_verb", "one of several verbs of a module", "fern", keeps_name=True),
    )
    monkeypatch.setattr(front_door, "VERBS", verbs)
    return tmp_path


def child(*args: str, cwd: Path | None = None) -> subprocess.CompletedProcess[str]:
    """Run Python in a process of its own, with the project on its path."""
    home = str(Path(front_door.__file__).parents[1])
    return subprocess.run(
        [sys.executable, *args],
        capture_output=True,
        text=True,
        cwd=cwd,
        env={**os.environ, "PYTHONPATH": home},
        timeout=60,
        check=False,
    )


def test_the_verbs_stand_in_the_order_of_the_work(capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["--help"]) == 0
    table = capsys.readouterr().out
    assert re.findall(r"^  (\w+) +\w", table, re.MULTILINE) == ORDER


@pytest.mark.parametrize("verb", VERBS, ids=lambda verb: verb.name)
def test_each_verb_has_an_example_that_calls_it(
    verb: Verb, capsys: pytest.CaptureFixture[str]
) -> None:
    main(["--help"])
    assert f"  synthpert {verb.example}\n" in capsys.readouterr().out
    assert verb.example.split()[0] == verb.name


@pytest.mark.parametrize("verb", VERBS, ids=lambda verb: verb.name)
def test_each_example_names_configs_that_exist(verb: Verb) -> None:
    home = Path(front_door.__file__).parents[1]
    assert all((home / name).is_file() for name in re.findall(r"configs/\S+", verb.example))


@pytest.mark.parametrize("verb", VERBS, ids=lambda verb: verb.name)
def test_each_verb_exists(verb: Verb) -> None:
    assert importlib.util.find_spec(verb.module) is not None


@pytest.mark.parametrize("verb", VERBS, ids=lambda verb: verb.name)
def test_each_verb_answers_help(verb: Verb, capsys: pytest.CaptureFixture[str]) -> None:
    assert main([verb.name, "--help"]) == 0
    assert capsys.readouterr().out.strip()


@pytest.mark.parametrize("args", [[], ["-h"], ["--help"], ["--debug", "--help"]])
def test_help_is_shown_on_stdout(args: list[str], capsys: pytest.CaptureFixture[str]) -> None:
    assert main(args) == 0
    out, err = capsys.readouterr()
    assert out.startswith("usage: synthpert")
    assert err == ""


def test_help_imports_nothing_heavy() -> None:
    code = (
        "import json, sys\nfrom synthpert.__main__ import main\nmain(['--help'])\n"
        "sys.stderr.write(json.dumps([name.split('.')[0] for name in sys.modules]))"
    )
    loaded = set(json.loads(child("-c", code).stderr))
    assert loaded.isdisjoint(HEAVY)


def test_help_takes_less_than_half_a_second() -> None:
    def seconds() -> float:
        used = resource.getrusage(resource.RUSAGE_CHILDREN)
        return used.ru_utime + used.ru_stime

    before = seconds()
    assert child("-m", "synthpert", "--help").returncode == 0
    assert seconds() - before < 0.5


def test_the_version_is_shown(capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["--version"]) == 0
    assert capsys.readouterr().out == f"synthpert {__version__}\n"


def test_the_arguments_come_from_the_command_line_when_none_are_given(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setattr(sys, "argv", ["synthpert", "--version"])
    assert main() == 0
    assert __version__ in capsys.readouterr().out


def test_it_runs_as_a_module_and_passes_its_code_on() -> None:
    assert child("-m", "synthpert", "--version").stdout == f"synthpert {__version__}\n"
    assert child("-m", "synthpert", "nonsense").returncode == 2


@pytest.mark.parametrize(
    ("typed", "meant"), [("scores", "score"), ("trian", None), ("vaildate", "validate")]
)
def test_an_unknown_verb_is_one_line_with_what_was_meant(
    typed: str, meant: str | None, capsys: pytest.CaptureFixture[str]
) -> None:
    assert main([typed]) == 2
    out, err = capsys.readouterr()
    assert out == ""
    assert err.startswith(f"synthpert: unknown verb (got '{typed}'; expected one of doctor, ")
    assert err.count("\n") == 1
    assert ("did you mean" in err) == (meant is not None)
    assert f"did you mean '{meant}'?" in err or meant is None


def test_an_unknown_option_is_one_line(capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["--versoin", "score"]) == 2
    err = capsys.readouterr().err
    assert err.count("\n") == 1
    assert "did you mean '--version'?" in err


@pytest.mark.usefixtures("planted")
class TestVerbs:
    """What the front door makes of the ways in which a verb ends."""

    def test_a_verb_gets_what_stands_after_it(self, capsys: pytest.CaptureFixture[str]) -> None:
        assert main(["plant", "a", "--debug"]) == 0
        assert capsys.readouterr().out == "['a', '--debug']\n"

    def test_a_module_of_several_verbs_gets_the_name_too(
        self, capsys: pytest.CaptureFixture[str]
    ) -> None:
        assert main(["fern", "a"]) == 0
        assert capsys.readouterr().out == "['fern', 'a']\n"

    def test_a_verbs_code_is_passed_on(self) -> None:
        assert main(["plant", "seven"]) == 7

    def test_wrong_input_is_one_line_and_two(self, capsys: pytest.CaptureFixture[str]) -> None:
        assert main(["plant", "wrong"]) == 2
        out, err = capsys.readouterr()
        assert (out, err) == ("", "a.csv:2:label: no such label (got 'upp')\n")

    def test_stopped_on_purpose_is_one_line_and_three(
        self, capsys: pytest.CaptureFixture[str]
    ) -> None:
        assert main(["plant", "stopped"]) == 3
        assert capsys.readouterr().err == "the budget is spent the same command goes on\n"

    def test_debug_shows_the_traceback_and_keeps_the_code(
        self, capsys: pytest.CaptureFixture[str]
    ) -> None:
        assert main(["--debug", "plant", "wrong"]) == 2
        err = capsys.readouterr().err
        assert "Traceback" in err
        assert err.endswith("\na.csv:2:label: no such label (got 'upp')\n")

    def test_an_interrupt_is_130(self, capsys: pytest.CaptureFixture[str]) -> None:
        assert main(["plant", "interrupted"]) == 130
        assert capsys.readouterr().err == "interrupted\n"

    @pytest.mark.parametrize(("args", "code"), [([], 0), (["out of luck"], 1)])
    def test_sys_exit_becomes_a_code(self, args: list[str], code: int) -> None:
        assert main(["plant", "exits", *args]) == code

    def test_a_bug_keeps_its_traceback(self) -> None:
        with pytest.raises(KeyError, match="a bug"):
            main(["plant", "bug"])

    def test_a_broken_pipe_that_is_not_stdout_is_a_bug(self) -> None:
        with pytest.raises(BrokenPipeError, match="a worker died"):
            main(["plant", "socket"])

    def test_our_messages_go_to_stderr_and_other_peoples_chatter_does_not(
        self, capsys: pytest.CaptureFixture[str]
    ) -> None:
        main(["plant", "logs"])
        assert capsys.readouterr().err == "read 5 rows\n"

    def test_a_secret_is_shown_neither_in_a_message_nor_in_an_error(
        self, capsys: pytest.CaptureFixture[str]
    ) -> None:
        assert main(["--debug", "plant", "secret"]) == 2
        err = capsys.readouterr().err
        assert "asking with <redacted>" in err
        assert "refused (got '<redacted>')" in err
        assert "sk-aaa" not in err

    def test_logging_is_left_as_it_was_found(self) -> None:
        before = list(logging.getLogger().handlers)
        main(["plant"])
        assert logging.getLogger().handlers == before


def test_a_reader_that_left_is_met_with_silence() -> None:
    reads, writes = os.pipe()
    os.close(reads)
    done = subprocess.run(
        [sys.executable, "-m", "synthpert", "--help"],
        stdout=writes,
        stderr=subprocess.PIPE,
        cwd=Path(front_door.__file__).parents[1],
        timeout=60,
        check=False,
    )
    os.close(writes)
    assert (done.returncode, done.stderr) == (141, b"")


def test_a_folder_of_the_callers_that_hides_a_package_is_named(tmp_path: Path) -> None:
    (tmp_path / "tools").mkdir()
    mine = tmp_path / "tools" / "__init__.py"
    mine.write_text("raise SystemExit('ran')")
    done = child("-m", "synthpert", "score", cwd=tmp_path)
    assert done.returncode == 2
    assert done.stderr.startswith(f"{mine}: this file hides SynthPert's package 'tools'")
    assert done.stderr.count("\n") == 1


def test_a_plain_folder_of_the_same_name_hides_nothing(tmp_path: Path) -> None:
    (tmp_path / "tools").mkdir()
    (tmp_path / "configs").mkdir()
    done = child("-m", "synthpert", "baseline", "--help", cwd=tmp_path)
    assert (done.returncode, done.stderr) == (0, "")
