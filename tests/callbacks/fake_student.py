"""A student and its data, written out: what the callbacks need of the real ones, in a few lines.

The module learns nothing of use: it has dropout, so that a disturbed random state changes its
losses, and answers more questions rightly each time it is asked.
"""

from __future__ import annotations

import random
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import lightning as L
import numpy as np
import polars as pl
import torch
from torch import Tensor, nn
from torch.utils.data import DataLoader

from synthpert.predictions import PREDICTION_SCHEMA
from synthpert.questions import LABEL_DTYPE, LABELS, Label, Question, to_questions


def question_table(perts: int = 12, genes: int = 20) -> pl.DataFrame:
    """Questions of two cell lines: 60 % not DE, 20 % up, 20 % down, in every perturbation."""
    labels = [LABELS[0]] * 3 + [LABELS[1], LABELS[2]]
    return pl.DataFrame(
        [
            {"cell_line": cell, "pert": f"P{i}", "gene": f"G{j}", "label": labels[(i + j) % 5]}
            for cell in ("k562", "rpe1")
            for i in range(perts)
            for j in range(genes)
        ],
        schema={"cell_line": pl.String, "pert": pl.String, "gene": pl.String, "label": LABEL_DTYPE},
    )


class FakeStudent(L.LightningModule):
    """Answers right where the gene's number modulo 10 is below its skill, which grows by use."""

    def __init__(self, skill: int = 3) -> None:
        super().__init__()
        self.network = nn.Sequential(nn.Linear(4, 8), nn.Dropout(0.5), nn.Linear(8, 1))
        self.skill = skill
        self.losses: list[str] = []
        self.asked: list[int] = []
        self.probabilities: list[bool] = []

    def training_step(self, batch: dict[str, Tensor], batch_idx: int) -> Tensor:
        loss = self.network(batch["input_ids"].float()).square().mean()
        # The other generators are those of collators and samplers
        loss = loss * (1 + random.random() + float(np.random.rand()))
        self.losses.append(float(loss.detach()).hex())
        self.log("train_loss", loss)
        return loss

    def configure_optimizers(self) -> torch.optim.Optimizer:
        return torch.optim.SGD(self.parameters(), lr=0.01)

    def predictions(
        self,
        questions: Sequence[Question],
        labels: Sequence[Label | None],
        *,
        probabilities: bool = True,
    ) -> pl.DataFrame:
        torch.rand(3), random.random(), np.random.rand(2)
        assert not any(module.training for module in self.modules())
        assert not torch.is_grad_enabled()
        self.asked.append(len(questions))
        self.probabilities.append(probabilities)
        rows = [self._row(*pair) for pair in zip(questions, labels, strict=True)]
        self.skill += 1
        return pl.DataFrame(rows, schema=PREDICTION_SCHEMA)

    def _row(self, question: Question, label: Label | None) -> dict[str, object]:
        number = int(question.gene[1:])
        truth = label or LABELS[0]
        right = number % 10 < self.skill
        answer = None if number % 10 == 9 else truth if right else LABELS[0]
        return {
            "cell_line": question.cell_line,
            "pert": question.pert,
            "gene": question.gene,
            "label": label,
            "answer": answer,
            "response": "x" * (number + 1),
            "parse_status": "ok" if answer else "truncated",
            "finish_reason": "stop" if answer else "length",
            "n_samples": 1,
            "model": "fake",
            "prompt_id": "fake-0",
            "seed": 0,
        }

    def test_step(self, batch: dict[str, Any], batch_idx: int) -> dict[str, pl.DataFrame]:
        return {"predictions": self.predictions(batch["questions"], batch["labels"])}

    def predict_step(self, batch: dict[str, Any], batch_idx: int) -> dict[str, pl.DataFrame]:
        return self.test_step(batch, batch_idx)


class FakeData(L.LightningDataModule):
    """Sixteen training batches of two examples; questions to test and predict, dealt by rank."""

    def __init__(self, table: pl.DataFrame | None = None, batches: int = 16) -> None:
        super().__init__()
        self.table = question_table() if table is None else table
        self.batches = batches

    def evaluation_questions(self, stage: str) -> pl.DataFrame:
        return self.table

    def train_dataloader(self) -> DataLoader[Any]:
        ids = torch.arange(self.batches * 8).reshape(-1, 4) % 7
        labels = torch.where(torch.arange(4) < 3, ids, -100)
        rows = [
            {"input_ids": x, "labels": y, "lengths": torch.tensor(3 + i % 2)}
            for i, (x, y) in enumerate(zip(ids, labels, strict=True))
        ]
        return DataLoader(rows, batch_size=2)  # type: ignore[arg-type]

    def test_dataloader(self) -> DataLoader[Any]:
        mine = self.table.with_row_index("index")
        if self.trainer is not None:
            mine = mine[self.trainer.global_rank :: self.trainer.world_size]
        batches = list(mine.iter_slices(7))
        return DataLoader(batches, batch_size=None, collate_fn=_question_batch)  # type: ignore[arg-type]

    def predict_dataloader(self) -> DataLoader[Any]:
        return self.test_dataloader()

    def transfer_batch_to_device(
        self, batch: dict[str, Any], device: torch.device, dataloader_idx: int
    ) -> dict[str, Any]:
        # Lightning refuses to move frozen dataclasses
        if "questions" in batch:
            return batch
        moved: dict[str, Any] = super().transfer_batch_to_device(batch, device, dataloader_idx)
        return moved


def _question_batch(rows: pl.DataFrame) -> dict[str, Any]:
    return {
        "index": rows["index"].to_list(),
        "questions": to_questions(rows),
        "labels": [None if label is None else Label(label) for label in rows["label"]],
    }


def make_trainer(folder: Path, *callbacks: L.Callback, **settings: Any) -> L.Trainer:
    """A quiet trainer on the CPU whose run is `folder`."""
    quiet: dict[str, Any] = {
        "accelerator": "cpu",
        "devices": 1,
        "logger": False,
        "enable_progress_bar": False,
        "enable_model_summary": False,
        "enable_checkpointing": any("Checkpoint" in type(each).__name__ for each in callbacks),
        "max_epochs": 1,
        "use_distributed_sampler": False,
    }
    return L.Trainer(default_root_dir=folder, callbacks=list(callbacks), **{**quiet, **settings})
