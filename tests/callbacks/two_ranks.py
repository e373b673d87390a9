"""A fit with evaluation, then a test, on N processes: `two_ranks.py RUN N`; figures to JSON."""

from __future__ import annotations

import json
import sys
from pathlib import Path

from fake_student import FakeData, FakeStudent, make_trainer, question_table

from callbacks.generative_evaluation import GenerativeEvaluation
from callbacks.prediction_writer import PredictionWriter
from callbacks.run_facts import RunFacts


def main(run: Path, devices: int) -> None:
    trainer = make_trainer(
        run,
        RunFacts(),
        GenerativeEvaluation(2, questions=31, at_end=False),
        PredictionWriter(),
        devices=devices,
        strategy="ddp" if devices > 1 else "auto",
        max_steps=2,
        log_every_n_steps=1,
    )
    student = FakeStudent()
    trainer.fit(student, FakeData())
    figures = {name: float(value) for name, value in trainer.callback_metrics.items()}
    assert figures["tokens_per_second"] > 0
    found = {name: value for name, value in figures.items() if name.startswith("eval_")}
    del found["eval_seconds"]
    student.skill = 5
    # One batch a rank: the skill grows with each batch, so more of them would differ by rank
    small = FakeData(question_table(perts=1, genes=3))
    (tested,) = trainer.test(student, small, verbose=False)
    text = json.dumps({"eval": found, "test": tested})
    (run / f"rank-{trainer.global_rank}.json").write_text(text)


if __name__ == "__main__":
    main(Path(sys.argv[1]), int(sys.argv[2]))
