"""Training on a CPU: supervised tokens a second and peak memory, beside TRL's SFTTrainer.

    pip install trl
    python benchmarks/cpu_training.py [--rounds 3] [--threads 2] [--ways ours trl ...]

The same Llama of about 20 M parameters with a 32k vocabulary, the same examples (prompts of about
150 tokens, responses of 250 to 450), float32, full fine-tuning, the loss on the completion only,
one epoch. Ours is the real `Student` under Lightning's Trainer with callbacks and the logger of a
run. Each way runs in a process of its own, in turn, and the ratios are those within a round.
Examples are encoded beforehand, for both. `packing` has about as many tokens a step as the others,
but other examples.
"""

from __future__ import annotations

import argparse
import json
import os
import random
import resource
import statistics
import subprocess
import sys
import tempfile
import time
from collections import Counter
from pathlib import Path
from typing import Any

VOCABULARY = 32_000
BATCH = 4
STEPS = 16
WARM_UP = 2
TRL: dict[str, dict[str, Any]] = {
    "trl": {},
    "trl_no_checkpointing": {"gradient_checkpointing": False},
    "trl_padding_free": {
        "gradient_checkpointing": False,
        "padding_free": True,
        "max_length": None,
    },
    # Rows of 1,024 tokens hold two examples.
    "trl_packing": {
        "gradient_checkpointing": False,
        "packing": True,
        "per_device_train_batch_size": BATCH // 2,
    },
}
WAYS = ("ours", *TRL)
SHOWN = ("supervised_tokens_per_second", "peak_mb")
# Where others use the cores too, time on them says more than time on the clock.
COMPARED = ("supervised_tokens_per_second", "supervised_tokens_per_cpu_second", "peak_mb")


