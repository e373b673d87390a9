"""A second data set beside the first: its share, its order, and what of it is left out."""

from __future__ import annotations

import json
import logging
from collections import Counter
from pathlib import Path
from typing import Any

import lightning as L
import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st
from test_questions_module import Seen, assert_goes_on, each_step
from tiny import attach, quiet_trainer, tiny_base, write_benchmark

from data_modules.batching import ShuffledBatches
from data_modules.mixing import Mix, MixedBatches, Mixture
from data_modules.question_rows import QuestionRows, question_batch
from data_modules.tuples import TupleDataModule
from synthpert.errors import InputError
from synthpert.losses import UNLABELLED, ClassBalanced
from synthpert.prompts import load_prompts
from synthpert.student import Student

OTHERS = 40


@pytest.fixture(scope="module")
def base(tmp_path_factory: pytest.TempPathFactory) -> str:
    return tiny_base(tmp_path_factory.mktemp("mixing") / "base")


@pytest.fixture(scope="module")
def data(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return write_benchmark(tmp_path_factory.mktemp("mixing") / "data", train=9, test=2, genes=3)


def chat(asked: str, told: str = "upregulated", **about: str) -> dict[str, Any]:
    turns = [{"role": "user", "content": asked}, {"role": "assistant", "content": told}]
    return {"messages": turns, **about}


def write(path: Path, *chats: dict[str, Any]) -> Path:
    path.write_text("\n".join(map(json.dumps, chats)))
    return path


@pytest.fixture(scope="module")
def file(tmp_path_factory: pytest.TempPathFactory) -> Path:
    path = tmp_path_factory.mktemp("mixing") / "qa.jsonl"
    return write(path, *(chat(f"question {i}") for i in range(OTHERS)))


def ready(base: str, data: Path, mix: Mix, **options: Any) -> TupleDataModule:
    module = TupleDataModule(data=data, batch_size=5, validation_share=0.1, mix=mix)
    attach(module, Student(base, "compact", dtype="float32", **options))
    module.setup("fit")
    return module


def batches(module: TupleDataModule) -> list[dict[str, torch.Tensor]]:
    return list(module.train_dataloader())


@pytest.mark.parametrize(("ratio", "count"), [(0.25, 15), (0.5, 45), (0.01, 1)])
def test_ratio_is_the_share_of_an_epoch(
    base: str, data: Path, file: Path, ratio: float, count: int
) -> None:
    labels = torch.cat([batch["label"] for batch in batches(ready(base, data, Mix(file, ratio)))])
    assert len(labels) == 45 + count
    assert int((labels == UNLABELLED).sum()) == count


def test_mixed_example_is_encoded_apart_and_has_no_answer(
    base: str, data: Path, file: Path
) -> None:
    module = ready(base, data, Mix(file, 0.5))
    encoder = module._student.encoder
    (mixed,) = encoder.chats([[{"role": "user", "content": "question 7"}]], ["upregulated"])
    assert mixed is not None
    rows = {
        tuple(ids[:length].tolist()): (start, label)
        for batch in batches(module)
        for ids, length, start, label in zip(
            *(batch[k] for k in ("input_ids", "lengths", "answer_start", "label")), strict=True
        )
    }
    assert rows[tuple(mixed.input_ids)] == (len(mixed.input_ids), UNLABELLED)


@given(own=st.integers(1, 30), chats=st.integers(1, 30), count=st.integers(1, 30))
def test_epochs_walk_through_all_chats_before_any_comes_again(
    own: int, chats: int, count: int
) -> None:
    seen: Counter[int] = Counter()
    for epoch in range(3):
        at = lambda epoch=epoch: (epoch, 0)  # noqa: E731
        slots = ShuffledBatches(own + count, 4, 3, position=at)
        drawn = [i for batch in MixedBatches(slots, own, chats, count, 3, at) for i in batch]
        assert sorted(i for i in drawn if i < own) == list(range(own))
        seen.update(i for i in drawn if i >= own)
        assert max(seen) < own + chats
        assert max(seen.values()) - min(seen[own + i] for i in range(chats)) <= 1


@given(seen=st.integers(0, 12), epoch=st.integers(0, 3))
def test_order_goes_on_from_any_position(seen: int, epoch: int) -> None:
    found = []
    for at in ((epoch, 0), (epoch, seen)):
        slots = ShuffledBatches(50, 4, 1, position=lambda at=at: at)
        found.append(list(MixedBatches(slots, 30, 70, 20, 1, lambda at=at: at)))
    assert found[1] == found[0][seen:]


def fit(base: str, data: Path, file: Path, start: Path | None, *others: L.Callback) -> Seen:
    L.seed_everything(7)
    seen = Seen()
    student = Student(base, "compact", dtype="float32", loss=ClassBalanced(), learning_rate=0.01)
    mix = Mix(file, 0.25)
    module = TupleDataModule(data=data, batch_size=5, validation_share=0.1, mix=mix, workers=0)
    trainer = quiet_trainer(seen, *others, max_epochs=2, accumulate_grad_batches=2)
    trainer.fit(student, module, ckpt_path=start, weights_only=True)
    return seen


@pytest.mark.parametrize(("step", "done"), [(2, 4), (6, 12), (8, 16)])
def test_resumed_run_has_the_batches_and_losses_of_the_whole(
    base: str, data: Path, file: Path, tmp_path: Path, step: int, done: int
) -> None:
    whole = fit(base, data, file, None, each_step(tmp_path))
    assert_goes_on(fit(base, data, file, tmp_path / f"step={step}.ckpt"), whole, done, step)


def test_validation_has_no_chats(base: str, data: Path, file: Path) -> None:
    loader = ready(base, data, Mix(file, 0.5)).val_dataloader()
    assert all((batch["label"] != UNLABELLED).all() for batch in loader)


def test_loss_is_told_the_labels_of_the_training_examples(
    base: str, data: Path, file: Path
) -> None:
    loss = ClassBalanced()
    module = ready(base, data, Mix(file, 0.5), loss=loss)
    found = [batch["label"] for batch in batches(module)]
    counts = torch.bincount(torch.cat(found) + 1)
    assert counts.tolist() == [45, *loss.label_counts]


def test_words_of_the_chats_are_words_of_a_model_from_nothing(
    base: str, data: Path, file: Path
) -> None:
    module = TupleDataModule(data=data, mix=Mix(file, 0.5))
    attach(module, Student(base, "compact", dtype="float32"))
    assert "question 39" in list(module.texts(load_prompts("compact")))


def test_chat_of_a_test_perturbation_is_refused_by_its_row(
    base: str, data: Path, tmp_path: Path
) -> None:
    bad = write(tmp_path / "m.jsonl", chat("a"), chat("b", cell_line="K562", pert="t0"))
    with pytest.raises(InputError, match=r"m\.jsonl:2: 1 of 2 chats are of test perturbations"):
        ready(base, data, Mix(bad, 0.5))


def test_chat_that_names_no_cell_line_is_of_all(base: str, data: Path, tmp_path: Path) -> None:
    bad = write(tmp_path / "m.jsonl", chat("a"), chat("b", pert="T1"))
    with pytest.raises(InputError, match="of test perturbations"):
        ready(base, data, Mix(bad, 0.5))


def test_chats_that_are_tested_or_validated_on_are_dropped_and_counted(
    base: str, data: Path, tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    held = next(iter(ready(base, data, Mix(write(tmp_path / "a", chat("a")), 0.5))._held_out))
    lines = [chat("a"), chat("b", cell_line="k562", pert="T0"), chat("c", pert=held)]
    module = ready(base, data, Mix(write(tmp_path / "b", *lines), 0.5, "drop"))
    assert [each.row for each in module.mixture._read] == [1]
    assert "1 chats of test perturbations dropped" in caplog.text
    assert "1 chats of perturbations validated on dropped" in caplog.text


def test_chat_that_is_too_long_is_dropped_and_counted(
    base: str, data: Path, tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    caplog.set_level(logging.INFO)
    lines = write(tmp_path / "m.jsonl", chat("a"), chat("b", "no " * 900))
    module = ready(base, data, Mix(lines, 0.5), max_tokens=128)
    assert [each.row for each in module.mixture._read] == [1]
    assert "1 of 2 mixed chats dropped: longer than 128 tokens" in caplog.text
    assert "1 chats, 45 mixed in an epoch" in caplog.text


def test_no_chat_that_fits_is_refused(base: str, data: Path, tmp_path: Path) -> None:
    lines = write(tmp_path / "m.jsonl", chat("b", "no " * 900))
    with pytest.raises(InputError, match="no chat to mix in"):
        ready(base, data, Mix(lines, 0.5), max_tokens=128)


def test_chats_in_a_student_of_answers_alone_are_refused(base: str, data: Path, file: Path) -> None:
    with pytest.raises(InputError, match=r"model\.loss_on: mixed chats have no answer"):
        ready(base, data, Mix(file, 0.5), loss_on="answer")


@pytest.mark.parametrize("ratio", [0.0, 1.0, -0.5])
def test_ratio_that_is_no_share_is_refused(ratio: float) -> None:
    with pytest.raises(InputError, match=r"mix\.ratio: not a share"):
        Mix(Path("m.jsonl"), ratio)


def test_mixture_that_was_not_read_says_so() -> None:
    with pytest.raises(RuntimeError, match="not read yet"):
        list(Mixture(Mix(Path("m.jsonl"), 0.5), 0).texts())


def test_questions_come_a_table_a_batch(base: str, data: Path, file: Path) -> None:
    module = ready(base, data, Mix(file, 0.5))
    rows = QuestionRows(module.test.with_row_index("index"))
    batch = question_batch(rows.__getitems__([3, 1]))
    assert batch["index"] == [3, 1]
    assert batch["questions"].equals(module.test[[3, 1]])
