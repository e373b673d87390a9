"""The engine of the live transformers model, its adapters unmerged, on any device."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from functools import cached_property, partial
from typing import TYPE_CHECKING, Any

import torch
from torch import Tensor
from transformers import (
    GenerationConfig,
    LogitsProcessor,
    LogitsProcessorList,
    StoppingCriteria,
    StoppingCriteriaList,
)

from synthpert.generation import tree
from synthpert.generation.choices import score, settled
from synthpert.generation.decoding import Completion, Decoding
from synthpert.generation.endings import completion_of, tail
from synthpert.generation.sampling import Choose, chooser
from synthpert.generation.token_by_token import Beginning, left_padded, read_beginning, write
from synthpert.layouts import sees_all

if TYPE_CHECKING:
    from transformers import PreTrainedModel


class HFEngine:
    """A live causal language model of transformers.

    What all prompts begin with is read once, and a row that has ended leaves its batch. Models with
    other layers than full attention (windows, state spaces) go through transformers' `generate`.

    Args:
        model: The model, adapters included; its mode and cache setting are restored after use.
        pad_id: Id to pad with; never looked at.
        eos_id: End-of-sequence id.
        decode: Ids to text, to see the stop text.
    """

    def __init__(
        self,
        model: PreTrainedModel,
        pad_id: int,
        eos_id: int,
        decode: Callable[[Sequence[int]], str],
    ) -> None:
        self.model = model
        self.pad_id, self.eos_id = pad_id, eos_id
        self.decode = decode

    @torch.no_grad()
    def complete(
        self, prompts: Sequence[Sequence[int]], decoding: Decoding, stop: str, seed: int
    ) -> list[Completion]:
        """Continue each prompt once; see `Engine.complete`. Longest first, left-padded."""
        done: dict[int, Completion] = {}
        with _inference(self.model):
            plain = sees_all(self.model)
            beginning = read_beginning(self.model, prompts) if plain else None
            for rows in _batches(prompts, decoding.batch_size):
                asked = [prompts[row] for row in rows]
                batch = self._continue(asked, beginning, decoding, stop, seed)
                done.update(zip(rows, batch, strict=True))
        return [done[row] for row in range(len(prompts))]

    @torch.no_grad()
    def choice_probabilities(
        self,
        contexts: Sequence[Sequence[int]],
        choices: Sequence[Sequence[Sequence[int]]],
        batch_size: int,
    ) -> Tensor:
        """Score choices; see `Engine.choice_probabilities`. Shared tokens are read once."""
        scores = torch.empty(len(contexts), len(choices[0]) if choices else 0, dtype=torch.float64)
        contexts, choices = settled(contexts, choices)
        with _inference(self.model):
            if self._reads_trees:
                beginning = read_beginning(self.model, contexts)
                scores = tree.score(self.model, contexts, choices, beginning, batch_size)
            else:
                for rows in _batches(contexts, batch_size):
                    asked = ([contexts[row] for row in rows], [choices[row] for row in rows])
                    scores[rows] = score(self.model, *asked, self.pad_id)
        return scores.softmax(dim=1)

    @cached_property
    def _reads_trees(self) -> bool:
        return tree.fits(self.model)

    def _continue(
        self,
        prompts: list[Sequence[int]],
        beginning: Beginning | None,
        decoding: Decoding,
        stop: str,
        seed: int,
    ) -> list[Completion]:
        choose = chooser(decoding, prompts, seed)
        if beginning is None:
            return self._generate(prompts, decoding.max_new_tokens, choose, stop)
        ended = partial(self._has_ended, stop=stop, holds={})
        longest = decoding.max_new_tokens
        rows = write(self.model, prompts, beginning, choose, longest, self.pad_id, ended)
        return [self._completion(row, stop) for row in rows]

    def _has_ended(self, ids: list[int], stop: str, holds: dict[int, bool]) -> bool:
        """Whether the newest id ends a row; `holds` remembers which ids hold the stop's end."""
        if not stop or ids[-1] == self.eos_id:
            return ids[-1] == self.eos_id
        end = stop[-1]
        if ids[-1] not in holds:
            # Of other characters than ASCII a token may hold a part.
            holds[ids[-1]] = not end.isascii() or end in self.decode(ids[-1:])
        return holds[ids[-1]] and stop in self.decode(tail(ids, stop))

    def _generate(
        self, prompts: list[Sequence[int]], longest: int, choose: Choose, stop: str
    ) -> list[Completion]:
        ids, mask = (each.to(self.model.device) for each in left_padded(prompts, self.pad_id))
        config = GenerationConfig(
            max_new_tokens=longest,
            do_sample=False,
            pad_token_id=self.pad_id,
            eos_token_id=self.eos_id,
            use_cache=True,
        )
        stops = [_StopText(stop, ids.shape[1], self.decode)] if stop else []
        model: Any = self.model  # `generate` comes from a mixin that its class does not name
        out: Tensor = model.generate(
            input_ids=ids,
            attention_mask=mask,
            generation_config=config,
            logits_processor=LogitsProcessorList([Chosen(choose, ids.shape[1])]),
            stopping_criteria=StoppingCriteriaList(stops),
        )
        return [self._completion(row, stop) for row in out[:, ids.shape[1] :].tolist()]

    def _completion(self, ids: list[int], stop: str) -> Completion:
        return completion_of(ids, self.eos_id, stop, self.decode)


class Chosen(LogitsProcessor):
    """Leaves of the logits the id that was chosen, which a greedy `generate` then takes.

    Args:
        choose: Chooses the ids of a step.
        begin: How many ids the prompts have.
    """

    def __init__(self, choose: Choose, begin: int) -> None:
        self.choose, self.begin = choose, begin

    def __call__(self, input_ids: Tensor, scores: Tensor) -> Tensor:
        """From what was written and the logits (B, V) to logits (B, V)."""
        written = input_ids.shape[1] - self.begin
        chosen = self.choose(scores.float(), range(len(scores)), written)
        return torch.full_like(scores, -torch.inf).scatter(1, chosen[:, None], 0.0)


class _StopText(StoppingCriteria):
    """Ends a row whose newest token completes the stop text."""

    def __init__(self, stop: str, begin: int, decode: Callable[[Sequence[int]], str]) -> None:
        self.stop, self.begin, self.decode = stop, begin, decode

    def __call__(self, input_ids: Tensor, scores: Tensor, **kwargs: object) -> Tensor:
        rows = input_ids[:, self.begin :].tolist()
        found = [self.stop in self.decode(tail(row, self.stop)) for row in rows]
        return torch.tensor(found, device=input_ids.device)


def _batches(rows: Sequence[Sequence[int]], size: int) -> Iterator[list[int]]:
    """Indices of rows of like length, the longest first, so that memory peaks at the start."""
    order = sorted(range(len(rows)), key=lambda row: -len(rows[row]))
    for start in range(0, len(order), size):
        yield order[start : start + size]


@contextmanager
def _inference(model: PreTrainedModel) -> Iterator[None]:
    """Evaluation mode with the key-value cache on; both put back whatever happens."""
    training = {module: module.training for module in model.modules()}
    use_cache = model.config.use_cache
    model.eval()
    model.config.use_cache = True
    try:
        yield
    finally:
        model.config.use_cache = use_cache
        for module, mode in training.items():
            module.training = mode
