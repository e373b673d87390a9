"""Five steps with each loss on N processes: `loss_steps.py FOLDER N`; figures to FOLDER."""

from __future__ import annotations

import sys
from pathlib import Path

import numpy as np
import torch
from tiny import REASONING, quiet_trainer

from data_modules.batching import LabelledExample, collate
from synthpert.losses import (
    UNLABELLED,
    AnswerWeighted,
    ClassBalanced,
    CrossEntropy,
    LabelSmoothing,
    TokenLoss,
)
from synthpert.questions import LABELS, Question
from synthpert.student import Student

STEPS = 5
LOSSES = {
    "cross_entropy": CrossEntropy,
    "label_smoothing": LabelSmoothing,
    "answer_weighted": lambda: AnswerWeighted(4.5),
    "class_balanced": ClassBalanced,
    "all_of_them": lambda: AnswerWeighted(0.3, ClassBalanced(power=0.5, of=LabelSmoothing())),
}
THOUGHTS = (REASONING, None, REASONING * 3, "Loss of it.")


def batches(student: Student, sizes: list[int]) -> list[dict[str, torch.Tensor]]:
    """Four examples of different lengths and labels, one of them unlabelled, in micro-batches."""
    questions = [Question("k562", "AARS", gene) for gene in ("A2M", "NA", "MYC", "B2M")]
    labels = [LABELS[i % 3] for i in range(4)]
    made = student.encoder.examples(questions, labels, THOUGHTS)
    rows = [LabelledExample(made[i], (0, 1, 2, UNLABELLED)[i]) for i in range(4)]
    ends = np.cumsum(sizes)
    parts = [rows[end - size : end] for size, end in zip(sizes, ends, strict=True)]
    return [collate(part, student.encoder.pad_id) for part in parts]


def fit(
    base: str, loss: TokenLoss, sizes: list[int], devices: int = 1
) -> tuple[list[float], np.ndarray]:
    """Losses of the steps and all weights after them.

    Args:
        base: Folder of the base.
        loss: What is minimised.
        sizes: Examples of each micro-batch of a step, of all processes in turn.
        devices: Processes.
    """
    torch.manual_seed(0)
    loss.see_labels([700, 100, 200])
    options = {"learning_rate": 1e-3, "warmup_steps": 0, "schedule": "constant"}
    student = Student(base, "compact", dtype="float32", loss=loss, **options)  # type: ignore[arg-type]
    seen: list[float] = []
    whole = student.on_before_optimizer_step

    def and_note(optimizer: torch.optim.Optimizer) -> None:
        whole(optimizer)
        seen.append(float(student.trainer.callback_metrics["train_loss"]))

    student.on_before_optimizer_step = and_note
    accumulate = len(sizes) // devices
    trainer = quiet_trainer(
        devices=devices,
        strategy="ddp" if devices > 1 else "auto",
        max_steps=STEPS,
        max_epochs=-1,
        accumulate_grad_batches=accumulate,
    )
    rank = trainer.global_rank
    mine = batches(student, sizes)[rank * accumulate : (rank + 1) * accumulate]
    trainer.fit(student, torch.utils.data.DataLoader(mine, batch_size=None))
    return seen, torch.cat([p.detach().flatten() for p in student.parameters()]).numpy()


def main(folder: Path, devices: int) -> None:
    for name, loss in LOSSES.items():
        seen, weights = fit(str(folder / "base"), loss(), [1] * 4, devices)
        rank = torch.distributed.get_rank()
        np.savez(folder / f"{name}-{rank}.npz", seen=seen, weights=weights)


if __name__ == "__main__":
    main(Path(sys.argv[1]), int(sys.argv[2]))
