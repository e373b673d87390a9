"""Fifteen things that a new user expects, each tried as they would: an empty folder, only pip.

The command is the one that pip installed; nothing is imported from the repository. Dependencies
come from the environment of the tests, since a test downloads nothing.
"""

from __future__ import annotations

import os
import re
import shlex
import shutil
import signal
import subprocess
import sys
import sysconfig
import time
from pathlib import Path

import polars as pl
import pytest
from cli_recipe import recipe, write
from repository import ROOT, repository_files

from synthpert import __version__

QUESTIONS = "note,cell_line,pert,gene\nfirst,k562,AARS,DDIT3\nsecond,rpe1,SUPT5H,MYC\n"
BLOCK = re.compile(r"^```(.*?)\n(.*?)^```", re.MULTILINE | re.DOTALL)
STEPS = 80  # so many teach it to answer, whatever
NEVER_ENDING = 100_000


class User:
    """Somebody with a Python and an empty folder.

    Args:
        home: Where all of it lies.
    """

    def __init__(self, home: Path) -> None:
        self.venv, self.folder = home / "venv", home / "empty"
        self.folder.mkdir()
        hidden = ("PYTHON", "SYNTHPERT_", "VIRTUAL_ENV")
        kept = {name: value for name, value in os.environ.items() if not name.startswith(hidden)}
        path = f"{self.venv / 'bin'}{os.pathsep}{os.environ['PATH']}"
        self.environment = {**kept, "PATH": path, "OMP_NUM_THREADS": "1"}

    def types(self, line: str, code: int = 0) -> subprocess.CompletedProcess[str]:
        """Paste a line, or several, into a shell in the folder."""
        done = subprocess.run(
            ["bash", "-e", "-c", line],
            capture_output=True,
            text=True,
            cwd=self.folder,
            env=self.environment,
            timeout=240,
            check=False,
        )
        assert done.returncode == code, done.stderr
        return done

    def starts(self, line: str) -> subprocess.Popen[str]:
        """Begin a command and look at something else."""
        return subprocess.Popen(
            shlex.split(line),
            stderr=subprocess.PIPE,
            text=True,
            cwd=self.folder,
            env=self.environment,
        )


@pytest.fixture(scope="module")
def user(tmp_path_factory: pytest.TempPathFactory) -> User:
    """A user who has typed one command: `pip install`."""
    new = User(tmp_path_factory.mktemp("new user"))
    wheel = build(tmp_path_factory.mktemp("build"))
    subprocess.run([sys.executable, "-m", "venv", str(new.venv)], check=True)
    packages = next((new.venv / "lib").glob("python*/site-packages"))
    # A line of a .pth is a path, and none of the .pth files behind it is read: not the
    # repository's own, should it be installed there.
    (packages / "dependencies.pth").write_text(f"{sysconfig.get_path('purelib')}\n")
    offline = "--quiet --no-deps --no-index --ignore-installed"
    new.types(f"python -m pip install {offline} {shlex.quote(str(wheel))}")
    settings = recipe()
    del settings["trainer"]["callbacks"][0]
    settings["trainer"]["max_steps"] = STEPS
    write(new.folder / "tiny.yaml", settings)
    (new.folder / "mine.csv").write_text(QUESTIONS)
    return new


def build(folder: Path) -> Path:
    """Make the wheel, of a copy of the repository, so that nothing is built in the tree."""
    for path in repository_files(ROOT):
        target = folder / "copy" / path.relative_to(ROOT)
        target.parent.mkdir(parents=True, exist_ok=True)
        shutil.copyfile(path, target)
    command = "pip wheel --quiet --no-deps --no-build-isolation --no-index --wheel-dir"
    words = [sys.executable, "-m", *command.split(), str(folder), str(folder / "copy")]
    subprocess.run(words, check=True, capture_output=True)
    return next(folder.glob("synthpert-*.whl"))


@pytest.fixture(scope="module")
def trained(user: User) -> User:
    """Who has trained a student, under the name that the README gives it."""
    user.types("synthpert fit --config tiny.yaml --run runs/demo")
    return user


@pytest.fixture(scope="module")
def answered(user: User) -> User:
    """Who has pasted the README's block on baselines, scores and the report."""
    user.types(pasted("How good is it?"))
    return user


def pasted(heading: str, number: int = 0) -> str:
    """A block of commands of the README, as it stands there."""
    text = (ROOT / "README.md").read_text(encoding="utf-8")
    _, _, section = text.partition(f"## {heading}\n")
    return [block for language, block in BLOCK.findall(section) if not language][number]


def test_01_one_command_installs_it(user: User) -> None:
    where = user.types("python -c 'import synthpert; print(synthpert.__file__)'").stdout
    assert Path(where.strip()).is_relative_to(user.venv)
    assert shutil.which("synthpert", path=str(user.venv / "bin"))


def test_02_it_says_what_it_is(user: User) -> None:
    told = user.types("synthpert").stdout
    assert "Teach a language model to reason about cell perturbations." in told
    for verb in ("doctor", "recipes", "check", "fit", "predict", "hits", "serve", "report"):
        assert re.search(rf"^  {verb} ", told, re.MULTILINE)


