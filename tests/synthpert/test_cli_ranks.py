"""Two processes train and answer as one does, in one directory."""

from __future__ import annotations

from contextlib import chdir
from pathlib import Path

import polars as pl
import pytest
from cli_recipe import child, column, recipe, write

from synthpert.__main__ import main

DDP = ["--trainer.devices", "2", "--trainer.strategy", "ddp"]


@pytest.fixture(scope="module")
def lab(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder with the same run by one process and by two, of half its batch size each."""
    folder = tmp_path_factory.mktemp("ranks")
    config = write(folder / "recipe.yaml", recipe())
    fit = ["fit", "--config", config]
    with chdir(folder):
        assert main([*fit, "--run", "runs/one"]) == 0
    both = child(folder, *fit, *DDP, "--data.init_args.batch_size", "4", "--watch.mode", "offline")
    assert both.returncode == 0, both.stderr
    (folder / "told.txt").write_text(both.stderr)
    return folder


def both(lab: Path) -> Path:
    (run,) = (lab / "runs").glob("recipe-*")
    return run


def test_two_ranks_share_one_directory(lab: Path) -> None:
    assert len(list((lab / "runs").iterdir())) == 2
    assert (both(lab) / "checkpoints" / "last.ckpt").exists()


def test_rank_0_alone_speaks_and_logs(lab: Path) -> None:
    told = (lab / "told.txt").read_text()
    assert told.count("(the bundled sample)") == 1
    assert told.count("parameters trainable") == 1
    assert len(list((both(lab) / "wandb").glob("offline-run-*"))) == 1
    steps = pl.read_csv(both(lab) / "metrics.csv")["train_loss"].drop_nulls()
    assert len(steps) == len(column(lab / "runs/one", "train_loss"))


def test_the_losses_are_those_of_one_process_with_twice_the_batch(lab: Path) -> None:
    one, two = ([float.fromhex(x) for x in column(run, "train_loss")] for run in runs(lab))
    assert two == pytest.approx(one, abs=1e-6)


def test_the_evaluations_are_those_of_one_process(lab: Path) -> None:
    for name in ("eval_accuracy", "eval_macro_f1", "eval_parse_rate"):
        one, two = (column(run, name) for run in runs(lab))
        assert one == two
    tables = [
        pl.read_parquet(run / "evaluation/step-000006.parquet").drop("run") for run in runs(lab)
    ]
    assert tables[0].equals(tables[1])


def test_two_ranks_leave_the_predictions_of_one(lab: Path) -> None:
    config, run = str(lab / "recipe.yaml"), str(both(lab))
    last = ["test", "--config", config, "--ckpt_path", f"{run}/checkpoints/last.ckpt", "--run"]
    with chdir(lab):
        assert main([*last, "runs/t1"]) == 0
    done = child(lab, *last, "runs/t2", *DDP)
    assert done.returncode == 0, done.stderr
    one, two = (pl.read_parquet(lab / f"runs/{name}/predictions.parquet") for name in ("t1", "t2"))
    questions = ["cell_line", "pert", "gene", "label", "answer", "response"]
    assert one.select(questions).equals(two.select(questions))
    assert not list((lab / "runs/t2").glob(".predictions-*"))


def runs(lab: Path) -> tuple[Path, Path]:
    return lab / "runs/one", both(lab)
