"""What this project calls of vLLM 0.30, over transformers on the CPU: names and defaults as there.

Each prompt is read anew for each of its tokens. An adapter is known by its number, as in vLLM: one
that comes under a number that was there before is not loaded.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, ClassVar

import torch

from vllm.lora.request import LoRARequest

if TYPE_CHECKING:
    from peft import PeftModel
    from transformers import PreTrainedModel

RANKS = (1, 8, 16, 32, 64, 128, 256, 320, 512)


@dataclass(kw_only=True)
class SamplingParams:
    """The fields that are set; vLLM has more."""

    max_tokens: int | None = 16
    temperature: float = 1.0
    top_p: float = 1.0
    seed: int | None = None
    stop: list[str] | None = None
    include_stop_str_in_output: bool = False
    stop_token_ids: list[int] | None = None
    logprob_token_ids: list[int] | None = None
    detokenize: bool = True
    skip_special_tokens: bool = True

    def __post_init__(self) -> None:
        if self.stop and not self.detokenize:
            raise ValueError("stop strings are only supported when detokenize is True")


@dataclass
class Logprob:
    """The log-probability of an id."""

    logprob: float


@dataclass
class CompletionOutput:
    """One completion; its ids include the end of sequence."""

    token_ids: Sequence[int]
    logprobs: list[dict[int, Logprob]] | None
    finish_reason: str | None


@dataclass
class RequestOutput:
    """What became of one prompt."""

    prompt_token_ids: list[int]
    outputs: list[CompletionOutput]


class LLM:
    """The offline engine."""

    started: ClassVar[list[dict[str, Any]]] = []
    requests: ClassVar[list[LoRARequest]] = []

    def __init__(
        self,
        model: str,
        *,
        tokenizer: str,
        dtype: str,
        enable_prefix_caching: bool,
        generation_config: str,
        max_model_len: int,
        enable_lora: bool = False,
        max_lora_rank: int = 16,
    ) -> None:
        from transformers import AutoModelForCausalLM, AutoTokenizer

        if max_lora_rank not in RANKS:
            raise ValueError(f"max_lora_rank {max_lora_rank} is none of {RANKS}")
        self.base, self.dtype, self.rank = model, getattr(torch, dtype), max_lora_rank
        self.plain = AutoModelForCausalLM.from_pretrained(model, dtype=self.dtype).eval()
        self.tokenizer = AutoTokenizer.from_pretrained(tokenizer)
        self.adapted: dict[int, PeftModel] = {}
        self.enable_lora = enable_lora
        LLM.started.append({"model": model, "max_lora_rank": max_lora_rank, "lora": enable_lora})

    @torch.no_grad()
    def generate(
        self,
        prompts: list[dict[str, list[int]]],
        sampling_params: list[SamplingParams],
        *,
        use_tqdm: bool = True,
        lora_request: LoRARequest | None = None,
    ) -> list[RequestOutput]:
        model = self.plain if lora_request is None else self._with(lora_request)
        pairs = zip(prompts, sampling_params, strict=True)
        return [self._answer(model, each["prompt_token_ids"], params) for each, params in pairs]

    def _with(self, request: LoRARequest) -> PeftModel:
        from peft import PeftModel
        from transformers import AutoModelForCausalLM

        if not self.enable_lora:
            raise ValueError("LoRA is not enabled")
        LLM.requests.append(request)
        if request.lora_int_id not in self.adapted:
            fresh = AutoModelForCausalLM.from_pretrained(self.base, dtype=self.dtype)
            model = PeftModel.from_pretrained(fresh, request.lora_path).eval()
            if model.peft_config["default"].r > self.rank:
                raise ValueError("LoRA rank is greater than max_lora_rank")
            self.adapted[request.lora_int_id] = model
        return self.adapted[request.lora_int_id]

    def _answer(
        self, model: PreTrainedModel | PeftModel, prompt: list[int], params: SamplingParams
    ) -> RequestOutput:
        written: list[int] = []
        logs: list[dict[int, Logprob]] = []
        draw = torch.Generator().manual_seed(params.seed or 0)
        reason = "length"
        while len(written) < (params.max_tokens or 1):
            ids = torch.tensor([[*prompt, *written]])
            logits = model(input_ids=ids, use_cache=False).logits[0, -1].float()
            log = logits.log_softmax(-1)
            new = int(logits.argmax())
            if params.temperature > 0:
                shares = (logits / params.temperature).softmax(-1)
                new = int(torch.multinomial(shares, 1, generator=draw))
            asked = {new, *(params.logprob_token_ids or [])}
            logs.append({each: Logprob(float(log[each])) for each in asked})
            written.append(new)
            text = self.tokenizer.decode(written, skip_special_tokens=params.skip_special_tokens)
            ended = new in (params.stop_token_ids or []) or new == self.tokenizer.eos_token_id
            if ended or any(stop in text for stop in params.stop or []):
                reason = "stop"
                break
        wanted = logs if params.logprob_token_ids else None
        return RequestOutput(prompt, [CompletionOutput(tuple(written), wanted, reason)])
