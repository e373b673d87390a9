"""Our ways of `gpu_training.py`: the real `Student` under Lightning's Trainer."""

# ruff: noqa: ANN401 - the types of hooks
from __future__ import annotations

import json
from functools import partial
from pathlib import Path
from typing import Any

import gpu_ways
import lightning as L
import torch
from lightning.pytorch.callbacks import LearningRateMonitor
from lightning.pytorch.loggers import CSVLogger
from torch.utils.checkpoint import CheckpointPolicy, create_selective_checkpoint_contexts
from torch.utils.data import DataLoader

from callbacks.run_facts import RunFacts
from data_modules.batching import LabelledExample, LateLoader, ShuffledBatches, collate
from synthpert import layouts
from synthpert.bases import Lora
from synthpert.encoding import Example
from synthpert.student import Student

_AT = torch.ops.aten
# Dear to compute again for the memory they take; of the matrix products, every other.
_ATTENTION = {
    _AT._scaled_dot_product_flash_attention.default,
    _AT._scaled_dot_product_efficient_attention.default,
    _AT._scaled_dot_product_cudnn_attention.default,
    _AT._scaled_dot_product_flash_attention_for_cpu.default,
    _AT._flash_attention_forward.default,
}
_PRODUCTS = {_AT.mm.default, _AT.addmm.default}


class Featured(Student):
    """A student with features that it has no option for, since a run has no use for that.

    Args:
        way: What is on.
        options: The student's.
    """

    def __init__(self, way: gpu_ways.Way, **options: Any) -> None:
        super().__init__(**options)
        self.way = way

    def configure_model(self) -> None:
        """Switch the features on or off, once the model is there."""
        super().configure_model()
        model: Any = self.causal_lm
        if self.way.all_logits:
            self._head_is_last = False
        if self.way.checkpointing == "selective":
            contexts = partial(create_selective_checkpoint_contexts, _every_other_product())
            how = {"use_reentrant": False, "context_fn": contexts}
            model.gradient_checkpointing_enable(how)
        if self.way.compiled:
            for block in model.get_decoder().layers:
                # The tokens of a step differ from step to step.
                block.compile(dynamic=True)


class Stopper(L.Callback):
    """Tells the clock of steps, and ends the training when it says so.

    Args:
        clock: The clock.
    """

    def __init__(self, clock: gpu_ways.Clock) -> None:
        self.clock = clock

    def on_train_batch_end(
        self,
        trainer: L.Trainer,
        pl_module: L.LightningModule,
        outputs: Any,
        batch: dict[str, torch.Tensor],
        batch_idx: int,
    ) -> None:
        """Count the batch."""
        supervised = int((batch["labels"] != -100).sum())
        if self.clock.stepped(batch["lengths"].tolist(), supervised):
            trainer.should_stop = True


def train(way: gpu_ways.Way, folder: Path, clock: gpu_ways.Clock) -> None:
    """Train until the clock says so.

    Args:
        way: Which features are on.
        folder: Where base and examples lie.
        clock: What counts and ends it.
    """
    if not way.flash:
        layouts._is_for_flash = lambda query, dropout: False
    student = Featured(
        way,
        base=str(folder / "base"),
        prompts="compact",
        lora=Lora(r=gpu_ways.R, alpha=gpu_ways.R, targets=gpu_ways.TARGETS),
        layout="flattened" if way.flattened else "padded",
        gradient_checkpointing=way.checkpointing == "full",
        schedule="constant",
    )
    trainer = L.Trainer(
        accelerator=gpu_ways.device(),
        devices=1,
        precision="bf16-mixed",
        max_epochs=1,
        gradient_clip_val=1.0,
        log_every_n_steps=10,
        logger=CSVLogger(folder / "run"),
        enable_checkpointing=False,
        enable_progress_bar=False,
        enable_model_summary=False,
        num_sanity_val_steps=0,
        use_distributed_sampler=False,
        callbacks=[RunFacts(), LearningRateMonitor(), Stopper(clock)],
    )
    rows: Any = [_example(each) for each in json.loads((folder / "examples.json").read_text())]
    loader = DataLoader(
        rows,
        batch_sampler=ShuffledBatches(len(rows), gpu_ways.BATCH, 0),
        collate_fn=partial(collate, pad_id=0),
    )
    trainer.fit(student, LateLoader(loader))


def _example(each: dict[str, Any]) -> LabelledExample:
    ids, prompt = each["ids"], each["prompt"]
    return LabelledExample(Example(ids, [*[-100] * prompt, *ids[prompt:]], len(ids) - 5), 0)


def _every_other_product() -> Any:
    """A policy of selective checkpointing; each forward and backward pass counts for itself."""
    counts = {False: 0, True: 0}

    def policy(context: Any, op: Any, *args: Any, **named: Any) -> CheckpointPolicy:
        if op in _PRODUCTS:
            counts[context.is_recompute] += 1
        kept = op in _ATTENTION or (op in _PRODUCTS and counts[context.is_recompute] % 2)
        return CheckpointPolicy.MUST_SAVE if kept else CheckpointPolicy.PREFER_RECOMPUTE

    return policy
