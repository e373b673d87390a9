"""Raw tuples: all train questions, held-out perturbations, encoded when they are asked for."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import Any

import pytest
from tiny import attach, tiny_base, write_benchmark

from data_modules.tuples import TupleDataModule
from synthpert.encoding import Encoder, Example
from synthpert.errors import InputError
from synthpert.questions import Label, Question, read_questions
from synthpert.student import Student


@pytest.fixture(scope="module")
def base(tmp_path_factory: pytest.TempPathFactory) -> str:
    return tiny_base(tmp_path_factory.mktemp("tuples") / "base")


@pytest.fixture(scope="module")
def data(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return write_benchmark(tmp_path_factory.mktemp("tuples") / "data")


def ready(
    base: str, data: Path, prompts: str = "compact", max_tokens: int = 2048, **options: Any
) -> TupleDataModule:
    module = TupleDataModule(data=data, **options)
    attach(module, Student(base, prompts, max_tokens, dtype="float32"))
    module.setup("fit")
    return module


def test_every_train_question_is_trained_or_validated_on(base: str, data: Path) -> None:
    module = ready(base, data)
    expected = read_questions(data).filter(split="train").select(module.train.columns)
    found = module.train.vstack(module.validation)
    assert found.sort(found.columns).equals(expected.sort(found.columns))


def test_held_out_perturbations_are_never_trained_on(base: str, data: Path) -> None:
    module = ready(base, data, validation_share=0.25)
    held = set(module.validation["pert"])
    assert len(held) == 3
    assert not held & set(module.train["pert"])


def test_held_out_perturbations_follow_the_seed(base: str, data: Path) -> None:
    one, same, other = (
        sorted(set(ready(base, data, validation_share=0.25, seed=seed).validation["pert"]))
        for seed in (1, 1, 2)
    )
    assert one == same
    assert one != other


def test_direction_prompts_train_on_expressed_pairs_only(base: str, data: Path) -> None:
    module = ready(base, data, "direction")
    assert set(module.train["label"]) == {str(Label.UP), str(Label.DOWN)}
    test = module.evaluation_questions("test")
    assert set(test["label"]) == {str(Label.UP), str(Label.DOWN)}


@pytest.mark.parametrize("split", ["strict", "held_out:rpe1"])
def test_other_splits_are_trained_on(base: str, data: Path, split: str) -> None:
    module = ready(base, data, split=split)
    keys = ["cell_line", "pert"]
    assert module.train.join(module.test, on=keys, how="semi").is_empty()
    if split == "strict":
        assert not set(module.train["pert"]) & set(module.test["pert"])
    else:
        assert set(module.train["cell_line"]) == {"k562"}


def test_too_long_questions_are_refused(base: str, data: Path) -> None:
    with pytest.raises(InputError, match="an example is too long"):
        ready(base, data, max_tokens=5)


class Counting(Encoder):
    """An encoder that notes how many examples it made."""

    made = 0

    def examples(
        self,
        questions: Sequence[Question],
        labels: Sequence[Label],
        reasonings: Sequence[str | None],
    ) -> list[Example | None]:
        self.made += len(questions)
        return super().examples(questions, labels, reasonings)


def test_only_the_batches_asked_for_are_encoded(base: str, tmp_path: Path) -> None:
    module = TupleDataModule(
        data=write_benchmark(tmp_path, train=100, genes=20), batch_size=8, validation_share=0.0
    )
    student = Student(base, "compact", dtype="float32")
    inner = student.encoder
    student.encoder = counting = Counting(inner.tokenizer, inner.prompts)
    attach(module, student)
    module.setup("fit")
    probed = counting.made
    iterator = iter(module.train_dataloader())
    next(iterator)
    next(iterator)
    assert probed <= 64
    assert counting.made - probed == 16
    assert len(module.train) > 3900
