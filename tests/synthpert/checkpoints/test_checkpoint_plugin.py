"""Lightning's checkpoints go through ours."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import lightning as L
import pytest
import torch
from lightning.pytorch.callbacks import ModelCheckpoint
from lightning.pytorch.demos.boring_classes import BoringModel
from tiny import quiet_trainer

from synthpert.checkpoints.files import load
from synthpert.checkpoints.plugin import WholeCheckpoints
from synthpert.errors import InputError


def fit(folder: Path, steps: int, resume: str | None = None, **options: Any) -> L.Trainer:
    checkpoints = ModelCheckpoint(folder, every_n_train_steps=1, filename="{step}", **options)
    trainer = quiet_trainer(
        checkpoints, max_steps=steps, plugins=[WholeCheckpoints()], limit_val_batches=0
    )
    trainer.fit(BoringModel(), ckpt_path=resume, weights_only=True)
    return trainer


def test_deleting_an_old_checkpoint_deletes_its_checksum(tmp_path: Path) -> None:
    fit(tmp_path, 4, save_top_k=1)
    assert {each.name for each in tmp_path.iterdir()} == {"step=4.ckpt", "step=4.ckpt.sha256"}


def test_nothing_goes_through_the_temporary_folder(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("TMPDIR", str(tmp_path / "gone"))
    fit(tmp_path / "run", 2, save_last=True, save_top_k=0)
    assert load(tmp_path / "run/last.ckpt")["global_step"] == 2


def test_training_goes_on_from_a_checkpoint(tmp_path: Path) -> None:
    fit(tmp_path, 2, save_last=True, save_top_k=0)
    assert fit(tmp_path, 5, str(tmp_path / "last.ckpt")).global_step == 5


def test_a_damaged_checkpoint_is_refused(tmp_path: Path) -> None:
    fit(tmp_path, 2, save_last=True, save_top_k=0)
    path = tmp_path / "last.ckpt"
    path.write_bytes(path.read_bytes()[:-1] + b"x")
    with pytest.raises(InputError, match=r"last\.ckpt: the checkpoint is damaged"):
        fit(tmp_path, 5, str(path))


def test_weights_only_holds_whatever_is_asked(tmp_path: Path) -> None:
    WholeCheckpoints().save_checkpoint({"model": torch.nn.Linear(1, 1)}, tmp_path / "a.ckpt")
    with pytest.raises(InputError, match="it holds code or objects"):
        WholeCheckpoints().load_checkpoint(tmp_path / "a.ckpt", weights_only=False)


def test_a_bare_tensor_is_no_checkpoint(tmp_path: Path) -> None:
    WholeCheckpoints().save_checkpoint(torch.zeros(2), tmp_path / "a.ckpt")  # type: ignore[arg-type]
    with pytest.raises(InputError, match="no checkpoint of a student"):
        WholeCheckpoints().load_checkpoint(tmp_path / "a.ckpt")


def test_a_place_without_a_whole_rename_is_refused() -> None:
    with pytest.raises(InputError, match="a folder of this machine"):
        WholeCheckpoints().save_checkpoint({}, "s3://bucket/last.ckpt")
