"""What a person gets wrong in the first ten minutes, each in one line that names the remedy.

Others stand with their subject: broken YAML, keys and types in `synthpert/test_cli_errors.py`, a
busy run in `synthpert/test_cli_busy.py`, Ctrl-C in `synthpert/test_cli_signals.py`, a full disk
under a checkpoint in `synthpert/test_cli_checkpoints.py`, a folder `tools/` of one's own and an old
Python in `synthpert/test_front_door.py`, bad files in `malformed/`.
"""

from __future__ import annotations

import resource
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest
import torch
from cli_recipe import environment, recipe, write

from synthpert.__main__ import main
from synthpert.gpus import refuse_absent_gpu

TRACES = {"class_path": "data_modules.traces.TraceDataModule", "init_args": {"traces": "t.parquet"}}
QUESTIONS = "cell_line,pert,gene\nk562,ATF7IP2,ACTG1\n"


@pytest.fixture(autouse=True)
def _elsewhere(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """An empty folder, not the repository's, and no GPU, whatever machine this is."""
    monkeypatch.chdir(tmp_path)
    monkeypatch.delenv("SYNTHPERT_RUN", raising=False)
    monkeypatch.setattr(torch.cuda, "is_available", lambda: False)
    monkeypatch.setattr(torch.backends.mps, "is_available", lambda: False)


def refused(capsys: pytest.CaptureFixture[str], *words: str) -> str:
    """The one line of a command that is refused, and leaves nothing behind."""
    before = sorted(Path().rglob("*"))
    capsys.readouterr()
    assert main(list(words)) == 2
    lines = capsys.readouterr().err.splitlines()
    assert len(lines) == 1, lines
    assert [path for path in sorted(Path().rglob("*")) if path != Path("runs")] == before
    return lines[0]


@pytest.mark.parametrize(
    ("words", "remedy"),
    [
        ("fit --config configs/tinny.yaml", "did you mean 'configs/tiny.yaml'?"),
        ("traces make --config confgs/traces.yaml", "did you mean 'configs/traces.yaml'?"),
        ("fit --config mine.yml", "did you mean 'mine.yaml'?"),
        ("score mine.cvs", "did you mean 'mine.csv'?"),
        ("report results/mine.csv", "expected a folder results"),
        ("score mine.csv --rond 3", "did you mean '--rounds'?"),
        ("baseline knnn", "did you mean 'knn'?"),
        ("fit --config configs/synthpert.yaml", "`synthpert doctor`"),
        ("fit --config configs/tiny.yaml --trainer.accelerator=cuda", "configs/tuples_cpu.yaml"),
        ("fit --config mine.yaml --run runs/new", "`synthpert traces make` writes them"),
        ("fit --config own.yaml --data.init_args.data no", "a folder with CELL-de.csv"),
        ("test --config mine.yaml --run a --ckpt_path last", "the --run of a fit that has begun"),
        ("export --run nowhere --out x", "expected the folder of a fit"),
        ("estimate --config configs/synthpert.yaml --gpu B99", "one of A100"),
    ],
)
def test_a_slip_is_one_line_that_names_the_remedy_and_leaves_nothing(
    words: str, remedy: str, capsys: pytest.CaptureFixture[str]
) -> None:
    settings: dict[str, Any] = recipe()
    write(Path("own.yaml"), settings)
    write(Path("mine.yaml"), {**settings, "data": TRACES})
    Path("mine.csv").write_text(QUESTIONS)
    assert remedy in refused(capsys, *words.split())


def test_a_gpu_is_wanted_only_where_it_is_asked_for_by_name() -> None:
    refuse_absent_gpu("auto", "synthpert fit")
    refuse_absent_gpu("cpu", "synthpert fit")


def test_a_paid_teacher_without_a_key_says_which_variable_it_is_read_from(
    capsys: pytest.CaptureFixture[str],
) -> None:
    assert main(["ask", "--model", "openai/gpt-4o", "--questions", "2", "--budget", "1"]) == 3
    last = capsys.readouterr().err.splitlines()[-1]
    assert "it is read from OPENAI_API_KEY; set it, and the same command goes on" in last


@pytest.mark.parametrize("name", ["p.parquet", "p.csv"])
def test_a_full_disk_is_one_line_and_leaves_no_half_file(name: str, tmp_path: Path) -> None:
    done = subprocess.run(
        [sys.executable, "-m", "synthpert", "baseline", "majority", "--out", name],
        capture_output=True,
        text=True,
        env=environment(),
        preexec_fn=lambda: resource.setrlimit(resource.RLIMIT_FSIZE, (3000, 3000)),
        timeout=120,
        check=False,
    )
    assert done.returncode == 2
    assert done.stderr.splitlines()[-1].startswith(f"{name}: cannot be written: File too large")
    assert list(tmp_path.iterdir()) == []


def test_a_recipe_is_found_from_any_folder(capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["check", "configs/tiny.yaml"]) in (0, 2)
    assert "no such file" not in capsys.readouterr().err.split("traces")[0]
