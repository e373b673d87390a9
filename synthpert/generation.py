"""Prompt ids in, completions out: text ids, finish reason and label probabilities.

Every engine follows one protocol; `HFEngine` runs `generate` of transformers on the live model, its
adapters unmerged, on any device.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Literal, Protocol

import torch
from torch import Tensor
from transformers import GenerationConfig, StoppingCriteria, StoppingCriteriaList

if TYPE_CHECKING:
    from transformers import Cache, PreTrainedModel

FinishReason = Literal["stop", "length"]


@dataclass(frozen=True)
class Decoding:
    """How completions are decoded.

    Args:
        max_new_tokens: Tokens after which a completion is cut (finish reason `length`).
        temperature: 0 for greedy decoding, else the sampling temperature.
        top_p: Nucleus of the sampling distribution; unused when greedy.
        samples: Completions a question; more than one needs a temperature above 0.
        batch_size: Prompts decoded side by side.
        seed: Seed of the sampling; the global random state is left alone.
    """

    max_new_tokens: int = 1024
    temperature: float = 0.0
    top_p: float = 1.0
    samples: int = 1
    batch_size: int = 32
    seed: int = 0

    def __post_init__(self) -> None:
        if self.samples > 1 and self.temperature == 0:
            raise ValueError("several samples of a greedy decoding are all the same")


@dataclass(frozen=True, slots=True)
class Completion:
    """What a model wrote after a prompt.

    Attributes:
        ids: The ids it wrote, without end-of-sequence and padding.
        finish_reason: `stop` where it ended by itself or closed its answer, else `length`.
    """

    ids: list[int]
    finish_reason: FinishReason


class Engine(Protocol):
    """Whatever turns prompts into completions."""

    def complete(
        self, prompts: Sequence[Sequence[int]], decoding: Decoding, stop: str, seed: int
    ) -> list[Completion]:
        """Continue each prompt once.

        Args:
            prompts: N lists of ids.
            decoding: How to decode.
            stop: Text that ends a completion; empty for the end-of-sequence token alone.
            seed: Seed of this call's sampling.

        Returns:
            N completions in the order of the prompts.
        """
        ...

    def choice_probabilities(
        self,
        contexts: Sequence[Sequence[int]],
        choices: Sequence[Sequence[Sequence[int]]],
        batch_size: int,
    ) -> Tensor:
        """How likely each choice is to follow its context.

        Args:
            contexts: N lists of ids.
            choices: For each context the ids of its C possible continuations.
            batch_size: Contexts scored side by side.

        Returns:
            (N, C) float64: the probabilities of the whole continuations, scaled to sum to 1.
        """
        ...


class HFEngine:
    """Transformers' `generate` on a live causal language model.

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
        with _inference(self.model), torch.random.fork_rng(_cuda(self.model)):
            torch.manual_seed(seed)
            for rows in _batches(prompts, decoding.batch_size):
                batch = self._generate([prompts[row] for row in rows], decoding, stop)
                done.update(zip(rows, batch, strict=True))
        return [done[row] for row in range(len(prompts))]

    @torch.no_grad()
    def choice_probabilities(
        self,
        contexts: Sequence[Sequence[int]],
        choices: Sequence[Sequence[Sequence[int]]],
        batch_size: int,
    ) -> Tensor:
        """Score choices; see `Engine.choice_probabilities`. A context is read once for all."""
        scores = torch.empty(len(contexts), len(choices[0]) if choices else 0, dtype=torch.float64)
        with _inference(self.model):
            for rows in _batches(contexts, batch_size):
                scores[rows] = self._score(
                    [contexts[row] for row in rows], [choices[row] for row in rows]
                )
        return scores.softmax(dim=1)

    def _generate(
        self, prompts: list[Sequence[int]], decoding: Decoding, stop: str
    ) -> list[Completion]:
        ids, mask = self._left_padded(prompts)
        sampling = {"temperature": decoding.temperature, "top_p": decoding.top_p, "top_k": 0}
        config = GenerationConfig(
            max_new_tokens=decoding.max_new_tokens,
            do_sample=decoding.temperature > 0,
            pad_token_id=self.pad_id,
            eos_token_id=self.eos_id,
            use_cache=True,
            **(sampling if decoding.temperature > 0 else {}),
        )
        stops = [_StopText(stop, ids.shape[1], self.decode)] if stop else []
        model: Any = self.model  # `generate` comes from a mixin that its class does not name
        out: Tensor = model.generate(
            input_ids=ids,
            attention_mask=mask,
            generation_config=config,
            stopping_criteria=StoppingCriteriaList(stops),
        )
        return [self._completion(row, stop) for row in out[:, ids.shape[1] :].tolist()]

    def _completion(self, ids: list[int], stop: str) -> Completion:
        if self.eos_id in ids:
            return Completion(ids[: ids.index(self.eos_id)], "stop")
        if not stop:
            return Completion(ids, "length")
        # A row that stopped at the text is padded while others go on; its padding is not its own.
        end = _end_of_text(ids, stop, self.decode)
        return Completion(ids, "length") if end is None else Completion(ids[:end], "stop")

    def _left_padded(self, rows: Sequence[Sequence[int]]) -> tuple[Tensor, Tensor]:
        longest = max(len(row) for row in rows)
        ids = torch.full((len(rows), longest), self.pad_id)
        mask = torch.zeros_like(ids)
        for i, row in enumerate(rows):
            ids[i, longest - len(row) :] = torch.tensor(row)
            mask[i, longest - len(row) :] = 1
        device = self.model.device
        return ids.to(device), mask.to(device)

    def _score(
        self, contexts: list[Sequence[int]], choices: list[Sequence[Sequence[int]]]
    ) -> Tensor:
        """Log-probability of each choice after its context: (B, C) float64."""
        ids, mask = self._left_padded(contexts)
        positions = (mask.cumsum(1) - 1).clamp(min=0)
        read = self.model(
            input_ids=ids,
            attention_mask=mask,
            position_ids=positions,
            use_cache=True,
            logits_to_keep=1,
        )
        first = read.logits[:, -1].double().log_softmax(-1).cpu()
        count = len(choices[0])
        flat = [list(choice) for row in choices for choice in row]
        scores = torch.stack([first[i // count, choice[0]] for i, choice in enumerate(flat)])
        width = max(len(choice) for choice in flat) - 1
        if width > 0:
            cache = read.past_key_values
            scores = scores + self._score_tails(flat, width, mask, positions, cache, count)
        return scores.view(len(contexts), count)

    def _score_tails(
        self,
        flat: list[list[int]],
        width: int,
        mask: Tensor,
        positions: Tensor,
        cache: Cache,
        count: int,
    ) -> Tensor:
        """Log-probability of the second and later tokens of B·C choices: (B·C,) float64."""
        device = mask.device
        inputs = torch.full((len(flat), width), self.pad_id)
        targets = torch.full((len(flat), width), -1)
        for i, choice in enumerate(flat):
            inputs[i, : len(choice) - 1] = torch.tensor(choice[:-1])
            targets[i, : len(choice) - 1] = torch.tensor(choice[1:])
        cache.batch_repeat_interleave(count)
        ones = torch.ones_like(inputs, device=device)
        after = positions[:, -1:].repeat_interleave(count, 0) + 1
        logits: Tensor = self.model(
            input_ids=inputs.to(device),
            attention_mask=torch.cat([mask.repeat_interleave(count, 0), ones], 1),
            position_ids=after + torch.arange(width, device=device),
            past_key_values=cache,
            use_cache=True,
        ).logits
        log = logits.double().log_softmax(-1).cpu()
        taken = log.gather(2, targets.clamp(min=0).unsqueeze(2)).squeeze(2)
        return taken.masked_fill(targets < 0, 0.0).sum(1)


class _StopText(StoppingCriteria):
    """Ends a row whose newest token completes the stop text."""

    def __init__(self, stop: str, begin: int, decode: Callable[[Sequence[int]], str]) -> None:
        self.stop, self.begin, self.decode = stop, begin, decode

    def __call__(self, input_ids: Tensor, scores: Tensor, **kwargs: object) -> Tensor:
        # A token holds at least one byte of text, so the stop text spans at most that many.
        begin = max(self.begin, input_ids.shape[1] - len(self.stop.encode()) - 1)
        tail = input_ids[:, begin:].tolist()
        found = [self.stop in self.decode(row) for row in tail]
        return torch.tensor(found, device=input_ids.device)


def _end_of_text(ids: list[int], stop: str, decode: Callable[[Sequence[int]], str]) -> int | None:
    """The number of ids after which `stop` is complete for the first time."""
    if stop not in decode(ids):
        return None
    low, high = 1, len(ids)
    while low < high:
        middle = (low + high) // 2
        if stop in decode(ids[:middle]):
            high = middle
        else:
            low = middle + 1
    return low


def _batches(rows: Sequence[Sequence[int]], size: int) -> Iterator[list[int]]:
    """Indices of rows of like length, the longest first, so that memory peaks at the start."""
    order = sorted(range(len(rows)), key=lambda row: -len(rows[row]))
    for start in range(0, len(order), size):
        yield order[start : start + size]


def _cuda(model: PreTrainedModel) -> list[int]:
    return [model.device.index or 0] if model.device.type == "cuda" else []


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
