"""The engine of vLLM: the base on its GPU, the student's adapters given with each request.

vLLM is an extra of this project and is loaded when the first question is asked. What is called of
it is that of version 0.30: `LLM.generate` with ids, `SamplingParams`, `LoRARequest`. The numbers
are those of the live model but for rounding (docs/engines.md).
"""

from __future__ import annotations

import importlib
import itertools
import logging
import tempfile
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final

import torch
from torch import Tensor

from synthpert.errors import InputError
from synthpert.generation.choices import settled
from synthpert.generation.endings import completion_of
from synthpert.generation.sampling import seed_of

if TYPE_CHECKING:
    from synthpert.encoding import Encoder
    from synthpert.generation.decoding import Completion, Decoding

log = logging.getLogger(__name__)

RANKS: Final = (8, 16, 32, 64, 128, 256, 320, 512)
"""Ranks that vLLM can be told to make room for."""

# vLLM takes an adapter for the one it has where the number is the same.
_NUMBERS = itertools.count(1)


@dataclass(frozen=True)
class Adapter:
    """The adapters of a student.

    Args:
        name: What they are called in vLLM's log.
        rank: Their rank, at most the last of `RANKS`.
        save: Writes them into an empty folder, in PEFT's layout.
    """

    name: str
    rank: int
    save: Callable[[Path], None]


class VLLMEngine:
    """A base model in vLLM, with or without adapters.

    Args:
        base: Name or folder of the base.
        dtype: Type of its weights.
        encoder: That of the student; its tokenizer is the base's.
        adapter: Saved when the first question is asked, with the weights of then.
    """

    def __init__(self, base: str, dtype: str, encoder: Encoder, adapter: Adapter | None) -> None:
        self.base, self.dtype, self.encoder, self.adapter = base, dtype, encoder, adapter
        self.eos_id: int = encoder.tokenizer.eos_token_id
        self._folder: tempfile.TemporaryDirectory[str] | None = None

    def complete(
        self, prompts: Sequence[Sequence[int]], decoding: Decoding, stop: str, seed: int
    ) -> list[Completion]:
        """Continue each prompt once; see `Engine.complete`. vLLM chooses its own batches."""
        sampled = decoding.temperature > 0
        settings = [
            self._vllm.SamplingParams(
                max_tokens=decoding.max_new_tokens,
                temperature=decoding.temperature,
                top_p=decoding.top_p,
                seed=seed_of(seed, prompt) if sampled else None,
                stop=[stop] if stop else None,
                include_stop_str_in_output=True,
                stop_token_ids=[self.eos_id],
                detokenize=bool(stop),
                # A tag may be a special token, and would stop nothing if it were left out.
                skip_special_tokens=False,
            )
            for prompt in prompts
        ]
        outputs = self._generate(prompts, settings)
        decode = self.encoder.raw_text
        return [completion_of(list(x.token_ids), self.eos_id, stop, decode) for x in outputs]

    def choice_probabilities(
        self,
        contexts: Sequence[Sequence[int]],
        choices: Sequence[Sequence[Sequence[int]]],
        batch_size: int,
    ) -> Tensor:
        """Score choices; see `Engine.choice_probabilities`.

        One request a place where choices go on differently: for `prompt_logprobs` vLLM would read
        each prompt anew for each choice, without its prefix cache.
        """
        contexts, choices = settled(contexts, choices)
        wanted: dict[tuple[int, tuple[int, ...]], set[int]] = {}
        for row, options in enumerate(choices):
            for choice in options:
                for place, new in enumerate(choice):
                    wanted.setdefault((row, tuple(choice[:place])), set()).add(new)
        prompts = [[*contexts[row], *head] for row, head in wanted]
        settings = [
            self._vllm.SamplingParams(
                max_tokens=1, temperature=0.0, logprob_token_ids=sorted(ids), detokenize=False
            )
            for ids in wanted.values()
        ]
        outputs = self._generate(prompts, settings)
        logs = {key: each.logprobs[0] for key, each in zip(wanted, outputs, strict=True)}
        sums = [
            [
                sum(logs[row, tuple(choice[:i])][new].logprob for i, new in enumerate(choice))
                for choice in options
            ]
            for row, options in enumerate(choices)
        ]
        shape = (len(contexts), len(choices[0]) if choices else 0)
        return torch.tensor(sums, dtype=torch.float64).view(shape).softmax(dim=1)

    def _generate(self, prompts: Sequence[Sequence[int]], settings: list[Any]) -> list[Any]:
        """The single output of each prompt."""
        if not prompts:
            return []
        llm, request = self._started
        asked = [{"prompt_token_ids": list(prompt)} for prompt in prompts]
        found = llm.generate(asked, settings, use_tqdm=False, lora_request=request)
        return [each.outputs[0] for each in found]

    @cached_property
    def _vllm(self) -> Any:  # noqa: ANN401 - an extra, without types here
        return importlib.import_module("vllm")

    @cached_property
    def _started(self) -> tuple[Any, Any]:
        """The running program, and the request that names the adapters."""
        options: dict[str, Any] = {
            "model": self.base,
            "tokenizer": self.base,
            "dtype": self.dtype,
            "enable_prefix_caching": True,
            # The base's own settings of decoding are not ours.
            "generation_config": "vllm",
            # The longest that the GPU has room for; the base's own may be 131,072.
            "max_model_len": -1,
        }
        request = None
        if self.adapter is not None:
            room = next(each for each in RANKS if each >= self.adapter.rank)
            options |= {"enable_lora": True, "max_lora_rank": room}
            request = self._request(self.adapter)
        log.info("vLLM starts with %s", self.base)
        try:
            return self._vllm.LLM(**options), request
        except (OSError, RuntimeError, ValueError) as error:
            first = (str(error).strip() or type(error).__name__).splitlines()[0]
            raise InputError(
                f"vLLM does not start: {first}",
                column="model.engine",
                got="vllm",
                expected="a GPU with room for the base, or hf",
            ) from error

    def _request(self, adapter: Adapter) -> Any:  # noqa: ANN401
        self._folder = tempfile.TemporaryDirectory(prefix="synthpert-adapter-")
        adapter.save(Path(self._folder.name))
        requests = importlib.import_module("vllm.lora.request")
        return requests.LoRARequest(adapter.name, next(_NUMBERS), self._folder.name)
