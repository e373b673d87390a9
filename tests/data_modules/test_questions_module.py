"""A resumed run is the run that was never stopped, bit by bit; and what else a module answers."""

from __future__ import annotations

import contextlib
from pathlib import Path
from typing import Any, Literal

import lightning as L
import pytest
import torch
from lightning.pytorch.callbacks import ModelCheckpoint
from tiny import attach, quiet_trainer, tiny_base, write_benchmark

from data_modules.questions import QuestionDataModule
from data_modules.tuples import TupleDataModule
from synthpert.bases import Lora
from synthpert.errors import InputError
from synthpert.prompts import load_prompts
from synthpert.student import Student

Batch = dict[str, torch.Tensor]
# 9 train perturbations by 3 genes in one line, 8 in the other; one of them is held out in both. So
# an epoch has 45 examples: 9 batches of 5.


@pytest.fixture(scope="module")
def base(tmp_path_factory: pytest.TempPathFactory) -> str:
    return tiny_base(tmp_path_factory.mktemp("resume") / "base")


@pytest.fixture(scope="module")
def data(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return write_benchmark(tmp_path_factory.mktemp("resume") / "data", train=9, test=2, genes=3)


class Seen(L.Callback):
    """Notes each batch's ids and each step's loss; ends the fit by an exception where told to."""

    def __init__(self, interrupt_at: int | None = None, within: bool = False) -> None:
        self.interrupt_at, self.within = interrupt_at, within
        self.batches: list[str] = []
        self.losses: list[str] = []
        self.step = 0

    def on_train_start(self, trainer: L.Trainer, pl_module: L.LightningModule) -> None:
        self.step = trainer.global_step

    def on_train_batch_start(
        self, trainer: L.Trainer, pl_module: L.LightningModule, batch: Batch, batch_idx: int
    ) -> None:
        if self.within and len(self.batches) == self.interrupt_at:
            raise KeyboardInterrupt
        self.batches.append(f"{trainer.current_epoch} {batch['input_ids'].tolist()}")

    def on_train_batch_end(
        self,
        trainer: L.Trainer,
        pl_module: L.LightningModule,
        outputs: object,
        batch: Batch,
        batch_idx: int,
    ) -> None:
        if trainer.global_step != self.step:
            self.step = trainer.global_step
            self.losses.append(float(trainer.callback_metrics["train_loss"]).hex())
        if not self.within and len(self.batches) == self.interrupt_at:
            raise KeyboardInterrupt


def fit(
    base: str,
    data: Path,
    checkpoint: Path | None,
    *callbacks: L.Callback,
    accumulate: int = 1,
    workers: int = 0,
    schedule: Literal["linear", "constant"] = "linear",
    **options: Any,
) -> Seen:
    seen = next((each for each in callbacks if isinstance(each, Seen)), Seen())
    L.seed_everything(7)
    student = Student(
        base,
        "compact",
        lora=Lora(r=4, alpha=8, dropout=0.3, targets=("q_proj", "down_proj")),
        dtype="float32",
        learning_rate=0.01,
        schedule=schedule,
    )
    module = TupleDataModule(data=data, batch_size=5, workers=workers, validation_share=0.1)
    others = [each for each in callbacks if each is not seen]
    options = {"max_epochs": 3, "accumulate_grad_batches": accumulate, **options}
    trainer = quiet_trainer(seen, *others, **options)
    with contextlib.suppress(SystemExit):  # what Lightning makes of KeyboardInterrupt
        trainer.fit(student, module, ckpt_path=checkpoint, weights_only=True)
    return seen


def each_step(folder: Path) -> ModelCheckpoint:
    return ModelCheckpoint(folder, "{step}", save_top_k=-1, every_n_train_steps=1)


def on_exception(folder: Path) -> ModelCheckpoint:
    return ModelCheckpoint(
        folder, save_last=True, save_top_k=0, every_n_train_steps=1000, save_on_exception=True
    )


def assert_goes_on(resumed: Seen, whole: Seen, batches: int, steps: int) -> None:
    assert resumed.batches == whole.batches[batches:]
    assert resumed.losses == whole.losses[steps:]


# Step 2 is within the first epoch, 9 its last batch, 10 and 13 lie in the second.
@pytest.mark.parametrize("step", [2, 9, 10, 13])
@pytest.mark.parametrize("workers", [0, 2])
def test_resumed_run_has_the_batches_and_losses_of_the_whole(
    base: str, data: Path, tmp_path: Path, step: int, workers: int
) -> None:
    whole = fit(base, data, None, each_step(tmp_path))
    resumed = fit(base, data, tmp_path / f"step={step}.ckpt", workers=workers)
    assert_goes_on(resumed, whole, step, step)


@pytest.mark.parametrize(("step", "batches"), [(2, 4), (5, 9), (7, 13)])
@pytest.mark.parametrize("workers", [0, 2])
def test_resumed_run_accumulates_as_the_whole(
    base: str, data: Path, tmp_path: Path, step: int, batches: int, workers: int
) -> None:
    whole = fit(base, data, None, each_step(tmp_path), accumulate=2)
    resumed = fit(base, data, tmp_path / f"step={step}.ckpt", accumulate=2, workers=workers)
    assert_goes_on(resumed, whole, batches, step)


def test_run_stopped_by_max_steps_goes_on(base: str, data: Path, tmp_path: Path) -> None:
    whole = fit(base, data, None, schedule="constant")
    fit(base, data, None, each_step(tmp_path), schedule="constant", max_steps=12)
    resumed = fit(base, data, tmp_path / "step=12.ckpt", schedule="constant")
    assert_goes_on(resumed, whole, 12, 12)


def test_checkpoint_of_an_epochs_end_goes_on_with_the_next(
    base: str, data: Path, tmp_path: Path
) -> None:
    keep = ModelCheckpoint(tmp_path, "{epoch}", save_top_k=-1, save_on_train_epoch_end=True)
    whole = fit(base, data, None, keep)
    assert_goes_on(fit(base, data, tmp_path / "epoch=1.ckpt"), whole, 18, 18)


@pytest.mark.parametrize("at", [4, 9, 11])
def test_interrupt_within_a_batch_repeats_and_loses_nothing(
    base: str, data: Path, tmp_path: Path, at: int
) -> None:
    whole = fit(base, data, None)
    fit(base, data, None, Seen(at, within=True), on_exception(tmp_path))
    assert_goes_on(fit(base, data, tmp_path / "last.ckpt"), whole, at, at)


def test_interrupt_between_micro_batches_begins_the_step_again(
    base: str, data: Path, tmp_path: Path
) -> None:
    whole = fit(base, data, None, accumulate=3)
    fit(base, data, None, Seen(5), on_exception(tmp_path), accumulate=3)
    assert_goes_on(fit(base, data, tmp_path / "last.ckpt", accumulate=3), whole, 3, 1)


def test_resumed_run_can_be_resumed_again(base: str, data: Path, tmp_path: Path) -> None:
    whole = fit(base, data, None)
    fit(base, data, None, Seen(4, within=True), on_exception(tmp_path))
    fit(base, data, tmp_path / "last.ckpt", each_step(tmp_path))
    assert_goes_on(fit(base, data, tmp_path / "step=7.ckpt"), whole, 7, 7)


def test_workers_change_nothing(base: str, data: Path) -> None:
    alone, helped = (fit(base, data, None, workers=workers) for workers in (0, 2))
    assert (alone.batches, alone.losses) == (helped.batches, helped.losses)


def test_data_module_without_a_trainer_says_so(data: Path) -> None:
    with pytest.raises(RuntimeError, match="no trainer is attached"):
        TupleDataModule(data=data).setup("fit")


def test_data_module_with_another_model_says_so(data: Path) -> None:
    module = TupleDataModule(data=data)
    module.trainer = quiet_trainer()
    module.trainer.strategy.connect(L.LightningModule())
    with pytest.raises(RuntimeError, match="a student is needed"):
        module.setup("fit")


def attached(base: str, data: Path, **options: Any) -> QuestionDataModule:
    module = TupleDataModule(data=data, **options)
    attach(module, Student(base, "compact", dtype="float32"))
    return module


def test_no_held_out_share_means_no_validation(base: str, data: Path) -> None:
    module = attached(base, data, validation_share=0.0)
    module.setup("fit")
    assert module.val_dataloader() == []


def test_validation_questions_are_never_of_the_test_split(base: str, data: Path) -> None:
    module = attached(base, data, validation_share=0.5)
    module.setup("fit")
    keys = ["cell_line", "pert"]
    asked, test = (module.evaluation_questions(each) for each in ("validate", "test"))
    assert len(asked)
    assert asked.join(test, on=keys, how="semi").is_empty()


def test_questions_to_predict_are_the_users(base: str, data: Path, tmp_path: Path) -> None:
    mine = tmp_path / "mine.csv"
    mine.write_text("cell_line,pert,gene\nk562,A,B\nhepg2,C,D\nk562,E,F\n")
    module = attached(base, data, questions=mine, eval_batch_size=2)
    module.setup("predict")
    found = [(batch["index"], batch["questions"]["gene"].to_list()) for batch in batches(module)]
    assert found == [([0, 1], ["B", "D"]), ([2], ["F"])]


def batches(module: QuestionDataModule) -> list[dict[str, Any]]:
    return list(module.predict_dataloader())


def test_without_questions_the_test_split_is_predicted(base: str, data: Path) -> None:
    module = attached(base, data)
    module.setup("predict")
    (batch,) = batches(module)
    assert batch["questions"].equals(module.evaluation_questions("test"))


def test_texts_hold_every_word_of_the_examples(base: str, data: Path) -> None:
    module = attached(base, data)
    text = "\n".join(module.texts(load_prompts("compact")))
    assert {f"P{i}" for i in range(8)} | {"G0", "G2", "k562", "rpe1"} <= set(text.split())


def test_no_train_question_left_is_one_line(base: str, data: Path) -> None:
    with pytest.raises(InputError, match="no example to train on"):
        attached(base, data, validation_share=1.0).setup("fit")


@pytest.mark.parametrize(
    ("name", "value"),
    [
        ("batch_size", 0),
        ("batch_size", -3),
        ("eval_batch_size", 0),
        ("workers", -1),
        ("seed", -1),
        ("validation_share", -0.5),
        ("validation_share", 1.5),
    ],
)
def test_a_number_with_which_nothing_can_be_loaded_is_refused(name: str, value: float) -> None:
    with pytest.raises(InputError, match=rf"data\.init_args\.{name}"):
        TupleDataModule(**{name: value})
