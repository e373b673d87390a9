"""Evidence on its way from a data module's questions into the student's examples."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest
from tiny import attach, tiny_base, write_benchmark

from data_modules.questions import QuestionDataModule
from data_modules.tuples import TupleDataModule
from synthpert.errors import InputError
from synthpert.prompts.evidence import Evidence
from synthpert.student import Student


@pytest.fixture(scope="module")
def base(tmp_path_factory: pytest.TempPathFactory) -> str:
    return tiny_base(tmp_path_factory.mktemp("context") / "base")


@pytest.fixture(scope="module")
def data(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return write_benchmark(tmp_path_factory.mktemp("context") / "data", train=9, test=2, genes=3)


@pytest.fixture(scope="module")
def knowledge(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("knowledge")
    (folder / "pathways.gmt").write_text("Ribosome\tx\tP0\tP1\tP2\tT0\tG0\tG1\n")
    return folder


def with_context(base: str, data: Path, where: Evidence, **options: Any) -> QuestionDataModule:
    module = TupleDataModule(data=data, batch_size=5, **options)
    attach(module, Student(base, "short_context", evidence=where, dtype="float32"))
    return module


def test_evidence_is_in_every_example_of_every_worker(
    base: str, data: Path, knowledge: Path
) -> None:
    seen = []
    for workers in (0, 2):
        module = with_context(base, data, Evidence(knowledge, data), workers=workers)
        module.setup("fit")
        seen.append([each["input_ids"].tolist() for each in module.train_dataloader()])
        texts = [module._student.encoder.raw_text(ids) for ids in seen[-1][0]]
        assert all("measured in" in text for text in texts)
    assert seen[0] == seen[1]


def test_evidence_of_another_split_than_the_questions_is_refused(
    base: str, data: Path, knowledge: Path
) -> None:
    module = with_context(base, data, Evidence(knowledge, data), split="strict")
    with pytest.raises(InputError, match=r"model\.evidence\.split.*got 'default'; expected strict"):
        module.setup("test")


def test_evidence_of_another_folder_than_the_questions_is_refused(
    base: str, data: Path, knowledge: Path
) -> None:
    with pytest.raises(InputError, match=r"model\.evidence\.data: .*of another data"):
        with_context(base, data, Evidence(knowledge)).setup("fit")


def test_an_example_that_evidence_makes_too_long_is_refused_before_training(
    base: str, data: Path, knowledge: Path
) -> None:
    module = TupleDataModule(data=data)
    student = Student(base, "short_context", 40, evidence=Evidence(knowledge, data))
    attach(module, student)
    with pytest.raises(InputError, match=r"model\.max_tokens: an example is too long"):
        module.setup("fit")


def test_words_of_the_evidence_are_words_of_a_model_from_nothing(
    base: str, data: Path, knowledge: Path
) -> None:
    module = with_context(base, data, Evidence(knowledge, data))
    assert "Ribosome" in "\n".join(module.texts(module._student.prompts))
