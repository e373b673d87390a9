"""Graph attention: the graph, the network and the verb without its library."""

from __future__ import annotations

import importlib.util
from pathlib import Path

import numpy as np
import pytest
import torch
from worlds import GENES, PERTS, modules, write_knowledge

from synthpert.errors import InputError
from synthpert.knowledge import Knowledge
from tools.baseline.attention import GraphAttention, fit, graph
from tools.baseline.gat import gat
from tools.baseline.materials import Materials

NODES = (*PERTS, *GENES)


def test_the_graph_has_networks_and_terms_in_both_directions(tmp_path: Path) -> None:
    knowledge = Knowledge.read(write_knowledge(tmp_path / "k"))
    edges, nodes = graph(knowledge, NODES)
    pairs = {(one, other) for one, other in edges.T.tolist()}
    assert nodes == len(NODES) + 5
    assert {(0, 2), (0, len(PERTS))} <= pairs
    assert pairs == {(other, one) for one, other in pairs}
    assert all(one < len(NODES) or other < len(NODES) for one, other in pairs)


def test_the_network_learns_what_it_is_shown(tmp_path: Path) -> None:
    edges, nodes = graph(Knowledge.read(write_knowledge(tmp_path / "k")), NODES)
    torch.manual_seed(0)
    model = GraphAttention(nodes, 1)
    questions = torch.tensor([[0, number, 30] for number in range(24)])
    labels = questions[:, 1] % 3
    fit(model, edges, questions, labels, [np.arange(24)] * 60)
    model.eval()
    assert (model(model.encode(edges), questions).argmax(dim=1) == labels).all()


def test_it_leaves_the_random_state_alone(tmp_path: Path) -> None:
    torch.manual_seed(5)
    expected = torch.rand(1)
    torch.manual_seed(5)
    gat(*modules(), Materials(write_knowledge(tmp_path / "k")))
    assert torch.rand(1) == expected


def test_without_the_extra_it_says_what_to_install(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(importlib.util, "find_spec", lambda name: None)
    with pytest.raises(InputError, match=r"pip install 'synthpert\[gat\]'"):
        gat(*modules(), Materials())
