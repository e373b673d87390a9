"""Adapters leave training in a form that others read."""

from __future__ import annotations

import hashlib
import shutil
from pathlib import Path

import lightning as L
import pytest
import torch
from lightning.pytorch.callbacks import ModelCheckpoint
from safetensors.torch import load_file
from tiny import quiet_trainer, tiny_base

from callbacks.adapter_checkpoint import AdapterCheckpoint
from data_modules.batching import LabelledExample, collate
from synthpert.bases import Lora
from synthpert.errors import InputError
from synthpert.questions import Label, Question
from synthpert.student import Student

LORA = Lora(r=2, alpha=2, targets=("q_proj", "v_proj"))


def fit(folder: Path, lora: Lora | None, *others: L.Callback) -> Student:
    base = tiny_base(folder / "base")
    student = Student(base, "compact", dtype="float32", lora=lora, learning_rate=0.1)
    student.configure_model()
    made = student.encoder.examples([Question("k562", "AARS", "A2M")], [Label.UP], [None])
    batch = collate([LabelledExample(made[0], 1)], student.encoder.pad_id)
    trainer = quiet_trainer(AdapterCheckpoint(), *others, max_steps=2, default_root_dir=folder)
    trainer.fit(student, torch.utils.data.DataLoader([batch] * 2, batch_size=None))
    return student


def test_peft_loads_the_adapters_that_were_trained(tmp_path: Path) -> None:
    from peft import PeftModel
    from transformers import AutoModelForCausalLM

    student = fit(tmp_path, LORA)
    base = AutoModelForCausalLM.from_pretrained(student.base)
    loaded = PeftModel.from_pretrained(base, tmp_path / "adapter")
    ids = torch.tensor(student.encoder.prompt_ids([Question("k562", "AARS", "A2M")]))
    student.network.eval()
    with torch.no_grad():
        ours, theirs = student.network(input_ids=ids).logits, loaded(input_ids=ids).logits
        plain = AutoModelForCausalLM.from_pretrained(student.base)(input_ids=ids).logits
    torch.testing.assert_close(theirs, ours)
    assert not torch.allclose(plain, ours)


def test_tokenizer_lies_beside_the_adapters(tmp_path: Path) -> None:
    fit(tmp_path, LORA)
    assert (tmp_path / "adapter" / "tokenizer.json").is_file()


def test_student_without_adapters_writes_none(tmp_path: Path) -> None:
    fit(tmp_path, None)
    assert not (tmp_path / "adapter").exists()


def weights(folder: Path) -> dict[str, torch.Tensor]:
    return load_file(folder / "adapter" / "adapter_model.safetensors")


class Copies(ModelCheckpoint):
    """Keeps a copy of the adapters as they lie there after each checkpoint."""

    def _save_checkpoint(self, trainer: L.Trainer, filepath: str) -> None:
        super()._save_checkpoint(trainer, filepath)
        root = Path(trainer.default_root_dir)
        shutil.copytree(root / "adapter", root / f"at-{trainer.global_step}" / "adapter")


def test_the_adapters_are_those_of_each_checkpoint(tmp_path: Path) -> None:
    fit(tmp_path, LORA, Copies(tmp_path / "checkpoints", every_n_train_steps=1, save_top_k=-1))
    for path in (tmp_path / "checkpoints").glob("*.ckpt"):
        saved = torch.load(path, weights_only=True)
        kept = weights(tmp_path / f"at-{saved['global_step']}")
        assert len(kept) == len(saved["state_dict"]) > 0
        for name, weight in saved["state_dict"].items():
            own = name.removeprefix("network.").replace(".default", "")
            torch.testing.assert_close(kept[own], weight, rtol=0, atol=0)


def test_the_folder_holds_the_checksums_of_its_files(tmp_path: Path) -> None:
    fit(tmp_path, LORA)
    lines = (tmp_path / "adapter" / "SHA256SUMS").read_text().splitlines()
    listed = {name: digest for digest, _, name in (line.partition("  ") for line in lines)}
    files = {path.name: path for path in (tmp_path / "adapter").iterdir()}
    assert set(listed) == set(files) - {"SHA256SUMS"}
    for name, digest in listed.items():
        assert hashlib.sha256(files[name].read_bytes()).hexdigest() == digest


def test_nothing_else_is_left_of_the_adapters_before(tmp_path: Path) -> None:
    (tmp_path / ".adapter-unfinished").mkdir()
    (tmp_path / "adapter").mkdir()
    (tmp_path / "adapter" / "old.txt").touch()
    fit(tmp_path, LORA)
    assert not (tmp_path / "adapter" / "old.txt").exists()
    assert not list(tmp_path.glob(".adapter*"))


def test_a_folder_that_cannot_be_written_is_one_line(tmp_path: Path) -> None:
    (tmp_path / ".adapter-old").touch()
    (tmp_path / "adapter").mkdir()
    with pytest.raises(InputError, match=r"adapter: cannot be written: "):
        fit(tmp_path, LORA)
