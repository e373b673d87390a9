"""Generation on a live tiny model: batching, stopping, seeds, and what is left untouched."""

from __future__ import annotations

import json
from pathlib import Path

import pytest
import torch
from tiny import tiny_base

from synthpert import bases
from synthpert.encoding import Encoder
from synthpert.generation.decoding import Completion, Decoding
from synthpert.generation.hf import HFEngine
from synthpert.prompts import load_prompts
from synthpert.questions import Question

Parts = tuple[HFEngine, Encoder]
QUESTIONS = [
    Question("k562", "AARS", "A2M"),
    Question("rpe1", "NA", "HLA-A"),
    Question("k562", "AARS", "NA"),
]


@pytest.fixture(scope="module")
def parts(tmp_path_factory: pytest.TempPathFactory) -> Parts:
    base = tiny_base(tmp_path_factory.mktemp("base") / "tiny")
    encoder = Encoder(bases.load_tokenizer(base), load_prompts("compact"))
    model = bases.load_network(base, "float32", None, None, torch.device("cpu"))
    tokenizer = encoder.tokenizer
    engine = HFEngine(model, tokenizer.pad_token_id, tokenizer.eos_token_id, tokenizer.decode)
    return engine, encoder


def test_batched_completions_equal_those_one_by_one(parts: Parts) -> None:
    engine, encoder = parts
    prompts = encoder.prompt_ids(QUESTIONS)
    decoding = Decoding(max_new_tokens=12, batch_size=3)
    together = engine.complete(prompts, decoding, "", 0)
    apart = [engine.complete([prompt], decoding, "", 0)[0] for prompt in prompts]
    assert together == apart


def test_completion_is_cut_at_the_token_limit(parts: Parts) -> None:
    engine, encoder = parts
    completion = engine.complete(encoder.prompt_ids(QUESTIONS[:1]), Decoding(5), "", 0)[0]
    assert len(completion.ids) == 5
    assert completion.finish_reason == "length"


def test_stop_text_ends_a_completion(parts: Parts) -> None:
    engine, encoder = parts
    prompt = encoder.prompt_ids(QUESTIONS[:1])
    free = engine.complete(prompt, Decoding(20), "", 0)[0]
    stop = encoder.decode(free.ids[4:6])
    completion = engine.complete(prompt, Decoding(20), stop, 0)[0]
    assert completion.finish_reason == "stop"
    assert encoder.decode(completion.ids).endswith(stop)
    assert completion.ids == free.ids[: len(completion.ids)]


def test_stop_text_in_the_prompt_stops_nothing(parts: Parts) -> None:
    engine, encoder = parts
    prompt = encoder.prompt_ids(QUESTIONS[:1])
    stop = encoder.decode(prompt[0][-2:])
    assert len(engine.complete(prompt, Decoding(3), stop, 0)[0].ids) == 3


def test_end_of_sequence_is_a_stop(parts: Parts) -> None:
    engine, encoder = parts
    prompt = encoder.prompt_ids(QUESTIONS[:1])
    first = engine.complete(prompt, Decoding(6), "", 0)[0].ids
    ends = HFEngine(engine.model, engine.pad_id, first[3], engine.decode)
    completion = ends.complete(prompt, Decoding(6), "", 0)[0]
    assert completion.finish_reason == "stop"
    assert completion.ids == first[: first.index(first[3])]


def test_sampling_follows_its_seed(parts: Parts) -> None:
    engine, encoder = parts
    prompts = encoder.prompt_ids(QUESTIONS)
    decoding = Decoding(12, temperature=1.0)
    one, same, other = (engine.complete(prompts, decoding, "", seed) for seed in (1, 1, 2))
    assert one == same
    assert one != other


def test_generation_leaves_random_state_mode_and_cache_setting(parts: Parts) -> None:
    engine, encoder = parts
    engine.model.train()
    engine.model.config.use_cache = False
    torch.manual_seed(5)
    expected = torch.rand(3)
    torch.manual_seed(5)
    engine.complete(encoder.prompt_ids(QUESTIONS), Decoding(3, temperature=1.0), "", 0)
    assert torch.equal(torch.rand(3), expected)
    assert engine.model.training
    assert not engine.model.config.use_cache


def test_mode_is_restored_after_an_error(parts: Parts) -> None:
    engine, _ = parts
    engine.model.train()
    with pytest.raises(IndexError):
        engine.complete([[10**6]], Decoding(3), "", 0)
    assert engine.model.training


def brute_force(model: torch.nn.Module, context: list[int], choice: list[int]) -> float:
    ids = torch.tensor([[*context, *choice]])
    with torch.no_grad():
        log = model.eval()(input_ids=ids).logits.double().log_softmax(-1)[0]
    places = range(len(context) - 1, ids.shape[1] - 1)
    return float(sum(log[place, ids[0, place + 1]] for place in places))


def test_choice_probabilities_equal_those_of_whole_sequences(parts: Parts) -> None:
    engine, encoder = parts
    contexts = encoder.prompt_ids(QUESTIONS)
    choices = encoder.text_ids(["upregulated", "A2M AARS", " unchanged of k562"])
    found = engine.choice_probabilities(contexts, [choices] * 3, batch_size=2)
    logs = [[brute_force(engine.model, c, choice) for choice in choices] for c in contexts]
    expected = torch.tensor(logs, dtype=torch.float64).softmax(1)
    torch.testing.assert_close(found, expected, rtol=1e-5, atol=1e-6)


def test_choices_of_one_token_need_no_second_pass(parts: Parts) -> None:
    engine, encoder = parts
    contexts = encoder.prompt_ids(QUESTIONS)
    found = engine.choice_probabilities(contexts, [[[10], [11]]] * 3, batch_size=8)
    torch.testing.assert_close(found.sum(1), torch.ones(3, dtype=torch.float64))


def test_stop_text_of_several_tokens_ends_each_row_by_itself(parts: Parts) -> None:
    engine, encoder = parts
    prompts = encoder.prompt_ids(QUESTIONS)
    free = engine.complete(prompts, Decoding(20), "", 0)
    stop = encoder.decode(free[0].ids[2:5])
    together = engine.complete(prompts, Decoding(20), stop, 0)
    apart = [engine.complete([prompt], Decoding(20), stop, 0)[0] for prompt in prompts]
    assert together == apart
    assert encoder.decode(together[0].ids).count(stop) == 1


def test_settings_of_the_models_folder_do_not_steer_decoding(tmp_path: Path) -> None:
    base = tiny_base(tmp_path / "base")
    expected = greedy(base)
    hub = {"do_sample": True, "temperature": 9.0, "repetition_penalty": 5.0, "max_new_tokens": 2}
    (tmp_path / "base" / "generation_config.json").write_text(json.dumps(hub))
    assert greedy(base) == expected


def greedy(base: str) -> list[Completion]:
    encoder = Encoder(bases.load_tokenizer(base), load_prompts("compact"))
    model = bases.load_network(base, "float32", None, None, torch.device("cpu"))
    engine = HFEngine(model, encoder.pad_id, encoder.tokenizer.eos_token_id, encoder.raw_text)
    return engine.complete(encoder.prompt_ids(QUESTIONS), Decoding(8), "", 0)
