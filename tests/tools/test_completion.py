"""`completion`: a real bash completes verbs, flags, choices and files."""

from __future__ import annotations

import shutil
import subprocess
from pathlib import Path

import pytest

from synthpert.__main__ import main
from synthpert.verbs import VERBS
from tools.building import Flags, flags_of
from tools.completion import NESTED, tree

BASH = """
source "$1"
shift
COMP_WORDS=("$@")
COMP_CWORD=$((${#COMP_WORDS[@]} - 1))
COMP_LINE="${COMP_WORDS[*]}"
COMP_POINT=${#COMP_LINE}
COMPREPLY=()
_shtab_synthpert
printf '%s\\n' "${COMPREPLY[@]}"
"""


@pytest.fixture(scope="module")
def script(tmp_path_factory: pytest.TempPathFactory) -> Path:
    import shtab

    file = tmp_path_factory.mktemp("completion") / "synthpert.bash"
    file.write_text(shtab.complete(tree(), shell="bash"))
    return file


def completed(script: Path, cwd: Path, *words: str) -> list[str]:
    command = ["bash", "--noprofile", "--norc", "-c", BASH, "bash", str(script), *words]
    done = subprocess.run(command, capture_output=True, text=True, cwd=cwd, check=False)
    assert done.stderr == ""
    return done.stdout.split()


@pytest.mark.parametrize(
    ("words", "offered"),
    [
        (("synthpert", "re"), ["recipes", "report"]),
        (("synthpert", "recipes", "cp", "ti"), ["tiny"]),
        (("synthpert", "traces", "make", "--balance", "label"), ["label", "label_and_cell_line"]),
        (("synthpert", "baseline", "knn-"), ["knn-gb", "knn-lr"]),
        (("synthpert", "fit", "--model.template", ""), ["own", "as_shipped"]),
        (("synthpert", "fit", "--trainer.max_s"), ["--trainer.max_steps"]),
        (("synthpert", "check", "mine"), ["mine.yaml"]),
        (("synthpert", "check", "mine.yaml", "--model.lora"), ["--model.lora"]),
        (("synthpert", "score", "--protocol", "o"), ["official"]),
        (("synthpert", "estimate", "--gp"), ["--gpu"]),
        (("synthpert", "estimate", "--gpu", "A100", "--data.he"), []),
        (("synthpert", "completion", "z"), ["zsh"]),
        (("synthpert", "doctor", "--off"), ["--offline"]),
    ],
)
def test_bash_completes(
    script: Path, tmp_path: Path, words: tuple[str, ...], offered: list[str]
) -> None:
    (tmp_path / "mine.yaml").touch()
    assert completed(script, tmp_path, *words) == offered


def test_bash_offers_every_verb(script: Path, tmp_path: Path) -> None:
    assert completed(script, tmp_path, "synthpert", "") == [verb.name for verb in VERBS]


@pytest.mark.parametrize("verb", NESTED)
def test_verbs_within_verbs_are_those_of_its_help(
    verb: str, script: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    assert completed(script, tmp_path, "synthpert", verb, "") == list(NESTED[verb])
    assert main([verb, "--help"]) == 0
    told = capsys.readouterr().out
    assert all(f"  {name} " in told for name in NESTED[verb])


@pytest.mark.parametrize("shell", ["bash", "zsh", "tcsh"])
def test_a_script_of_each_shell_is_printed(
    shell: str, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    assert main(["completion", shell]) == 0
    script = capsys.readouterr().out
    assert "trainer" in script
    (tmp_path / "script").write_text(script)
    if shutil.which(shell):
        subprocess.run([shell, "-n", str(tmp_path / "script")], check=True)


def test_another_shell_is_one_line(capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["completion", "fish"]) == 2
    (line,) = capsys.readouterr().err.splitlines()
    assert line == "synthpert completion:shell: wrong value (got 'fish'; expected bash, zsh, tcsh)"


def test_a_verb_that_parses_nothing_is_told() -> None:
    with pytest.raises(RuntimeError, match="parses nothing"):
        flags_of(lambda: None)
    flags = Flags("verb", "does", "usage", ())
    assert flags_of(lambda: flags.parse_known_args([])) is flags
