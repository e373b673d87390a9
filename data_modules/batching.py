"""Examples to batches: the collation, and the order in which examples are seen."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np
import polars as pl
import torch
from torch import Tensor
from torch.utils.data import DataLoader, Dataset, Sampler

from synthpert.encoding import IGNORED
from synthpert.errors import InputError
from synthpert.questions import LABELS, Label, Question

if TYPE_CHECKING:
    from synthpert.encoding import Encoder, Example

_COLUMNS = ("cell_line", "pert", "gene", "label", "reasoning")


@dataclass(frozen=True, slots=True)
class LabelledExample:
    """An encoded example and the index of its label in `LABELS`."""

    example: Example
    label: int


class Examples(Dataset[LabelledExample]):
    """Rows of a table, encoded when they are asked for, so that memory does not grow with them.

    Args:
        table: `cell_line, pert, gene, label` and, for traces, `reasoning`.
        encoder: The student's renderer.
    """

    def __init__(self, table: pl.DataFrame, encoder: Encoder) -> None:
        # Not polars: its threads do not live on in a forked worker, which would wait for them.
        self.columns = {name: _Texts(table[name]) for name in _COLUMNS if name in table.columns}
        self.size = len(table)
        self.encoder = encoder

    def __len__(self) -> int:
        return self.size

    def __getitem__(self, index: int) -> LabelledExample:
        return self.__getitems__([index])[0]

    def __getitems__(self, indices: Sequence[int]) -> list[LabelledExample]:
        """Encode the rows of one batch together.

        Raises:
            InputError: If one is longer than `max_tokens`; data modules drop those beforehand.
        """
        rows = {name: column.at(indices) for name, column in self.columns.items()}
        questions = [
            Question(*row)
            for row in zip(rows["cell_line"], rows["pert"], rows["gene"], strict=True)
        ]
        labels = [Label(label) for label in rows["label"]]
        reasonings = rows.get("reasoning", [None] * len(questions))
        made = self.encoder.examples(questions, labels, reasonings)
        found = []
        for question, label, example in zip(questions, labels, made, strict=True):
            if example is None:
                raise InputError(
                    f"an example is too long: {question.cell_line} {question.pert} {question.gene}",
                    column="model.max_tokens",
                    got=self.encoder.max_tokens,
                )
            found.append(LabelledExample(example, LABELS.index(label)))
        return found


class _Texts:
    """A column of texts: each different one once, and a number a row."""

    def __init__(self, column: pl.Series) -> None:
        column = column.cast(pl.String)
        different = column.unique(maintain_order=True)
        self.texts: list[str] = different.to_list()
        self.numbers = column.cast(pl.Enum(different)).to_physical().to_numpy()

    def at(self, indices: Sequence[int]) -> list[str]:
        return [self.texts[number] for number in self.numbers[list(indices)]]


def collate(rows: Sequence[LabelledExample], pad_id: int) -> dict[str, Tensor]:
    """Pad the examples of a micro-batch on the right.

    Args:
        rows: B examples, the longest of T ids.
        pad_id: Id to pad with; its positions are never trained on, whatever its value.

    Returns:
        `input_ids` and `labels` (B, T) int64, `lengths`, `answer_start` and `label` (B,) int64.
    """
    lengths = [len(row.example.input_ids) for row in rows]
    ids = np.full((len(rows), max(lengths)), pad_id, dtype=np.int64)
    labels = np.full_like(ids, IGNORED)
    for i, row in enumerate(rows):
        ids[i, : lengths[i]] = row.example.input_ids
        labels[i, : lengths[i]] = row.example.labels
    return {
        "input_ids": torch.from_numpy(ids),
        "labels": torch.from_numpy(labels),
        "lengths": torch.tensor(lengths),
        "answer_start": torch.tensor([row.example.answer_start for row in rows]),
        "label": torch.tensor([row.label for row in rows]),
    }


class ShuffledBatches(Sampler[list[int]]):
    """Batches of indices as a pure function of (seed, epoch, batches already seen).

    It keeps no state of its own: where to begin is asked for when iteration begins, so a resumed
    run goes on with the batch it had not seen, whatever was prefetched when it was stopped.

    Args:
        size: Number of examples.
        batch_size: Examples a batch and rank.
        seed: Seed of the order; epochs differ from one another.
        rank: This process, from 0.
        world: Number of processes. Each global batch is dealt out to them in turn, so the examples
            of an optimiser step do not depend on how many there are. A tail too small for all of
            them is left out of this epoch.
        position: Called when iteration begins; gives (epoch, batches of it already seen).
    """

    def __init__(
        self,
        size: int,
        batch_size: int,
        seed: int,
        rank: int = 0,
        world: int = 1,
        position: Callable[[], tuple[int, int]] = lambda: (0, 0),
    ) -> None:
        self.size, self.batch_size, self.seed = size, batch_size, seed
        self.rank, self.world, self.position = rank, world, position

    def __len__(self) -> int:
        whole, tail = divmod(self.size, self.batch_size * self.world)
        return whole + (tail >= self.world)

    def __iter__(self) -> Iterator[list[int]]:
        epoch, seen = self.position()
        order = np.random.default_rng([self.seed, epoch]).permutation(self.size)
        step = self.batch_size * self.world
        for batch in range(seen, len(self)):
            yield order[batch * step : (batch + 1) * step][self.rank :: self.world].tolist()


class LateLoader:
    """A loader that begins when its first batch is asked for, workers and all.

    Lightning makes the iterator of a resumed fit before it has restored how far the fit was
    (whoever reads `estimated_stepping_batches` causes it), and workers would set off at once.

    Args:
        loader: The loader.
    """

    def __init__(self, loader: DataLoader[LabelledExample]) -> None:
        self.loader = loader
        self.waited = 0.0
        """Seconds that whoever iterates has waited for batches so far."""

    def __len__(self) -> int:
        return len(self.loader)

    def __iter__(self) -> Iterator[dict[str, Tensor]]:
        begun = time.perf_counter()
        for batch in self.loader:
            self.waited += time.perf_counter() - begun
            yield batch
            begun = time.perf_counter()
