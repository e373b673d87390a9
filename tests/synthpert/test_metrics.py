"""The three-class metric, held against scikit-learn's figures, alone and over processes."""

from __future__ import annotations

import math
from pathlib import Path

import numpy as np
import pytest
import torch
import torch.distributed as dist
from hypothesis import given, settings
from hypothesis import strategies as st
from sklearn import metrics as sk

from synthpert.metrics import ThreeClass

PAIRS = st.lists(st.tuples(st.integers(-1, 2), st.integers(0, 2)), min_size=1, max_size=60)
pytestmark = pytest.mark.filterwarnings("ignore:A single label", "ignore:y_pred contains classes")
CLASSES = ("not_de", "up", "down")


def measured(answers: np.ndarray, labels: np.ndarray) -> dict[str, float]:
    metric = ThreeClass()
    metric.update(torch.from_numpy(answers), torch.from_numpy(labels))
    return {name: value.item() for name, value in metric.compute().items()}


def by_scikit_learn(answers: np.ndarray, labels: np.ndarray) -> dict[str, float]:
    """The same figures; -1, the unread answer, is a class that is never true."""
    each = sk.precision_recall_fscore_support(labels, answers, labels=[0, 1, 2], zero_division=0)
    figures = {
        f"{name}_{rate}": each[r][i]
        for i, name in enumerate(CLASSES)
        for r, rate in enumerate(("precision", "recall", "f1"))
    }
    macro = sk.f1_score(labels, answers, labels=[0, 1, 2], average="macro", zero_division=0)
    return figures | {
        "accuracy": sk.accuracy_score(labels, answers),
        "balanced_accuracy": sk.balanced_accuracy_score(labels, answers),
        "macro_f1": macro,
        "mcc": sk.matthews_corrcoef(labels, answers),
        "parse_rate": float((answers >= 0).mean()),
    }


@given(PAIRS)
@settings(deadline=None)
def test_every_figure_equals_scikit_learn(pairs: list[tuple[int, int]]) -> None:
    answers, labels = np.array(pairs).T.copy()
    assert measured(answers, labels) == pytest.approx(by_scikit_learn(answers, labels), abs=1e-12)


def test_a_benchmark_of_a_hundred_thousand_rows_equals_scikit_learn() -> None:
    rng = np.random.default_rng(0)
    labels = rng.choice(3, 116_041, p=[0.86, 0.07, 0.07])
    answers = np.where(rng.random(116_041) < 0.9, labels, rng.integers(-1, 3, 116_041))
    assert measured(answers, labels) == pytest.approx(by_scikit_learn(answers, labels), abs=1e-12)


def test_an_unread_answer_is_wrong_not_dropped() -> None:
    figures = measured(np.array([0, -1, -1, -1]), np.array([0, 0, 1, 2]))
    assert figures["accuracy"] == 0.25
    assert figures["parse_rate"] == 0.25
    assert figures["not_de_recall"] == 0.5


def test_the_figures_are_float64_scalars() -> None:
    metric = ThreeClass()
    metric.update(torch.tensor([0, 1]), torch.tensor([0, 2]))
    assert {(value.dtype, value.shape) for value in metric.compute().values()} == {
        (torch.float64, torch.Size([]))
    }


def test_the_confusion_matrix_has_a_column_for_no_answer() -> None:
    metric = ThreeClass()
    metric.update(torch.tensor([0, 2, -1]), torch.tensor([0, 1, 2]))
    assert metric.confusion.tolist() == [[1, 0, 0, 0], [0, 0, 1, 0], [0, 0, 0, 1]]


def test_batches_add_up() -> None:
    whole, parts = ThreeClass(), ThreeClass()
    answers, labels = torch.tensor([0, 1, 2, -1, 0]), torch.tensor([0, 1, 1, 2, 2])
    whole.update(answers, labels)
    parts.update(answers[:2], labels[:2])
    parts.update(answers[2:], labels[2:])
    assert whole.compute() == parts.compute()


def test_an_empty_batch_changes_nothing() -> None:
    metric = ThreeClass()
    metric.update(torch.empty(0, dtype=torch.long), torch.empty(0, dtype=torch.long))
    assert metric.confusion.sum() == 0
    assert math.isnan(metric.compute()["accuracy"])


def test_reset_forgets() -> None:
    metric = ThreeClass()
    metric.update(torch.tensor([0]), torch.tensor([0]))
    metric.reset()
    assert metric.confusion.sum() == 0


@pytest.mark.parametrize(("answer", "label"), [(3, 0), (-2, 0), (0, 3), (0, -1)])
def test_a_class_that_does_not_exist_is_refused(answer: int, label: int) -> None:
    with pytest.raises(ValueError, match="must be"):
        ThreeClass().update(torch.tensor([answer]), torch.tensor([label]))


def test_answers_and_labels_of_different_length_are_refused() -> None:
    with pytest.raises(ValueError, match="2 answers for 1 labels"):
        ThreeClass().update(torch.tensor([0, 1]), torch.tensor([0]))


def count_half(rank: int, folder: str) -> None:
    dist.init_process_group("gloo", init_method=f"file://{folder}/meet", rank=rank, world_size=2)
    metric = ThreeClass()
    metric.update(
        torch.tensor([[0, 1, -1], [2, 2, 0]][rank]), torch.tensor([[0, 1, 1], [2, 1, 0]][rank])
    )
    figures = {name: value.item() for name, value in metric.compute().items()}
    torch.save(figures, Path(folder) / f"{rank}.pt")
    dist.destroy_process_group()


def test_two_processes_count_together(tmp_path: Path) -> None:
    torch.multiprocessing.spawn(count_half, args=(str(tmp_path),), nprocs=2)
    together = measured(np.array([0, 1, -1, 2, 2, 0]), np.array([0, 1, 1, 2, 1, 0]))
    assert torch.load(tmp_path / "0.pt") == together
    assert torch.load(tmp_path / "1.pt") == together
