"""Decoding token by token: what `generate` writes, whatever has left the batch or is shared."""

from __future__ import annotations

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from transformers import GenerationConfig, LlamaConfig, LlamaForCausalLM, MistralConfig
from transformers.models.mistral import MistralForCausalLM

from synthpert.generation import Decoding, HFEngine
from synthpert.generation.sampling import chooser
from synthpert.generation.token_by_token import left_padded, read_beginning, write

SIZES = {
    "vocab_size": 40,
    "hidden_size": 16,
    "intermediate_size": 32,
    "num_hidden_layers": 2,
    "num_attention_heads": 4,
    "num_key_value_heads": 2,
    "max_position_embeddings": 128,
    "initializer_range": 0.6,
}
SHARED = [3, 4, 5, 6, 7]
PROMPTS = [[*SHARED, 8, 9], [*SHARED, 10], [*SHARED, 8, 11, 12, 13]]


@pytest.fixture(scope="module")
def model() -> LlamaForCausalLM:
    torch.manual_seed(0)
    return LlamaForCausalLM(LlamaConfig(**SIZES)).eval()


def never(ids: list[int]) -> bool:
    return False


def by_generate(model: LlamaForCausalLM, prompts: list[list[int]], count: int) -> list[list[int]]:
    ids, mask = left_padded(prompts, 0)
    config = GenerationConfig(max_new_tokens=count, do_sample=False, pad_token_id=0)
    # The model's own would end a row at the id that its configuration names.
    model.generation_config = GenerationConfig()
    out = model.generate(input_ids=ids, attention_mask=mask, generation_config=config)
    return out[:, ids.shape[1] :].tolist()


@torch.no_grad()
def by_hand(
    model: LlamaForCausalLM, prompts: list[list[int]], decoding: Decoding, ended: object = never
) -> list[list[int]]:
    beginning, choose = read_beginning(model, prompts), chooser(decoding, prompts, 0)
    return write(model, prompts, beginning, choose, decoding.max_new_tokens, 0, ended)


@settings(deadline=None, max_examples=20)
@given(
    shared=st.lists(st.integers(1, 39), max_size=8),
    rest=st.lists(st.lists(st.integers(1, 39), min_size=1, max_size=6), min_size=1, max_size=4),
)
def test_greedy_text_is_that_of_generate(shared: list[int], rest: list[list[int]]) -> None:
    torch.manual_seed(0)
    model = LlamaForCausalLM(LlamaConfig(**SIZES)).eval()
    prompts = [[*shared, *each] for each in rest]
    assert by_hand(model, prompts, Decoding(10)) == by_generate(model, prompts, 10)


def test_rows_that_leave_the_batch_change_nothing_for_the_others(model: LlamaForCausalLM) -> None:
    whole = by_hand(model, PROMPTS, Decoding(12))
    ends = [(whole[0][2], 3), (whole[1][7], 8)]

    def ended(ids: list[int]) -> bool:
        return (ids[-1], len(ids)) in ends

    parts = by_hand(model, PROMPTS, Decoding(12), ended)
    assert [len(part) for part in parts[:2]] == [3, 8]
    assert all(part == full[: len(part)] for part, full in zip(parts, whole, strict=True))


def test_work_ends_with_the_last_row(model: LlamaForCausalLM) -> None:
    sizes: list[int] = []
    hook = model.register_forward_hook(
        lambda module, args, named, out: sizes.append(len(named["input_ids"])), with_kwargs=True
    )
    count = {2: 1, 4: 1, 5: 1}
    by_hand(model, PROMPTS, Decoding(50), lambda ids: count.pop(len(ids), 0) > 0)
    hook.remove()
    # One read of what all begin with, then three rows twice, two twice, one once
    assert sizes == [1, 3, 3, 2, 2, 1]


def test_what_all_prompts_begin_with_is_read_once(model: LlamaForCausalLM) -> None:
    with torch.no_grad():
        assert read_beginning(model, PROMPTS).length == 5
        assert read_beginning(model, [[1, 2], [1, 2]]).length == 1
        assert read_beginning(model, PROMPTS[:1]).length == 0
        assert read_beginning(model, [[1, 2], [2, 2]]).cache is None


def test_the_beginning_is_as_it_was_after_a_batch(model: LlamaForCausalLM) -> None:
    with torch.no_grad():
        beginning = read_beginning(model, PROMPTS)
        choose = chooser(Decoding(8), PROMPTS, 0)
        pair = [write(model, PROMPTS, beginning, choose, 8, 0, never) for _ in range(2)]
    assert pair[0] == pair[1]


def test_a_nucleus_of_nothing_is_greedy(model: LlamaForCausalLM) -> None:
    sampled = by_hand(model, PROMPTS, Decoding(8, temperature=1.0, top_p=1e-6))
    assert sampled == by_hand(model, PROMPTS, Decoding(8))


def test_model_that_looks_back_over_a_window_goes_through_generate() -> None:
    torch.manual_seed(0)
    model = MistralForCausalLM(MistralConfig(**SIZES, sliding_window=4)).eval()
    engine = HFEngine(model, 0, 1, lambda ids: " ".join(map(str, ids)))
    found = engine.complete(PROMPTS, Decoding(6), "", 0)
    alone = [engine.complete([prompt], Decoding(6), "", 0)[0] for prompt in PROMPTS]
    assert found == alone
