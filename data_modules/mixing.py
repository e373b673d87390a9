"""A second data set beside the first, at a fixed share of the examples."""

from __future__ import annotations

import logging
from collections.abc import Callable, Collection, Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Literal

import numpy as np
import polars as pl
from torch.utils.data import Dataset, Sampler

from data_modules.batching import Examples, LabelledExample
from data_modules.messages import Chat, read_messages
from synthpert.errors import InputError
from synthpert.losses import UNLABELLED
from synthpert.traces.leaks import leaked

if TYPE_CHECKING:
    from synthpert.encoding import Encoder, Example

log = logging.getLogger(__name__)

_AT_ONCE = 512


@dataclass(frozen=True)
class Mix:
    """A second data set to train on, such as medical question answering.

    Args:
        file: JSONL, each line with `messages` that end with the assistant's.
        ratio: Its share of the examples of an epoch, above 0 and below 1. Where that is fewer than
            the file has, the next epoch goes on where this one ended.
        test_messages: What to do with lines whose `cell_line` and `pert` are of the test split:
            `refuse` the file, or `drop` them and say how many. Lines without these keys cannot be
            told.
    """

    file: Path
    ratio: float
    test_messages: Literal["refuse", "drop"] = "refuse"

    def __post_init__(self) -> None:
        if not 0 < self.ratio < 1:
            place, wanted = "data.init_args.mix.ratio", "above 0 and below 1"
            raise InputError("not a share", column=place, got=self.ratio, expected=wanted)


class Mixture:
    """A second data set as a data module goes about it: read, fitted, drawn from.

    Args:
        mix: Which it is.
        seed: Seed of the order of its chats.
    """

    def __init__(self, mix: Mix, seed: int) -> None:
        self.mix, self.seed = mix, seed
        self.chats: list[Chat] | None = None
        self._found: list[Chat] | None = None

    def read_file(self) -> None:
        """Read all chats, before anything is said: a wrong line of theirs is the only one."""
        self._found = read_messages(self.mix.file)

    def read(self, test: pl.DataFrame, split: str, held_out: Collection[str]) -> None:
        """Keep what may be trained on, once; the arguments are those of `safe_chats`."""
        if self.chats is None:
            found = read_messages(self.mix.file) if self._found is None else self._found
            self.chats, self._found = safe_chats(self.mix, found, test, split, held_out), None

    def fit(self, encoder: Encoder, own: int) -> None:
        """Drop what is too long; say how many chats there are beside `own` examples."""
        self.chats = fitting_chats(self.mix, self._read, encoder)
        log.info(
            "%s: %s chats, %s mixed in an epoch",
            self.mix.file,
            f"{len(self.chats):,}",
            f"{self.count(own):,}",
        )

    def texts(self) -> Iterator[str]:
        """Everything the chats say, for a vocabulary."""
        for chat in self._read:
            yield from (message["content"] for message in chat.prompt)
            yield chat.completion

    def count(self, own: int) -> int:
        """Chats an epoch beside `own` examples: at least one."""
        return max(1, round(own * self.mix.ratio / (1 - self.mix.ratio)))

    def examples(self, own: Examples) -> MixedExamples:
        """The first data set's examples, then all chats."""
        return MixedExamples(own, self._read)

    def batches(
        self, slots: Sampler[list[int]], own: int, position: Callable[[], tuple[int, int]]
    ) -> MixedBatches:
        """Batches over `own` examples and `count(own)` slots, with chats in the slots."""
        count = self.count(own)
        return MixedBatches(slots, own, len(self._read), count, self.seed, position)

    @property
    def _read(self) -> list[Chat]:
        if self.chats is None:
            raise RuntimeError("the mixed chats are not read yet")
        return self.chats


def safe_chats(
    mix: Mix, chats: list[Chat], test: pl.DataFrame, split: str, held_out: Collection[str]
) -> list[Chat]:
    """The chats of the second data set without what this split tests or validates on.

    Args:
        mix: Which it is.
        chats: All of it.
        test: The test questions, with cell_line and pert.
        split: Name of the split.
        held_out: Perturbations of the train split that are validated on.

    Raises:
        InputError: If there are chats of the test split that are not to be dropped.
    """
    about = pl.DataFrame(
        {name: [getattr(chat, name) for chat in chats] for name in ("cell_line", "pert")},
        schema={"cell_line": pl.String, "pert": pl.String},
    )
    # Of any cell line, where a chat does not say of which.
    tested = leaked(about, test, split)
    tested |= about["cell_line"].is_null() & leaked(about, test, "strict")
    first = tested.arg_max() if tested.any() else None
    if first is not None and mix.test_messages == "refuse":
        raise InputError(
            f"{int(tested.sum()):,} of {len(chats):,} chats are of test perturbations",
            file=mix.file,
            row=chats[first].row,
            got=f"{chats[first].cell_line} {chats[first].pert}",
            expected=f"chats to train {split} on; test_messages: drop leaves them out",
        )
    held = about["pert"].str.to_lowercase().is_in([pert.lower() for pert in held_out])
    held = held.fill_null(False) & ~tested
    for mask, what in ((tested, "test perturbations"), (held, "perturbations validated on")):
        if mask.any():
            log.warning("%s: %s chats of %s dropped", mix.file, f"{int(mask.sum()):,}", what)
    out = (tested | held).to_list()
    return [chat for chat, dropped in zip(chats, out, strict=True) if not dropped]


