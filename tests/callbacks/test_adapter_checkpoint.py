"""Adapters leave training in a form that others read."""

from __future__ import annotations

from pathlib import Path

import torch
from tiny import quiet_trainer, tiny_base

from callbacks.adapter_checkpoint import AdapterCheckpoint
from data_modules.batching import LabelledExample, collate
from synthpert.bases import Lora
from synthpert.questions import Label, Question
from synthpert.student import Student

LORA = Lora(r=2, alpha=2, targets=("q_proj", "v_proj"))


def fit(folder: Path, lora: Lora | None) -> Student:
    base = tiny_base(folder / "base")
    student = Student(base, "compact", dtype="float32", lora=lora, learning_rate=0.1)
    student.configure_model()
    made = student.encoder.examples([Question("k562", "AARS", "A2M")], [Label.UP], [None])
    batch = collate([LabelledExample(made[0], 1)], student.encoder.pad_id)
    trainer = quiet_trainer(AdapterCheckpoint(), max_steps=2, default_root_dir=folder)
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
