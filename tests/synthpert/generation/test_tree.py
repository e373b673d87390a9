"""Scores from a tree: those of whole sequences one by one, whatever is shared."""

from __future__ import annotations

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from peft import LoraConfig, get_peft_model
from transformers import LlamaConfig, LlamaForCausalLM, MistralConfig, PreTrainedModel
from transformers.models.mistral import MistralForCausalLM

from synthpert.generation import HFEngine, tree

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
CONTEXTS = [[*SHARED, 8, 9], [*SHARED, 10], [*SHARED, 8, 11, 12, 13], [*SHARED, 8, 9]]
CHOICES = [[20, 21, 22], [20, 23], [20, 21, 24, 25]]


def llama(**options: object) -> LlamaForCausalLM:
    torch.manual_seed(0)
    return LlamaForCausalLM(LlamaConfig(**SIZES, **options)).eval()


def engine_of(model: PreTrainedModel) -> HFEngine:
    return HFEngine(model, 0, 1, lambda ids: " ".join(map(str, ids)))


@torch.no_grad()
def one_by_one(
    model: PreTrainedModel, contexts: list[list[int]], choices: list[list[int]]
) -> torch.Tensor:
    """Each choice after its context in a sequence of its own, without a cache."""
    rows = []
    for context in contexts:
        sums = []
        for choice in choices:
            ids = torch.tensor([[*context, *choice]])
            log = model(input_ids=ids, use_cache=False).logits.double().log_softmax(-1)[0]
            places = range(len(context) - 1, ids.shape[1] - 1)
            sums.append(sum(log[place, ids[0, place + 1]] for place in places))
        rows.append(torch.stack(sums))
    return torch.stack(rows).softmax(1)


def close(found: torch.Tensor, expected: torch.Tensor) -> None:
    torch.testing.assert_close(found, expected, rtol=0, atol=1e-5)


@settings(deadline=None, max_examples=25)
@given(
    shared=st.lists(st.integers(2, 39), max_size=6),
    rest=st.lists(st.lists(st.integers(2, 39), min_size=1, max_size=5), min_size=1, max_size=5),
    choices=st.lists(st.lists(st.integers(2, 5), min_size=1, max_size=4), min_size=2, max_size=3),
    batch_size=st.integers(1, 3),
)
def test_probabilities_are_those_of_whole_sequences(
    shared: list[int], rest: list[list[int]], choices: list[list[int]], batch_size: int
) -> None:
    model, contexts = llama(), [[*shared, *each] for each in rest]
    engine = engine_of(model)
    assert engine._reads_trees
    found = engine.choice_probabilities(contexts, [choices] * len(contexts), batch_size)
    close(found, one_by_one(model, contexts, choices))


def test_no_token_is_read_twice() -> None:
    model, sizes = llama(), []
    engine = engine_of(model)
    assert engine._reads_trees
    hook = model.register_forward_hook(
        lambda module, args, named, out: sizes.append(tuple(named["input_ids"].shape)),
        with_kwargs=True,
    )
    engine.choice_probabilities(CONTEXTS, [CHOICES] * 4, 8)
    hook.remove()
    # The shared beginning; then 8, 9, 10, 11, 12, 13, and in three places 20, 21, 23 and 21's 24
    # but for the last ids of the choices: 20, 21, 24.
    assert sizes == [(1, 5), (1, 6 + 3 * 3)]


def test_contexts_of_trees_that_are_full_are_read_in_another(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(tree, "_SHORTEST", 1)
    model = llama()
    found = engine_of(model).choice_probabilities(CONTEXTS, [CHOICES] * 4, 8)
    close(found, one_by_one(model, CONTEXTS, CHOICES))


def test_adapters_are_read_with_the_model() -> None:
    plain = llama()
    without = engine_of(plain).choice_probabilities(CONTEXTS, [CHOICES] * 4, 8)
    adapted = get_peft_model(plain, LoraConfig(r=2, target_modules=["q_proj", "down_proj"]))
    for name, weight in adapted.named_parameters():
        if "lora_B" in name:
            torch.nn.init.normal_(weight)
    model = adapted.get_base_model()
    found = engine_of(model).choice_probabilities(CONTEXTS, [CHOICES] * 4, 8)
    close(found, one_by_one(model, CONTEXTS, CHOICES))
    assert float((found - without).abs().max()) > 0.01


def windowed() -> MistralForCausalLM:
    torch.manual_seed(0)
    return MistralForCausalLM(MistralConfig(**SIZES, sliding_window=4)).eval()


def eager() -> LlamaForCausalLM:
    model = llama()
    model.set_attn_implementation("eager")
    return model


@pytest.mark.parametrize("make", [windowed, eager])
def test_model_that_obeys_no_mask_of_ours_is_read_row_by_row(make: type) -> None:
    model = make()
    engine = engine_of(model)
    assert not engine._reads_trees
    found = engine.choice_probabilities(CONTEXTS, [CHOICES] * 4, 3)
    close(found, one_by_one(model, CONTEXTS, CHOICES))


def test_model_that_sees_other_branches_does_not_fit() -> None:
    model = llama()
    forward = model.forward

    def blind(**named: object) -> object:
        named.pop("attention_mask", None)
        return forward(**named)

    model.forward = blind
    assert not tree.fits(model)


def test_model_in_mixed_precision_is_read_as_a_tree_too() -> None:
    model = llama()
    with torch.autocast("cpu", dtype=torch.bfloat16):
        assert tree.fits(model)
        found = engine_of(model).choice_probabilities(CONTEXTS, [CHOICES] * 4, 8)
    expected = one_by_one(model, CONTEXTS, CHOICES)
    torch.testing.assert_close(found, expected, rtol=0, atol=0.1)


def test_tree_merges_what_begins_alike() -> None:
    grown = tree.Tree()
    assert grown.add([7, 8, 9]) == [0, 1, 2]
    assert grown.add([7, 8, 5]) == [0, 1, 3]
    assert grown.add([9], after=3) == [4]
    assert (grown.ids, grown.depths) == ([7, 8, 9, 5, 9], [0, 1, 2, 2, 3])
    assert grown.sees()[4].tolist() == [True, True, False, True, True]