def main() -> None:
    """Measure the ways in turn, or one of them in this process."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--rounds", type=int, default=3)
    parser.add_argument("--threads", type=int, default=2)
    parser.add_argument("--steps", type=int, default=STEPS)
    parser.add_argument("--layout", default="auto", help="of `ours`")
    parser.add_argument("--ways", nargs="+", choices=WAYS, default=WAYS)
    parser.add_argument("--json", type=Path, help="where to write the raw figures")
    parser.add_argument("--way", choices=WAYS, help=argparse.SUPPRESS)
    parser.add_argument("--folder", type=Path, help=argparse.SUPPRESS)
    options = parser.parse_args()
    if options.way:
        figures = (train_ours if options.way == "ours" else train_trl)(options)
        (options.folder / "figures.json").write_text(json.dumps(figures))
        return
    with tempfile.TemporaryDirectory() as folder:
        make_material(Path(folder), options.steps * BATCH)
        rounds = [
            {way: in_child(way, options, Path(folder)) for way in turned(options.ways, number)}
            for number in range(options.rounds)
        ]
    if options.json:
        options.json.write_text(json.dumps(rounds, indent=1))
    show(rounds, options)


def turned(ways: list[str], number: int) -> list[str]:
    """The ways, beginning with another one each round."""
    start = number % len(ways)
    return [*ways[start:], *ways[:start]]


def make_material(folder: Path, count: int) -> None:
    """Write the base model and `count` examples of random words."""
    from synthpert.scratch import Scratch, make_base

    size = Scratch(hidden_size=320, layers=8, heads=5, intermediate_size=864, max_positions=1024)
    make_base(folder / "base", size, Counter(f" w{i}" for i in range(VOCABULARY)))
    draw = random.Random(0)
    examples = []
    for _ in range(count):
        prompt, response = draw.randint(130, 170), draw.randint(250, 450)
        ids = [draw.randrange(300, VOCABULARY) for _ in range(prompt + response)]
        examples.append({"ids": ids, "prompt": prompt})
    (folder / "examples.json").write_text(json.dumps(examples))


def in_child(way: str, options: argparse.Namespace, folder: Path) -> dict[str, float]:
    """The figures of one way, measured in a process of its own."""
    words = [sys.executable, __file__, "--way", way, "--folder", str(folder)]
    words += ["--threads", str(options.threads), "--steps", str(options.steps)]
    words += ["--layout", options.layout]
    told = {
        **os.environ,
        "OMP_NUM_THREADS": str(options.threads),
        "TOKENIZERS_PARALLELISM": "false",
    }
    subprocess.run(words, check=True, env=told, stdout=subprocess.DEVNULL)
    figures: dict[str, float] = json.loads((folder / "figures.json").read_text())
    print(f"{way}: {figures}", flush=True)
    return figures


class Clock:
    """Supervised and all tokens of the steps after the warm-up, and the seconds they took."""

    def __init__(self) -> None:
        self.steps = self.supervised = self.tokens = 0
        self.cpu = self.start = 0.0

    def seen(self, supervised: int, tokens: int) -> None:
        """Count the batch of a step that begins."""
        if self.steps >= WARM_UP:
            self.supervised += supervised
            self.tokens += tokens

    def stepped(self) -> None:
        """Note the end of an optimiser step."""
        self.steps += 1
        if self.steps == WARM_UP:
            self.start, self.cpu = time.perf_counter(), time.process_time()
        self.wall, self.used = time.perf_counter() - self.start, time.process_time() - self.cpu

    def figures(self, loss: float) -> dict[str, float]:
        """What is compared."""
        return {
            "supervised_tokens_per_second": self.supervised / self.wall,
            "supervised_tokens_per_cpu_second": self.supervised / self.used,
            "tokens_per_second": self.tokens / self.wall,
            "peak_mb": resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024,
            "steps": self.steps,
            "loss": loss,
        }


def train_ours(options: argparse.Namespace) -> dict[str, float]:
    """One epoch by the student under Lightning's Trainer."""
    import lightning as L
    import torch
    from lightning.pytorch.callbacks import LearningRateMonitor
    from lightning.pytorch.loggers import CSVLogger
    from torch.utils.data import DataLoader

    from callbacks.run_facts import RunFacts
    from data_modules.batching import LabelledExample, LateLoader, ShuffledBatches, collate
    from synthpert.encoding import Example
    from synthpert.student import Student

    torch.set_num_threads(options.threads)
    rows = []
    for each in json.loads((options.folder / "examples.json").read_text()):
        ids, prompt = each["ids"], each["prompt"]
        labels = [*[-100] * prompt, *ids[prompt:]]
        rows.append(LabelledExample(Example(ids, labels, len(ids) - 5), 0))
    clock, losses = Clock(), []

    class Watch(L.Callback):
        def on_train_batch_start(
            self, trainer: L.Trainer, module: L.LightningModule, batch: dict[str, Any], index: int
        ) -> None:
            clock.seen(int((batch["labels"] != -100).sum()), int(batch["lengths"].sum()))

        def on_train_batch_end(self, trainer: L.Trainer, *rest: Any) -> None:
            losses.append(float(trainer.callback_metrics["train_loss"]))
            clock.stepped()

    more = {} if options.layout == "auto" else {"layout": options.layout}
    student = Student(
        str(options.folder / "base"), "compact", dtype="float32", learning_rate=2e-5, **more
    )
    trainer = L.Trainer(
        accelerator="cpu",
        devices=1,
        precision="32-true",
        max_epochs=1,
        gradient_clip_val=1.0,
        log_every_n_steps=10,
        logger=CSVLogger(options.folder / "run"),
        enable_checkpointing=False,
        enable_progress_bar=False,
        enable_model_summary=False,
        num_sanity_val_steps=0,
        use_distributed_sampler=False,
        callbacks=[RunFacts(), LearningRateMonitor(), Watch()],
    )
    loader = DataLoader(
        rows,  # type: ignore[arg-type]
        batch_sampler=ShuffledBatches(len(rows), BATCH, 0),
        collate_fn=lambda part: collate(part, 0),
    )
    trainer.fit(student, LateLoader(loader))
    return clock.figures(statistics.mean(losses))


