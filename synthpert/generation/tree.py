"""Scores of choices with each token of a batch read once: the texts of a batch are a tree.

Questions share the system prompt, often the perturbation too, and the choices after a question
share all of it. Put into one row, with a mask by which a token sees its own ancestors alone, none
of that is read twice, and no key or value is copied (tree attention, Miao et al. 2024, SpecInfer,
arXiv:2305.09781).
"""

from __future__ import annotations

import logging
from collections.abc import Iterator, Sequence
from typing import TYPE_CHECKING, Final

import numpy as np
import torch
from torch import Tensor

from synthpert.generation.token_by_token import NOTHING, Beginning
from synthpert.layouts import sees_all, takes_masks

if TYPE_CHECKING:
    from transformers import PreTrainedModel

log = logging.getLogger(__name__)

# Attention of a row to all of it is a sixth of the work where the row is as long as the model is
# wide; shorter ones would leave a small model waiting for Python.
_SHORTEST: Final = 512
_TOLERANCE: Final = {torch.float32: 1e-3}
_TOLERANCE_OF_HALF: Final = 0.05


class Tree:
    """Lists of ids, merged where they begin alike; a node is a token.

    Attributes:
        ids: Id of each node; a parent stands before its children.
        parents: Index of the parent, -1 of none.
        depths: Tokens above each node.
    """

    def __init__(self) -> None:
        self.ids: list[int] = []
        self.parents: list[int] = []
        self.depths: list[int] = []
        self._known: dict[tuple[int, int], int] = {}

    def __len__(self) -> int:
        """How many tokens there are to read."""
        return len(self.ids)

    def add(self, ids: Sequence[int], after: int = -1) -> list[int]:
        """Add a list of ids below a node, and give the node of each."""
        path = []
        for each in ids:
            known = self._known.setdefault((after, each), len(self.ids))
            if known == len(self.ids):
                self.ids.append(each)
                self.parents.append(after)
                self.depths.append(self.depths[after] + 1 if after >= 0 else 0)
            after = known
            path.append(after)
        return path

    def sees(self) -> Tensor:
        """(T, T) bool: whether the token of a row sees that of a column, itself or an ancestor."""
        seen = np.eye(len(self), dtype=bool)
        for node, parent in enumerate(self.parents):
            if parent >= 0:
                seen[node] |= seen[parent]
        return torch.from_numpy(seen)


class _Pack:
    """Contexts with their choices in one tree, and which logits say how likely each choice is."""

    def __init__(self) -> None:
        self.tree = Tree()
        self.rows: list[int] = []
        self.steps: list[tuple[int, int, int]] = []

    def add(self, row: int, context: Sequence[int], choices: Sequence[Sequence[int]]) -> None:
        last = self.tree.add(context)[-1]
        for choice in choices:
            number = len(self.rows)
            path = [last, *self.tree.add(choice[:-1], last)]
            self.steps += [(node, new, number) for node, new in zip(path, choice, strict=True)]
            self.rows.append(row)

    def score(self, model: PreTrainedModel, beginning: Beginning) -> Tensor:
        """The log-probability of each choice, in the order they were added, float64."""
        nodes, new, numbers = zip(*self.steps, strict=True)
        wanted = sorted(set(nodes))
        place = {node: i for i, node in enumerate(wanted)}
        logs = read(model, self.tree, beginning, wanted).float().log_softmax(-1)
        at = torch.tensor([[place[node] for node in nodes], new], device=logs.device)
        found = logs[at[0], at[1]].double().cpu()
        return torch.zeros(len(self.rows), dtype=torch.float64).index_add(
            0, torch.tensor(numbers), found
        )


def score(
    model: PreTrainedModel,
    contexts: Sequence[Sequence[int]],
    choices: Sequence[Sequence[Sequence[int]]],
    beginning: Beginning,
    batch_size: int,
) -> Tensor:
    """Score choices after their contexts.

    Args:
        model: A causal language model in evaluation mode, without gradients, that `fits`.
        contexts: N lists of ids.
        choices: For each context the ids of its C possible continuations.
        beginning: What all contexts begin with.
        batch_size: Contexts read side by side at most.

    Returns:
        (N, C) float64: the log-probability of each choice.
    """
    scores = torch.empty(len(contexts), len(choices[0]) if choices else 0, dtype=torch.float64)
    rest = [context[beginning.length :] for context in contexts]
    limit = max(_SHORTEST, model.config.get_text_config().hidden_size)
    for pack in _packs(rest, choices, limit, batch_size):
        rows = pack.rows[:: scores.shape[1]]
        scores[rows] = pack.score(model, beginning).view(len(rows), -1)
    return scores


def read(model: PreTrainedModel, tree: Tree, beginning: Beginning, wanted: Sequence[int]) -> Tensor:
    """What a model expects after some nodes of a tree.

    Args:
        model: As `score` has it.
        tree: T nodes.
        beginning: What stands before all of it.
        wanted: W nodes.

    Returns:
        (W, V) logits.
    """
    device, length = model.device, beginning.length
    mask = torch.nn.functional.pad(tree.sees(), (length, 0), value=True)
    logits: Tensor = model(
        input_ids=torch.tensor([tree.ids], device=device),
        attention_mask=mask[None, None].to(device),
        position_ids=torch.tensor([tree.depths], device=device) + length,
        past_key_values=beginning.rows(model, 1),
        use_cache=True,
        logits_to_keep=torch.tensor(wanted, device=device),
    ).logits
    return logits[0]


def _packs(
    contexts: Sequence[Sequence[int]],
    choices: Sequence[Sequence[Sequence[int]]],
    limit: int,
    batch_size: int,
) -> Iterator[_Pack]:
    """Contexts that begin alike stand beside each other, in trees of about `limit` tokens."""
    pack, count = _Pack(), 0
    for row in sorted(range(len(contexts)), key=lambda row: list(contexts[row])):
        pack.add(row, contexts[row], choices[row])
        count += 1
        if len(pack.tree) >= limit or count == batch_size:
            yield pack
            pack, count = _Pack(), 0
    if count:
        yield pack


@torch.no_grad()
def fits(model: PreTrainedModel) -> bool:
    """Whether a model reads a tree as it reads each of its texts alone; found out by trying.

    Args:
        model: A causal language model in evaluation mode.
    """
    found = sees_all(model) and takes_masks(model) and _reads_as_alone(model)
    if not found:
        log.info("label probabilities are read row by row: this model's attention takes no trees")
    return found


def _reads_as_alone(model: PreTrainedModel) -> bool:
    size = model.config.get_text_config().vocab_size
    texts = [[each % size for each in text] for text in ([3, 4, 5, 6], [3, 4, 7])]
    tree = Tree()
    wanted = [tree.add(text)[-1] for text in texts]
    try:
        together = read(model, tree, NOTHING, wanted).float()
        alone = [model(input_ids=torch.tensor([text], device=model.device)) for text in texts]
    except (RuntimeError, TypeError, ValueError) as error:
        log.debug("trees do not pass", exc_info=error)
        return False
    apart = torch.stack([each.logits[0, -1] for each in alone]).float()
    narrow = torch.is_autocast_enabled(model.device.type)
    allowed = _TOLERANCE_OF_HALF if narrow else _TOLERANCE.get(model.dtype, _TOLERANCE_OF_HALF)
    return bool((together - apart).norm() <= allowed * apart.norm())
