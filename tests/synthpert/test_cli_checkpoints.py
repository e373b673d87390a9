"""Checkpoints as a user meets them: damaged, foreign, of another base, on a full disk."""

from __future__ import annotations

import os
import pickle
import resource
import shutil
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
import yaml
from cli_recipe import column, recipe, write
from foreign_checkpoint import Trap, vouch_for
from tiny import tiny_base

from synthpert.__main__ import main
from synthpert.checkpoints.files import load, refuse_damaged

FULL = """
import resource
import lightning as L

class Full(L.Callback):
    def on_train_batch_end(self, trainer, *rest):
        if trainer.global_step == 4:
            hard = resource.getrlimit(resource.RLIMIT_FSIZE)[1]
            resource.setrlimit(resource.RLIMIT_FSIZE, (3000, hard))
"""


def lora_recipe(base: str) -> dict[str, Any]:
    """Adapters on a base that is there, without what takes time."""
    settings = recipe()
    del settings["model"]["scratch"]
    del settings["trainer"]["callbacks"][0]
    lora = {"r": 2, "alpha": 2, "dropout": 0.1, "targets": ["q_proj"]}
    settings["model"] |= {"base": base, "max_tokens": 256, "lora": lora}
    settings["trainer"]["callbacks"][3]["init_args"]["every_n_train_steps"] = 2
    settings["data"]["init_args"]["batch_size"] = 2
    return settings


