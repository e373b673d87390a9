"""Questions to answer, a table a batch; with a probe, asked otherwise than they are kept."""

from __future__ import annotations

from functools import partial
from typing import TYPE_CHECKING, Any

import polars as pl
import torch
from torch.utils.data import DataLoader, Dataset

from synthpert.errors import InputError
from synthpert.probes import probed
from synthpert.questions import KEY

if TYPE_CHECKING:
    from synthpert.probes import Probe

_KEPT = [f"kept_{name}" for name in KEY]


class QuestionRows(Dataset[pl.DataFrame]):
    """Rows of a table of questions, sliced a batch at a time.

    Args:
        table: The questions, with `index`, their place among all.
    """

    def __init__(self, table: pl.DataFrame) -> None:
        self.table = table

    def __len__(self) -> int:
        return len(self.table)

    def __getitem__(self, index: int) -> pl.DataFrame:
        return self.table[[index]]

    def __getitems__(self, indices: list[int]) -> list[pl.DataFrame]:
        """The rows of one batch, as one table."""
        return [self.table[indices]]


def question_batch(parts: list[pl.DataFrame], probe: Probe | None = None) -> dict[str, Any]:
    """What a step of `test` and `predict` is given.

    Args:
        parts: Rows with their `index`; those of a probe with the questions they stand for.
        probe: The probe, where there is one.

    Returns:
        `questions`, which are asked, and the `index` of each; with a probe also its name, and
        `kept`, the questions that the answers belong to.
    """
    rows = pl.concat(parts)
    batch = {
        "index": rows["index"].to_list(),
        "questions": rows.drop("index", *_KEPT, strict=False),
    }
    if probe is None:
        return batch
    kept = rows.select(pl.col(kept).alias(name) for kept, name in zip(_KEPT, KEY, strict=True))
    return batch | {"probe": probe, "kept": kept}


def question_loader(
    table: pl.DataFrame,
    batch_size: int,
    rank: int = 0,
    world: int = 1,
    probe: Probe | None = None,
    pool: pl.DataFrame | None = None,
    seed: int = 0,
) -> DataLoader[Any]:
    """Deal questions out over ranks.

    Args:
        table: All questions, cell_line, pert, gene and, if known, label.
        batch_size: Questions a batch.
        rank: Whose share to load.
        world: How many ranks there are.
        probe: What to exchange in the questions before they are asked.
        pool: The test split's questions, which a probe draws from.
        seed: Of the probe.

    Raises:
        InputError: If the probe has nothing to exchange with.
    """
    if probe is not None:
        kept = table.select(pl.col(name).alias(kept) for kept, name in zip(_KEPT, KEY, strict=True))
        asked = probed(table, probe, table if pool is None else pool, seed)
        table = asked.hstack(kept)
    return DataLoader(
        QuestionRows(table.with_row_index("index")[rank::world]),
        batch_size=batch_size,
        collate_fn=partial(question_batch, probe=probe),
        generator=torch.Generator(),
    )


def refuse_odd(
    batch: int, eval_batch: int, share: float, workers: int, seed: int, part: int
) -> None:
    """Refuse numbers with which nothing can be loaded, or something else than was meant.

    Args:
        batch: Examples a micro-batch.
        eval_batch: Questions a step of `test` and `predict`.
        share: Of the train perturbations, held out for validation.
        workers: Processes that encode.
        seed: Of the draws.
        part: Questions of a part of `predict`.

    Raises:
        InputError: Which of them it is.
    """
    least = (("batch_size", batch, 1), ("eval_batch_size", eval_batch, 1), ("part_size", part, 1))
    for name, value, low in (*least, ("workers", workers, 0), ("seed", seed, 0)):
        if value < low:
            place, wanted = f"data.init_args.{name}", f"{low} or more"
            raise InputError("too small", column=place, got=value, expected=wanted)
    if not 0 <= share <= 1:
        place = "data.init_args.validation_share"
        raise InputError("not a share", column=place, got=share, expected="in [0, 1]")