def train_trl(options: argparse.Namespace) -> dict[str, float]:
    """One epoch by TRL's SFTTrainer, in the form that the way names."""
    import torch
    from datasets import Dataset
    from datasets.table import InMemoryTable
    from transformers import AutoModelForCausalLM, AutoTokenizer, TrainerCallback
    from trl import SFTConfig, SFTTrainer

    torch.set_num_threads(options.threads)
    examples = json.loads((options.folder / "examples.json").read_text())
    rows = packed(examples) if TRL[options.way].get("packing") else [[each] for each in examples]
    clock = Clock()

    class Counted(SFTTrainer):
        def compute_loss(
            self, model: torch.nn.Module, inputs: dict[str, Any], *rest: Any, **named: Any
        ) -> torch.Tensor:
            mask = inputs.get("attention_mask")
            tokens = inputs["input_ids"].numel() if mask is None else int(mask.sum())
            clock.seen(int((inputs["labels"] != -100).sum()), tokens)
            return super().compute_loss(model, inputs, *rest, **named)

    class Watch(TrainerCallback):
        def on_step_end(self, *rest: Any, **named: Any) -> None:
            clock.stepped()

    settings: dict[str, Any] = {
        "output_dir": str(options.folder / "trl"),
        "per_device_train_batch_size": BATCH,
        "num_train_epochs": 1,
        # Examples come with ids and labels: nothing is left to be tokenised.
        "dataset_kwargs": {"skip_prepare_dataset": True},
        "bf16": False,
        "use_cpu": True,
        "report_to": "none",
        "save_strategy": "no",
        "disable_tqdm": True,
        "warmup_steps": 5,
        **TRL[options.way],
    }
    model = AutoModelForCausalLM.from_pretrained(options.folder / "base", dtype=torch.float32)
    trainer = Counted(
        model=model,
        args=SFTConfig(**settings),
        # A name of its own, or the rows would be pickled for one.
        train_dataset=Dataset(InMemoryTable.from_pylist(list(map(as_row, rows))), fingerprint="it"),
        processing_class=AutoTokenizer.from_pretrained(options.folder / "base"),
        callbacks=[Watch()],
    )
    return clock.figures(trainer.train().training_loss)


def packed(examples: list[dict[str, Any]]) -> list[list[dict[str, Any]]]:
    """Rows of at most 1,024 tokens, by best fit decreasing as TRL's default packing makes them."""
    rows: list[list[dict[str, Any]]] = []
    for each in sorted(examples, key=lambda one: -len(one["ids"])):
        room = [(1024 - length(row), i) for i, row in enumerate(rows)]
        fits = [(left, i) for left, i in room if left >= len(each["ids"])]
        if fits:
            rows[min(fits)[1]].append(each)
        else:
            rows.append([each])
    return rows


def length(row: list[dict[str, Any]]) -> int:
    """Tokens of a row."""
    return sum(len(each["ids"]) for each in row)


def as_row(row: list[dict[str, Any]]) -> dict[str, list[int]]:
    """A row as the trainer takes it: ids, labels of the completions, lengths."""
    labels = [[-100] * each["prompt"] + each["ids"][each["prompt"] :] for each in row]
    return {
        "input_ids": [word for each in row for word in each["ids"]],
        "labels": [label for each in labels for label in each],
        "seq_lengths": [len(each["ids"]) for each in row],
    }


def show(rounds: list[dict[str, dict[str, float]]], options: argparse.Namespace) -> None:
    """Print a Markdown table: medians, and ratios of the same round with their spread."""
    print(
        f"\n{options.rounds} rounds, {options.threads} threads, {options.steps} steps of {BATCH}\n"
    )
    print(
        "| way | supervised tokens/s | peak MB | ours: times as fast | by CPU time | its memory |"
    )
    print("|---|---|---|---|---|---|")
    for way in options.ways:
        cells = [f"{statistics.median(each[way][name] for each in rounds):,.0f}" for name in SHOWN]
        for name in COMPARED if "ours" in options.ways else ():
            ratios = [each["ours"][name] / each[way][name] for each in rounds]
            middle = statistics.median(ratios)
            cells.append(f"{middle:.2f} ({min(ratios):.2f} to {max(ratios):.2f})")
        print(f"| {way} | {' | '.join(cells)} |")


if __name__ == "__main__":
    main()
