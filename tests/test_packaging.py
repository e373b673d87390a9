"""What is built and installed: the wheel, the pins, the Makefile's promises."""

from __future__ import annotations

import ast
import configparser
import os
import re
import shutil
import subprocess
import sys
import zipfile
from email import message_from_string
from importlib.metadata import packages_distributions, requires, version
from pathlib import Path

import pytest
from packaging.requirements import Requirement
from packaging.utils import canonicalize_name
from repository import ROOT, repository_files

PACKAGES = ("synthpert", "callbacks", "data_modules", "tools")
MALICIOUS = {"lightning": ("2.6.2", "2.6.3"), "litellm": ("1.82.7", "1.82.8")}
PIN = re.compile(r"^([A-Za-z0-9._-]+)==([A-Za-z0-9.!]+)$")


@pytest.fixture(scope="module")
def wheel(tmp_path_factory: pytest.TempPathFactory) -> zipfile.ZipFile:
    """The wheel of a copy of the repository, so that nothing is built in the tree."""
    copy = tmp_path_factory.mktemp("copy")
    for path in repository_files(ROOT):
        target = copy / path.relative_to(ROOT)
        target.parent.mkdir(parents=True, exist_ok=True)
        shutil.copyfile(path, target)
    out = tmp_path_factory.mktemp("wheel")
    command = "pip wheel --quiet --no-deps --no-build-isolation --no-index --wheel-dir"
    built = subprocess.run(
        [sys.executable, "-m", *command.split(), str(out), str(copy)],
        capture_output=True,
        text=True,
        check=False,
    )
    assert built.returncode == 0, built.stderr
    return zipfile.ZipFile(next(out.glob("synthpert-*.whl")))


