"""The AUROCs as torchmetrics, held against numpy's and scikit-learn's, alone and over processes."""

from __future__ import annotations

import math
from pathlib import Path
from typing import Literal

import numpy as np
import pytest
import torch
import torch.distributed as dist
from hypothesis import given
from hypothesis import strategies as st
from sklearn.metrics import roc_auc_score

from synthpert.metrics import LineAUROC
from synthpert.scoring.answered import direction_score
from synthpert.scoring.blocks import line_aurocs

Batch = tuple[torch.Tensor, ...]
FIGURES = ("per_gene", "pooled", "per_perturbation")


def random_batch(n: int, seed: int) -> Batch:
    """Few levels of probability, so that most rows are tied with another one."""
    rng = np.random.default_rng(seed)
    p = rng.integers(0, 4, (n, 3)) + np.array([1, 0, 0])
    columns = [rng.integers(0, high, n) for high in (3, 2, 6, 9)]
    return torch.from_numpy(p / p.sum(axis=1, keepdims=True)), *map(torch.from_numpy, columns)


def by_numpy(batch: Batch, task: str) -> dict[str, float]:
    p, labels, lines, genes, perts = (part.numpy() for part in batch)
    rows = labels >= 0 if task == "de" else labels > 0
    score = 1 - p[:, 0] if task == "de" else direction_score(p)
    positive = labels > 0 if task == "de" else labels == 1
    return line_aurocs(*(part[rows] for part in (score, positive, lines, genes, perts)))


def measured(batches: list[Batch], task: Literal["de", "direction"]) -> dict[str, float]:
    metric = LineAUROC(task)
    for batch in batches:
        metric.update(*batch)
    return {name: value.item() for name, value in metric.compute().items()}


@given(st.integers(1, 80), st.integers(0, 99), st.sampled_from(["de", "direction"]))
def test_batches_of_any_size_give_the_figures_of_numpy(
    n: int, seed: int, task: Literal["de", "direction"]
) -> None:
    batch = random_batch(n, seed)
    halves = [tuple(part[::2] for part in batch), tuple(part[1::2] for part in batch)]
    expected = by_numpy(batch, task)
    found = measured(halves, task)
    for name in FIGURES:
        assert found[name] == pytest.approx(expected[name], abs=1e-12, nan_ok=True)


def test_the_pooled_figure_is_scikit_learns() -> None:
    p, labels, _, genes, perts = random_batch(400, 1)
    one_line = torch.zeros(400, dtype=torch.long)
    found = measured([(p, labels, one_line, genes, perts)], "de")
    assert found["pooled"] == pytest.approx(roc_auc_score(labels > 0, 1 - p[:, 0]), abs=1e-12)


def test_nothing_seen_is_not_a_number() -> None:
    assert all(math.isnan(value) for value in measured([], "de").values())


def test_reset_forgets_the_rows() -> None:
    metric = LineAUROC("de")
    metric.update(*random_batch(20, 2))
    metric.reset()
    assert metric.scores == []


def test_an_unknown_task_is_refused() -> None:
    with pytest.raises(ValueError, match="'de' or 'direction'"):
        LineAUROC("up")  # type: ignore[arg-type]


def test_a_probability_that_is_not_a_number_is_refused() -> None:
    batch = random_batch(3, 3)
    batch[0][1, 0] = float("nan")
    with pytest.raises(ValueError, match="cannot be ranked"):
        LineAUROC("de").update(*batch)


def test_arguments_of_different_length_are_refused() -> None:
    p, labels, lines, genes, perts = random_batch(3, 3)
    with pytest.raises(ValueError, match="each of the 3 labels"):
        LineAUROC("de").update(p, labels, lines, genes[:2], perts)


def rank_part(rank: int, folder: str) -> None:
    dist.init_process_group("gloo", init_method=f"file://{folder}/meet", rank=rank, world_size=2)
    rows = [slice(0, 70), slice(70, None)][rank]  # of different length
    batch = tuple(part[rows] for part in random_batch(100, 4))
    figures = [measured([batch], "de"), measured([batch], "direction")]
    # The second process alone has rows.
    figures.append(measured([batch] if rank else [], "de"))
    torch.save(figures, Path(folder) / f"{rank}.pt")
    dist.destroy_process_group()


def test_two_processes_rank_together(tmp_path: Path) -> None:
    torch.multiprocessing.spawn(rank_part, args=(str(tmp_path),), nprocs=2)
    whole = random_batch(100, 4)
    last = tuple(part[70:] for part in whole)
    expected = [by_numpy(whole, "de"), by_numpy(whole, "direction"), by_numpy(last, "de")]
    for rank in range(2):
        found = torch.load(tmp_path / f"{rank}.pt")
        for mine, numpys in zip(found, expected, strict=True):
            assert mine == pytest.approx({name: numpys[name] for name in FIGURES}, abs=1e-12)