def test_03_it_tells_its_version(user: User) -> None:
    assert user.types("synthpert --version").stdout == f"synthpert {__version__}\n"


def test_04_a_doctor_looks_at_the_machine(user: User) -> None:
    told = user.types("synthpert doctor --offline").stdout
    assert re.search(r"\d+ ok, \d+ warn, 0 fail", told)
    assert str(user.venv) in " ".join(told.split())


def test_05_the_quick_start_runs_as_pasted(trained: User) -> None:
    lines = [line for line in pasted("Try it").splitlines() if line.startswith("synthpert")]
    assert len(lines) >= 3
    trained.types("\n".join(lines))
    trained.types(pasted("Try it", 1).partition("synthpert serve")[0])
    assert (trained.folder / "answers.csv").is_file()
    assert (trained.folder / "hits" / "hits.csv").is_file()


def test_06_recipes_are_listed_and_copied(user: User) -> None:
    assert "tuples_cpu" in user.types("synthpert recipes ls").stdout
    user.types("synthpert recipes cp tiny copied.yaml")
    assert "#" in (user.folder / "copied.yaml").read_text()
    assert "copied.yaml" in user.types("synthpert recipes cp tiny copied.yaml", 2).stderr


def test_07_a_recipe_is_checked_in_a_line(user: User) -> None:
    done = user.types("synthpert check tiny.yaml")
    assert (done.stdout + done.stderr).count("\n") == 1
    assert "ok" in done.stdout


def test_08_an_example_is_seen_as_the_model_sees_it(user: User) -> None:
    told = user.types("synthpert preview --config tiny.yaml").stdout
    assert "supervised: trained on" in told
    assert "ATF7IP2" in told


def test_09_the_cost_is_known_before_anything_is_spent(user: User) -> None:
    told = user.types("synthpert traces plan --config configs/traces_paper.yaml").stdout
    assert "US$" in told
    assert not (user.folder / "runs" / "traces-paper").exists()


def test_10_a_run_shows_its_progress_and_is_saved(trained: User) -> None:
    run = trained.folder / "runs" / "demo"
    assert (run / "checkpoints" / "last.ckpt").is_file()
    assert "train_loss" in (run / "metrics.csv").read_text().partition("\n")[0]
    assert f"trained {STEPS} steps" in (run / "run.log").read_text()
    assert "--ckpt_path last" in (run / "README.md").read_text()


def test_11_an_interrupted_run_goes_on_with_the_command_it_printed(user: User) -> None:
    steps = f"--trainer.max_steps {NEVER_ENDING}"
    running = user.starts(f"synthpert fit --config tiny.yaml --run runs/long {steps}")
    metrics = user.folder / "runs" / "long" / "metrics.csv"
    while running.poll() is None and (not metrics.exists() or metrics.stat().st_size < 1000):
        time.sleep(0.05)
    running.send_signal(signal.SIGINT)
    told = running.communicate(timeout=120)[1].splitlines()[-1]
    assert running.returncode == 130
    found = re.fullmatch(r"stopped at step (\d+), state saved; to go on: (synthpert .*)", told)
    assert found is not None, told
    last = int(found[1]) + 2
    user.types(f"{found[2]} --trainer.max_steps {last}")
    assert "trained 2 steps" in (user.folder / "runs/long/run.log").read_text()


def test_12_questions_of_ones_own_are_answered_in_their_order(trained: User) -> None:
    go = "synthpert predict --config tiny.yaml --run runs/demo --ckpt_path last"
    trained.types(f"{go} --mode direct --questions mine.csv --out mine-answered.csv")
    table = pl.read_csv(trained.folder / "mine-answered.csv")
    assert table["note"].to_list() == ["first", "second"]
    assert table["gene"].to_list() == ["DDIT3", "MYC"]
    total = table.select(pl.sum_horizontal("p_not_de", "p_up", "p_down")).to_series()
    assert total.to_list() == pytest.approx([1, 1], abs=1e-4)


def test_13_metrics_stand_beside_baselines(answered: User) -> None:
    text = (answered.folder / "score.json").read_text()
    for row in ("majority", "gene-prior", "predictions-knn"):
        assert f'"{row}"' in text


def test_14_there_is_a_page_to_mail(answered: User) -> None:
    page = (answered.folder / "report.html").read_text()
    assert page.lstrip().lower().startswith("<!doctype html>")
    assert not re.search(r"""(?:src|href)=["']https?://[^"']*\.(?:js|css)""", page)


@pytest.mark.parametrize(
    ("line", "help"),
    [
        ("synthpert fitt", "did you mean 'fit'?"),
        ("synthpert score mine.cvs", "did you mean 'mine.csv'?"),
        ("synthpert score mine.csv", "column is missing"),
        ("synthpert fit --config tiny.yaml --model.learnign_rate 1", "'--model.learning_rate'"),
    ],
)
def test_15_an_error_is_one_line_that_helps(line: str, help: str, user: User) -> None:
    told = user.types(line, 2).stderr
    assert told.count("\n") == 1
    assert help in told
