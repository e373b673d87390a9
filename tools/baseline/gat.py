"""The graph attention baseline of PerturbQA: trained on the train split, a few minutes."""

from __future__ import annotations

import importlib.util
from collections.abc import Iterator
from typing import TYPE_CHECKING, Final

import numpy as np

from synthpert.errors import InputError
from tools.baseline.materials import shown
from tools.baseline.rows import Rows, numbered, predictions

if TYPE_CHECKING:
    import polars as pl
    import torch
    from numpy.typing import NDArray

    from tools.baseline.materials import Materials

EPOCHS: Final = 6
BATCH: Final = 16_384
SEED: Final = 0


def gat(train: pl.DataFrame, test: pl.DataFrame, materials: Materials) -> pl.DataFrame:
    """Graph attention over genes and terms, then an MLP on concat(pert, gene).

    PerturbQA's GAT (Wu et al., ICLR 2025): three-class cross entropy; the score is 1 - p(not DE)
    and for direction p(up). Its graph had BioPlex too, and one model a cell line; here the graph
    is what the knowledge folder holds, and one model has all lines.

    Raises:
        InputError: If torch-geometric is not installed.
    """
    if importlib.util.find_spec("torch_geometric") is None:
        raise InputError(
            "torch-geometric is not installed",
            file="synthpert baseline gat",
            expected="pip install 'synthpert[gat]'",
        )
    import torch

    from tools.baseline.attention import GraphAttention, fit, graph

    rows, asked = numbered(train, test)
    genes = sorted({*rows.perts, *rows.genes})
    edges, nodes = graph(materials.knowledge, genes)
    batches = list(_batches(len(rows)))
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(SEED)
        model = GraphAttention(nodes, len(rows.lines))
        seen = shown(batches, "steps", len(batches))
        fit(model, edges, _questions(rows, genes), torch.from_numpy(rows.label.copy()), seen)
    model.eval()
    with torch.inference_mode():
        logits = model(model.encode(edges), _questions(asked, genes))
    return predictions(test, torch.softmax(logits.double(), dim=1).numpy())


def _questions(rows: Rows, genes: list[str]) -> torch.Tensor:
    """(rows, 3), the cell line and the nodes of the two genes."""
    import torch

    place = {gene: number for number, gene in enumerate(genes)}
    pert, gene = (
        np.array([place[name] for name in names], np.int64) for names in (rows.perts, rows.genes)
    )
    return torch.from_numpy(np.column_stack([rows.line, pert[rows.pert], gene[rows.gene]]))


def _batches(count: int) -> Iterator[NDArray[np.int64]]:
    """The rows of each step: every row once an epoch, in a new order."""
    generator = np.random.default_rng(SEED)
    for _ in range(EPOCHS):
        order = generator.permutation(count)
        yield from np.split(order, range(BATCH, count, BATCH))
