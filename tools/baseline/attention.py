"""The graph of genes and terms, and a network of attention over it (GAT)."""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

import numpy as np
import torch
from torch import nn

if TYPE_CHECKING:
    from collections.abc import Iterable, Sequence

    from numpy.typing import NDArray

    from synthpert.knowledge import Knowledge

LARGEST_TERM: Final = 100
"""Larger terms join everything to everything, and would cost most of the time."""


def graph(knowledge: Knowledge, genes: Sequence[str]) -> tuple[torch.Tensor, int]:
    """Genes and terms as one graph without kinds of edges: networks, and genes with their terms.

    Args:
        knowledge: Sets and networks.
        genes: The nodes 0 to len(genes) - 1; the terms follow.

    Returns:
        (2, edges) in both directions, int64, and how many nodes there are.
    """
    place = np.full(len(knowledge.index) + 1, -1)
    numbers = [knowledge.index.number(gene) for gene in genes]
    known = np.array([-1 if number is None else number for number in numbers], np.int64)
    # A synonym and its symbol are one gene of the knowledge; the first of them stands for it.
    for node in range(len(genes) - 1, -1, -1):
        if known[node] >= 0:
            place[known[node]] = node
    near, members = knowledge.neighbours, knowledge.members
    joined = np.stack([place[near.owners()], place[near.values]])
    small = members.where(members.lengths <= LARGEST_TERM)
    told = np.stack([len(genes) + small.owners(), place[small.values]])
    edges = np.concatenate([joined, told, told[::-1]], axis=1)
    edges = edges[:, (edges >= 0).all(axis=0)]
    return torch.from_numpy(edges), len(genes) + len(members.lengths)


class GraphAttention(nn.Module):
    """Attention over the graph, then a classifier of two genes and a cell line.

    Two layers (Veličković et al. 2018) over learned vectors of the nodes, and an MLP on
    concat(pert, gene), as PerturbQA (Wu et al., ICLR 2025) describes its GAT; the cell line is one
    more vector, since one model learns all lines here.

    Args:
        nodes: Genes and terms.
        lines: Cell lines.
        width: Of every vector.
        heads: Of each layer.
    """

    def __init__(self, nodes: int, lines: int, width: int = 32, heads: int = 2) -> None:
        from torch_geometric.nn import GATConv

        super().__init__()
        self.nodes = nn.Embedding(nodes, width)
        self.lines = nn.Embedding(lines, width)
        self.first = GATConv(width, width // heads, heads)
        self.second = GATConv(width, width // heads, heads)
        self.classify = nn.Sequential(
            nn.Linear(3 * width, 2 * width), nn.ReLU(), nn.Dropout(0.1), nn.Linear(2 * width, 3)
        )

    def encode(self, edges: torch.Tensor) -> torch.Tensor:
        """Vectors of the nodes; each layer adds to what came before.

        Args:
            edges: (2, edges).

        Returns:
            (nodes, width).
        """
        start = self.nodes.weight
        middle = start + torch.relu(self.first(start, edges))
        encoded: torch.Tensor = middle + self.second(middle, edges)
        return encoded

    def forward(self, nodes: torch.Tensor, questions: torch.Tensor) -> torch.Tensor:
        """Logits of the three labels.

        Args:
            nodes: As `encode` returns them.
            questions: (questions, 3), the cell line, and the nodes of the two genes.

        Returns:
            (questions, 3).
        """
        line, pert, gene = questions.unbind(dim=1)
        joined = torch.cat([nodes[pert], nodes[gene], self.lines(line)], dim=1)
        logits: torch.Tensor = self.classify(joined)
        return logits


def fit(
    model: GraphAttention,
    edges: torch.Tensor,
    questions: torch.Tensor,
    labels: torch.Tensor,
    batches: Iterable[NDArray[np.int64]],
) -> None:
    """Minimise the cross entropy of the three labels with Adam.

    Args:
        model: Is changed.
        edges: (2, edges).
        questions: (questions, 3).
        labels: (questions,), int64.
        batches: Which questions each step is of.
    """
    optimiser = torch.optim.Adam(model.parameters(), lr=5e-3, weight_decay=1e-6)
    model.train()
    for batch in batches:
        rows = torch.from_numpy(batch)
        logits = model(model.encode(edges), questions[rows])
        loss = nn.functional.cross_entropy(logits, labels[rows])
        optimiser.zero_grad()
        loss.backward()
        optimiser.step()