def fitting_chats(mix: Mix, chats: Sequence[Chat], encoder: Encoder) -> list[Chat]:
    """The chats that fit the student's `max_tokens`; the others are counted, never cut.

    Raises:
        InputError: If none does, or the student is trained on answers alone, which chats lack.
    """
    if encoder.loss_on == "answer":
        raise InputError(
            "mixed chats have no answer that is known",
            column="model.loss_on",
            got=encoder.loss_on,
            expected="completion or all, with mix",
        )
    kept: list[Chat] = []
    for start in range(0, len(chats), _AT_ONCE):
        part = chats[start : start + _AT_ONCE]
        made = _encode(part, encoder)
        kept += [chat for chat, example in zip(part, made, strict=True) if example is not None]
    if len(kept) < len(chats):
        log.warning(
            "%s of %s mixed chats dropped: longer than %s tokens",
            f"{len(chats) - len(kept):,}",
            f"{len(chats):,}",
            encoder.max_tokens,
        )
    if not kept:
        raise InputError("no chat to mix in", file=mix.file, expected="at least one")
    return kept


class MixedExamples(Dataset[LabelledExample]):
    """The first data set's examples, then the chats; these have no label and no answer.

    Args:
        own: The first data set.
        chats: The second, all of which fit.
    """

    def __init__(self, own: Examples, chats: Sequence[Chat]) -> None:
        self.own, self.chats = own, chats

    def __len__(self) -> int:
        return len(self.own) + len(self.chats)

    def __getitem__(self, index: int) -> LabelledExample:
        return self.__getitems__([index])[0]

    def __getitems__(self, indices: Sequence[int]) -> list[LabelledExample]:
        """Encode the examples of one batch, in the order asked for."""
        size = len(self.own)
        mine = [index for index in indices if index < size]
        chats = [self.chats[index - size] for index in indices if index >= size]
        own = iter(self.own.__getitems__(mine) if mine else [])
        mixed = iter([self._unlabelled(x) for x in _encode(chats, self.own.encoder)])
        return [next(own if index < size else mixed) for index in indices]

    def _unlabelled(self, example: Example | None) -> LabelledExample:
        if example is None:
            got = self.own.encoder.max_tokens
            raise InputError("a mixed chat is too long", column="model.max_tokens", got=got)
        return LabelledExample(example, UNLABELLED)


class MixedBatches(Sampler[list[int]]):
    """Batches of a mixture: slots beyond the first data set are filled with chats of the epoch.

    The chats are walked through in one seeded order, over and over, so many an epoch; which of them
    an epoch has is a function of (seed, epoch), like the order of the slots.

    Args:
        slots: Batches over `own` examples and `count` slots.
        own: Size of the first data set.
        chats: Size of the second.
        count: Chats an epoch.
        seed: Seed of their order.
        position: Called when iteration begins; gives (epoch, batches of it already seen).
    """

    def __init__(
        self,
        slots: Sampler[list[int]],
        own: int,
        chats: int,
        count: int,
        seed: int,
        position: Callable[[], tuple[int, int]],
    ) -> None:
        self.slots, self.own, self.chats, self.count = slots, own, chats, count
        self.seed, self.position = seed, position

    def __len__(self) -> int:
        return len(self.slots)  # type: ignore[arg-type]

    def __iter__(self) -> Iterator[list[int]]:
        epoch, _ = self.position()
        order = np.random.default_rng([self.seed, self.chats, 1]).permutation(self.chats)
        drawn = order[(epoch * self.count + np.arange(self.count)) % self.chats].tolist()
        for batch in self.slots:
            yield [i if i < self.own else self.own + drawn[i - self.own] for i in batch]


def _encode(chats: Sequence[Chat], encoder: Encoder) -> list[Example | None]:
    return encoder.chats([chat.prompt for chat in chats], [chat.completion for chat in chats])
