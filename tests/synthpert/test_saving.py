"""What a start leaves in its run's folder at once."""

from __future__ import annotations

import json
from pathlib import Path

import lightning as L
import pytest
import yaml
from jsonargparse import Namespace
from lightning.pytorch.cli import LightningArgumentParser

from synthpert.saving import SaveConfig


def saved(folder: Path, stage: str, **config: object) -> None:
    parser = LightningArgumentParser()
    for name in config:
        parser.add_argument(f"--{name}")
    words = ["fit", "--import-from", "mylab"]
    callback = SaveConfig(parser, Namespace(**config), save_to_log_dir=False, words=words)
    trainer = L.Trainer(default_root_dir=folder, logger=False, accelerator="cpu")
    callback.setup(trainer, L.LightningModule(), stage)
    callback.save_config(trainer, L.LightningModule(), stage)


def test_a_fit_leaves_what_makes_it_anew_from_the_beginning(tmp_path: Path) -> None:
    saved(tmp_path / "run", "fit", ckpt_path="last", run="run")
    config = yaml.safe_load((tmp_path / "run" / "config.yaml").read_text())
    assert config == {"ckpt_path": None, "run": "run"}


def test_another_verb_leaves_the_fit_as_it_is(tmp_path: Path) -> None:
    saved(tmp_path, "fit", ckpt_path=None)
    readme = (tmp_path / "README.md").read_text()
    saved(tmp_path, "test", ckpt_path="last")
    assert yaml.safe_load((tmp_path / "config.yaml").read_text()) == {"ckpt_path": None}
    assert yaml.safe_load((tmp_path / "test.yaml").read_text()) == {"ckpt_path": "last"}
    assert (tmp_path / "README.md").read_text() == readme


def test_each_start_is_noted_with_its_verb(tmp_path: Path) -> None:
    for stage in ("fit", "predict"):
        saved(tmp_path, stage, ckpt_path=None)
    starts = (tmp_path / "starts.jsonl").read_text().splitlines()
    assert [json.loads(line)["verb"] for line in starts] == ["fit", "predict"]


def test_the_readme_names_the_package_that_the_run_needs(tmp_path: Path) -> None:
    saved(tmp_path, "fit", ckpt_path=None)
    assert "--import-from mylab" in (tmp_path / "README.md").read_text()


def test_a_secret_is_left_out_and_that_is_said(
    tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    saved(tmp_path, "fit", ckpt_path=None, api_key="hunter2hunter2")
    assert "hunter2" not in (tmp_path / "config.yaml").read_text()
    assert "leaves secrets out" in caplog.text


def test_a_start_that_is_refused_leaves_the_configuration_as_it_is(tmp_path: Path) -> None:
    saved(tmp_path, "fit", ckpt_path=None)
    parser = LightningArgumentParser()
    parser.add_argument("--other")
    callback = SaveConfig(parser, Namespace(other="1"), save_to_log_dir=False)
    callback.setup(
        L.Trainer(default_root_dir=tmp_path, logger=False, accelerator="cpu"),
        L.LightningModule(),
        "fit",
    )
    assert yaml.safe_load((tmp_path / "config.yaml").read_text()) == {"ckpt_path": None}
