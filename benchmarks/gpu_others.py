"""The ways of others in `gpu_training.py`: TRL's SFTTrainer, and unsloth's model under it."""

# ruff: noqa: ANN401 - of libraries that may not be there
from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import gpu_ways


def train_trl(settings: dict[str, Any], folder: Path, clock: gpu_ways.Clock) -> None:
    """By TRL's SFTTrainer on PEFT's adapters, frozen bfloat16 base, as ours."""
    import torch
    from peft import LoraConfig
    from transformers import AutoModelForCausalLM, AutoTokenizer

    base = folder / "base"
    model = AutoModelForCausalLM.from_pretrained(str(base), dtype=torch.bfloat16)
    lora = LoraConfig(
        r=gpu_ways.R,
        lora_alpha=gpu_ways.R,
        target_modules=list(gpu_ways.TARGETS),
        task_type="CAUSAL_LM",
    )
    tokenizer = AutoTokenizer.from_pretrained(base)
    sft(model, tokenizer, folder, clock, settings, peft_config=lora)


def train_unsloth(saving: bool | str, folder: Path, clock: gpu_ways.Clock) -> None:
    """By unsloth's model under TRL's trainer; it loads from a folder, so weights are written."""
    import torch

    # It patches the others, so it comes first.
    from unsloth import FastLanguageModel  # isort: skip
    from transformers import AutoModelForCausalLM, AutoTokenizer

    base, full = folder / "base", folder / "full"
    AutoTokenizer.from_pretrained(base).save_pretrained(full)
    AutoModelForCausalLM.from_pretrained(str(base), dtype=torch.bfloat16).save_pretrained(full)
    torch.cuda.empty_cache()
    torch.cuda.reset_peak_memory_stats()
    settings = {"max_seq_length": 1024, "dtype": torch.bfloat16, "load_in_4bit": False}
    model, tokenizer = FastLanguageModel.from_pretrained(model_name=str(full), **settings)
    adapters = {
        "r": gpu_ways.R,
        "lora_alpha": gpu_ways.R,
        "lora_dropout": 0,
        "target_modules": list(gpu_ways.TARGETS),
    }
    model = FastLanguageModel.get_peft_model(model, use_gradient_checkpointing=saving, **adapters)
    sft(model, tokenizer, folder, clock, {"gradient_checkpointing": bool(saving)})


def sft(
    model: Any,
    tokenizer: Any,
    folder: Path,
    clock: gpu_ways.Clock,
    settings: dict[str, Any],
    **more: Any,
) -> None:
    """Train by SFTTrainer on the examples as they are, ids and labels, until the clock says so."""
    from datasets import Dataset
    from datasets.table import InMemoryTable
    from transformers import TrainerCallback
    from trl import SFTConfig, SFTTrainer

    rows = [
        {
            "input_ids": each["ids"],
            "labels": [-100] * each["prompt"] + each["ids"][each["prompt"] :],
        }
        for each in json.loads((folder / "examples.json").read_text())
    ]
    seen: list[tuple[list[int], int]] = []

    class Counted(SFTTrainer):
        def compute_loss(self, model: Any, inputs: Any, *rest: Any, **named: Any) -> Any:
            lengths = inputs["attention_mask"].sum(1).tolist()
            seen.append((lengths, int((inputs["labels"] != -100).sum())))
            return super().compute_loss(model, inputs, *rest, **named)

    class Watch(TrainerCallback):
        def on_step_end(self, args: Any, state: Any, control: Any, **named: Any) -> None:
            if clock.stepped(*seen.pop()):
                control.should_training_stop = True

    config = SFTConfig(
        output_dir=str(folder / "sft"),
        per_device_train_batch_size=gpu_ways.BATCH,
        num_train_epochs=1,
        # Examples come with ids and labels: nothing is left to be tokenised.
        dataset_kwargs={"skip_prepare_dataset": True},
        bf16=gpu_ways.device() == "cuda",
        use_cpu=gpu_ways.device() == "cpu",
        report_to="none",
        save_strategy="no",
        disable_tqdm=True,
        **settings,
    )
    # A name of its own, or the rows would be pickled for one.
    data = Dataset(InMemoryTable.from_pylist(rows), fingerprint="random")
    parts = {"args": config, "train_dataset": data, "processing_class": tokenizer}
    Counted(model=model, callbacks=[Watch()], **parts, **more).train()