@pytest.fixture(scope="module")
def installed(wheel: zipfile.ZipFile, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder that holds what the wheel installs."""
    folder = tmp_path_factory.mktemp("installed")
    wheel.extractall(folder)
    return folder


def run_installed(installed: Path, cwd: Path, *args: str) -> str:
    done = subprocess.run(
        [sys.executable, *args],
        capture_output=True,
        text=True,
        cwd=cwd,
        env={**os.environ, "PYTHONPATH": str(installed)},
        check=False,
    )
    assert done.returncode == 0, done.stderr
    return done.stdout


def pins() -> dict[str, str]:
    lines = (ROOT / "constraints.txt").read_text().splitlines()
    found = [PIN.match(line) for line in lines if line and not line.startswith("#")]
    return {canonicalize_name(match[1]): match[2] for match in found if match}


def metadata(wheel: zipfile.ZipFile) -> list[Requirement]:
    name = next(name for name in wheel.namelist() if name.endswith("METADATA"))
    told = message_from_string(wheel.read(name).decode())
    return [Requirement(text) for text in told.get_all("Requires-Dist", [])]


def shipped() -> set[str]:
    """What a wheel has to hold: all modules, all configs, the sample."""
    names = {path.relative_to(ROOT).as_posix() for path in repository_files(ROOT)}
    return {
        name
        for name in names
        if name.startswith(tuple(f"{package}/" for package in PACKAGES))
        or (name.startswith("configs/") and name.endswith(".yaml"))
    }


def test_the_wheel_holds_every_module_config_and_sample_file_and_nothing_else(
    wheel: zipfile.ZipFile,
) -> None:
    held = {name for name in wheel.namelist() if ".dist-info/" not in name}
    assert held == shipped()


def test_the_wheel_carries_the_licence_and_the_notice(wheel: zipfile.ZipFile) -> None:
    names = " ".join(name for name in wheel.namelist() if ".dist-info/" in name)
    assert "licenses/LICENSE" in names
    assert "licenses/NOTICE" in names


def test_the_command_is_the_front_door(wheel: zipfile.ZipFile) -> None:
    name = next(name for name in wheel.namelist() if name.endswith("entry_points.txt"))
    entries = configparser.ConfigParser()
    entries.read_string(wheel.read(name).decode())
    assert dict(entries["console_scripts"]) == {"synthpert": "synthpert.__main__:main"}


def test_what_is_installed_runs_from_any_folder(installed: Path, tmp_path: Path) -> None:
    where = "import synthpert; print(synthpert.__file__)"
    assert str(installed) in run_installed(installed, tmp_path, "-c", where)
    told = run_installed(installed, tmp_path, "-m", "synthpert", "--version")
    assert told.startswith("synthpert ")


def test_what_is_installed_finds_its_prompts_behind_a_configs_package_of_the_callers(
    installed: Path, tmp_path: Path
) -> None:
    (tmp_path / "configs" / "prompts").mkdir(parents=True)
    (tmp_path / "configs" / "__init__.py").touch()
    code = "from synthpert.prompts import load_prompts; print(load_prompts('paper').system)"
    assert "CRISPRi" in run_installed(installed, tmp_path, "-c", code)


def test_what_is_installed_finds_its_sample(
    installed: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.delenv("SYNTHPERT_DATA", raising=False)
    code = "from synthpert.questions import find_data; print(find_data())"
    found = Path(run_installed(installed, tmp_path, "-c", code).strip())
    assert found.is_relative_to(installed)
    assert (found / "LICENSE.txt").is_file()


def test_every_line_of_the_constraints_is_a_plain_pin() -> None:
    lines = (ROOT / "constraints.txt").read_text().splitlines()
    odd = [line for line in lines if line and not line.startswith("#") and not PIN.match(line)]
    assert odd == []


def test_torch_is_pinned_without_saying_which_build() -> None:
    assert pins()["torch"] == "2.13.0"


def test_the_pins_are_what_the_tests_run_with() -> None:
    ours = pins()
    differ = {
        name: (pinned, version(name).split("+")[0])
        for name in direct_dependencies()
        if (pinned := ours.get(name, "none")) != version(name).split("+")[0]
    }
    assert differ == {}


def direct_dependencies() -> list[str]:
    """The distributions that setup.cfg names, extras included but for what needs CUDA."""
    options = configparser.ConfigParser()
    options.read(ROOT / "setup.cfg")
    for extra in ("fast", "vllm"):
        options.remove_option("options.extras_require", extra)
    texts = [options["options"]["install_requires"], *options["options.extras_require"].values()]
    lines = "\n".join(texts).splitlines()
    return sorted({canonicalize_name(Requirement(line).name) for line in lines if line})


def test_every_dependency_of_a_dependency_is_pinned() -> None:
    ours = pins()
    todo, seen = direct_dependencies(), set()
    while todo:
        name = todo.pop()
        if name not in seen:
            seen.add(name)
            for text in requires(name) or []:
                needed = Requirement(text)
                if needed.marker is None or needed.marker.evaluate({"extra": ""}):
                    todo.append(canonicalize_name(needed.name))
    assert sorted(seen - set(ours)) == []


@pytest.mark.parametrize(("name", "bad"), [(n, v) for n, vs in MALICIOUS.items() for v in vs])
def test_a_malicious_release_is_excluded_and_not_pinned(
    name: str, bad: str, wheel: zipfile.ZipFile
) -> None:
    wanted = [needed for needed in metadata(wheel) if needed.name == name]
    assert len(wanted) == 1
    assert bad not in wanted[0].specifier
    assert pins()[name] != bad
    assert bad in (ROOT / "constraints.txt").read_text()


def test_everything_imported_is_declared() -> None:
    homes = packages_distributions()
    known = {top: set(map(canonicalize_name, names)) for top, names in homes.items()}
    declared = {*direct_dependencies(), "synthpert"}
    missing = set()
    for path in repository_files(ROOT):
        inside = path.relative_to(ROOT)
        if inside.parts[0] not in PACKAGES or path.suffix != ".py":
            continue
        for node in ast.walk(ast.parse(path.read_text())):
            names = [alias.name for alias in node.names] if isinstance(node, ast.Import) else []
            if isinstance(node, ast.ImportFrom) and not node.level:
                names = [str(node.module)]
            for top in {name.split(".")[0] for name in names} - set(sys.stdlib_module_names):
                if top not in PACKAGES and not declared & known.get(top, set()):
                    missing.add(f"{inside}:{node.lineno}: {top}")
    assert sorted(missing) == []


def test_make_alone_lists_its_targets() -> None:
    told = subprocess.run(
        ["make", "--no-print-directory"], cwd=ROOT, capture_output=True, text=True, check=True
    )
    assert re.findall(r"make (\S+)", told.stdout) == [
        "help",
        "demo",
        "test",
        "check",
        "docs",
        "clean",
        ".venv",
    ]


def test_make_says_which_python_it_needs(tmp_path: Path) -> None:
    for name in ("Makefile", "setup.cfg", "pyproject.toml", "constraints.txt"):
        shutil.copyfile(ROOT / name, tmp_path / name)
    told = subprocess.run(
        ["make", ".venv", "PYTHON=false"],
        cwd=tmp_path,
        capture_output=True,
        text=True,
        check=False,
    )
    assert told.returncode != 0
    assert "needs Python 3.11 or 3.12" in told.stderr
    assert not (tmp_path / ".venv").exists()


def test_the_ci_script_fails_when_one_step_fails(tmp_path: Path) -> None:
    (tmp_path / ".ci").mkdir()
    shutil.copy(ROOT / ".ci" / "run", tmp_path / ".ci" / "run")
    (tmp_path / "Makefile").write_text("check demo docs:\n\t@true\ntest:\n\t@false\n")
    told = subprocess.run(
        [tmp_path / ".ci" / "run"], capture_output=True, text=True, check=False, stdin=None
    )
    assert told.returncode == 1
    assert "make demo passed" in told.stdout
    assert "failed: test" in told.stderr


def test_the_ci_script_passes_when_all_steps_do(tmp_path: Path) -> None:
    (tmp_path / ".ci").mkdir()
    shutil.copy(ROOT / ".ci" / "run", tmp_path / ".ci" / "run")
    (tmp_path / "Makefile").write_text('check test demo docs:\n\t@test -z "$$(cat)"\n')
    told = subprocess.run(
        [tmp_path / ".ci" / "run"], capture_output=True, text=True, check=True, cwd="/"
    )
    assert told.stdout.splitlines()[-1].startswith("all passed")