@pytest.fixture(scope="module")
def trained(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder with a base, a recipe and a run of four steps, checkpoints at 2 and 4."""
    folder = tmp_path_factory.mktemp("trained")
    config = write(folder / "recipe.yaml", lora_recipe(tiny_base(folder / "base")))
    run = ["--run", str(folder / "run"), "--trainer.max_steps", "4"]
    assert main(["fit", "--config", config, *run]) == 0
    return folder


@pytest.fixture(autouse=True)
def lab(trained: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A folder to work in, with a copy of the run."""
    shutil.copytree(trained / "run", tmp_path / "run")
    shutil.copy(trained / "recipe.yaml", tmp_path / "recipe.yaml")
    monkeypatch.chdir(tmp_path)
    return tmp_path


def flip(path: str) -> None:
    """Flip a bit, as disks do: the file is no younger for it."""
    written = Path(path).stat()
    content = bytearray(Path(path).read_bytes())
    content[len(content) // 2] ^= 4
    Path(path).write_bytes(content)
    os.utime(path, ns=(written.st_atime_ns, written.st_mtime_ns))


def go_on(*more: str) -> int:
    last = ["--run", "run", "--ckpt_path", "last"]
    return main(["fit", "--config", "recipe.yaml", *last, *more])


def last_line(capsys: pytest.CaptureFixture[str]) -> str:
    told = capsys.readouterr().err
    assert "Traceback" not in told
    return told.splitlines()[-1]


def test_a_checkpoint_and_the_one_before_it_stay(lab: Path) -> None:
    steps = {path.name: load(path)["global_step"] for path in lab.glob("run/checkpoints/*.ckpt")}
    assert steps == {"last.ckpt": 4, "last-previous.ckpt": 2}


def test_last_goes_back_over_a_damaged_checkpoint_and_says_so(
    capsys: pytest.CaptureFixture[str],
) -> None:
    flip("run/checkpoints/last.ckpt")
    assert go_on() == 0
    lines = [line for line in capsys.readouterr().err.splitlines() if "damaged" in line]
    assert len(lines) == 1
    assert "run/checkpoints/last.ckpt: the checkpoint is damaged" in lines[0]
    assert "going back to last-previous.ckpt" in lines[0]


def test_a_run_of_damaged_checkpoints_is_one_line(capsys: pytest.CaptureFixture[str]) -> None:
    for name in ("last", "last-previous"):
        flip(f"run/checkpoints/{name}.ckpt")
    capsys.readouterr()
    assert go_on() == 2
    (line,) = capsys.readouterr().err.splitlines()
    assert line.startswith("run: no good checkpoint among 2: ")
    assert "/last.ckpt: the checkpoint is damaged" in line


@pytest.mark.parametrize("verb", ["fit", "test"])
def test_a_damaged_checkpoint_that_is_named_is_refused(
    verb: str, capsys: pytest.CaptureFixture[str]
) -> None:
    flip("run/checkpoints/last.ckpt")
    capsys.readouterr()
    named = ["--run", "other", "--ckpt_path", "run/checkpoints/last.ckpt"]
    assert main([verb, "--config", "recipe.yaml", *named]) == 2
    (line,) = capsys.readouterr().err.splitlines()
    assert line.startswith("run/checkpoints/last.ckpt: the checkpoint is damaged: its SHA-256 ")


def test_a_foreign_pickle_is_one_line_and_runs_nothing(
    lab: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    with (lab / "foreign.ckpt").open("wb") as file:
        pickle.dump(Trap(lab / "sprung"), file)
    named = ["test", "--config", "recipe.yaml", "--run", "other", "--ckpt_path", "foreign.ckpt"]
    assert main(named) == 2
    assert last_line(capsys).startswith("foreign.ckpt: the checkpoint has no checksum")
    vouch_for(lab / "foreign.ckpt")
    assert main(named) == 2
    assert last_line(capsys).startswith("foreign.ckpt: not loaded: it holds code or objects")
    assert not (lab / "sprung").exists()


def test_a_base_of_the_same_shape_and_other_weights_is_refused(
    capsys: pytest.CaptureFixture[str],
) -> None:
    tiny_base(Path("elsewhere/base"), seed=1)
    before = Path("run/checkpoints/last.ckpt").read_bytes()
    assert go_on("--model.base", "elsewhere/base") == 2
    line = last_line(capsys)
    assert line.startswith("ckpt_path:base: the checkpoint is of another student (got 'base (")
    assert "weights" in line
    assert Path("run/checkpoints/last.ckpt").read_bytes() == before
    assert go_on() == 0


def test_other_prompts_are_refused_and_nothing_is_lost(capsys: pytest.CaptureFixture[str]) -> None:
    assert go_on("--model.prompts", "short", "--model.max_tokens", "1024") == 2
    assert last_line(capsys).startswith("ckpt_path:prompt_id: the checkpoint is of another stu")
    assert load(Path("run/checkpoints/last.ckpt"))["global_step"] == 4
    assert load(Path("run/checkpoints/last-previous.ckpt"))["global_step"] == 2


@pytest.fixture
def _full(lab: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    (lab / "fully.py").write_text(FULL)
    monkeypatch.setattr(sys, "path", [*sys.path])
    limits = resource.getrlimit(resource.RLIMIT_FSIZE)
    yield
    resource.setrlimit(resource.RLIMIT_FSIZE, limits)
    sys.modules.pop("fully", None)


@pytest.mark.usefixtures("_full")
def test_a_disk_that_fills_up_is_one_line_and_leaves_the_checkpoint_before(
    lab: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    settings = lora_recipe(recipe_base(lab))
    settings["trainer"]["callbacks"].append({"class_path": "fully.Full"})
    config = write(lab / "full.yaml", settings)
    assert main(["fit", "--config", config, "--run", "full", "--import-from", "fully"]) == 2
    line = last_line(capsys)
    assert "full/" in line
    assert line.endswith("cannot be written: File too large")
    assert load(lab / "full/checkpoints/last.ckpt")["global_step"] == 2
    assert not (lab / "full/checkpoints/.unfinished").exists()


def recipe_base(lab: Path) -> str:
    return str(yaml.safe_load((lab / "recipe.yaml").read_text())["model"]["base"])


@pytest.mark.parametrize("more", [{"max_epochs": 3, "max_steps": 100}, {"max_epochs": 3}])
def test_a_run_goes_on_from_an_epochs_end(more: dict[str, int], lab: Path) -> None:
    settings = lora_recipe(recipe_base(lab))
    settings["trainer"] |= {"max_steps": -1, "limit_train_batches": 4, **more}
    settings["trainer"]["callbacks"][3]["init_args"] = {"save_top_k": -1, "every_n_epochs": 1}
    config = write(lab / "epochs.yaml", settings)
    assert main(["fit", "--config", config, "--run", "whole"]) == 0
    middle = next(lab.glob("whole/checkpoints/epoch=0*.ckpt"))
    onward = ["fit", "--config", config, "--run", "onward", "--ckpt_path", str(middle)]
    assert main(onward) == 0
    whole = column(lab / "whole", "train_loss")
    assert len(whole) == 12
    assert column(lab / "onward", "train_loss") == whole[4:]
    for name in ("step", "epoch"):
        assert column(lab / "onward", name)[-1] == column(lab / "whole", name)[-1]


def test_adapters_lie_beside_each_checkpoint(lab: Path) -> None:
    settings = lora_recipe(recipe_base(lab))
    settings["trainer"]["callbacks"].append(
        {"class_path": "callbacks.adapter_checkpoint.AdapterCheckpoint"}
    )
    config = write(lab / "kept.yaml", settings)
    assert main(["fit", "--config", config, "--run", "kept", "--trainer.max_steps", "3"]) == 0
    refuse_damaged(lab / "kept/checkpoints/last.ckpt")
    assert (lab / "kept/adapter/adapter_model.safetensors").is_file()


@pytest.mark.parametrize("ends", [{"max_steps": 5}, {"max_steps": -1, "max_epochs": 1}])
def test_last_is_what_training_ended_with_and_goes_on_to_the_bit(
    ends: dict[str, int], lab: Path
) -> None:
    settings = lora_recipe(recipe_base(lab))
    settings["model"]["schedule"] = "constant"
    settings["trainer"]["limit_train_batches"] = 5
    settings["trainer"]["callbacks"][3]["init_args"]["every_n_train_steps"] = 3
    config = write(lab / "ends.yaml", settings)
    fit = ["fit", "--config", config, "--trainer.max_steps"]
    assert main([*fit, "8", "--run", "whole"]) == 0
    first = [word for name, value in ends.items() for word in (f"--trainer.{name}", str(value))]
    assert main([*fit[:-1], *first, "--run", "parts"]) == 0
    assert load(lab / "parts/checkpoints/last.ckpt")["global_step"] == 5
    assert main([*fit, "8", "--run", "parts", "--ckpt_path", "last"]) == 0
    assert column(lab / "parts", "train_loss") == column(lab / "whole", "train_loss")
    assert load(lab / "parts/checkpoints/last.ckpt")["global_step"] == 8
