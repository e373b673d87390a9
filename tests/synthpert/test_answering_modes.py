"""The modes: answers without a thought, votes by seed, completions that are there already."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace

import polars as pl
import pytest
import torch
from polars.testing import assert_frame_equal
from test_answering import QUESTION, SHARES, Scripted, brute_force, encode, joining_tokenizer
from tiny import tiny_base
from transformers import LlamaConfig, LlamaForCausalLM, PreTrainedModel

from synthpert import bases
from synthpert.answering import answer, read_completions, stop_text
from synthpert.encoding import Encoder
from synthpert.errors import InputError
from synthpert.generation import Decoding, HFEngine
from synthpert.generation.sampling import seed_of
from synthpert.prompts import load_prompts
from synthpert.questions import LABELS, Label, Question

QUESTIONS = [
    QUESTION,
    Question("rpe1", "NA", "HLA-A"),
    Question("k562", "AARS", "NA"),
    Question("k562", "NA", "AARS"),
]
DIRECT = Decoding(mode="direct")
VOTE = Decoding(6, mode="vote", seed=3)


@pytest.fixture(scope="module", params=[False, True], ids=["bare", "opens"])
def base(request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory) -> str:
    folder = tmp_path_factory.mktemp("modes") / "base"
    return tiny_base(folder, opens_thought=request.param)


@pytest.fixture(scope="module")
def model(base: str) -> PreTrainedModel:
    network = bases.load_network(base, "float32", None, None, torch.device("cpu")).eval()
    # Larger weights: those of an untrained model would give all labels the same probability.
    for weight in network.parameters():
        weight.data *= 8
    return network  # type: ignore[return-value]


def engine_of(model: PreTrainedModel, encoder: Encoder) -> HFEngine:
    return HFEngine(model, encoder.pad_id, encoder.tokenizer.eos_token_id, encoder.raw_text)


def ask(
    model: PreTrainedModel, encoder: Encoder, decoding: Decoding, questions: Sequence[Question]
) -> pl.DataFrame:
    known = [None] * len(questions)
    parts = (engine_of(model, encoder), encoder, questions, known, decoding)
    return answer(*parts, probabilities=True, model="tiny")


@pytest.mark.parametrize("prompts", ["paper", "short", "compact"])
def test_direct_answer_is_the_most_probable_of_the_whole_answers(
    base: str, model: PreTrainedModel, prompts: str
) -> None:
    encoder = encode(base, prompts)
    table = ask(model, encoder, DIRECT, QUESTIONS)
    choices = encoder.text_ids([encoder.completion_text(label) for label in LABELS])
    if prompts == "compact":
        choices = [[*ids, encoder.tokenizer.eos_token_id] for ids in choices]
    asked = encoder.prompt_ids(QUESTIONS)
    expected = torch.tensor([brute_force(model, prompt, choices) for prompt in asked])
    found = torch.tensor(table.select(SHARES).to_numpy())
    torch.testing.assert_close(found.float(), expected.float(), rtol=0, atol=1e-5)
    assert table["answer"].to_list() == [LABELS[i] for i in expected.argmax(1).tolist()]


def test_direct_answer_has_no_text_and_says_so(base: str, model: PreTrainedModel) -> None:
    row = ask(model, encode(base, "short"), DIRECT, [QUESTION]).row(0, named=True)
    empty = ("reasoning", "response", "parse_status", "finish_reason")
    assert {row[name] for name in empty} == {None}
    assert (row["mode"], row["n_samples"]) == ("direct", 1)


def test_direct_probabilities_do_not_depend_on_the_questions_beside(
    base: str, model: PreTrainedModel
) -> None:
    encoder = encode(base, "short")
    together = ask(model, encoder, DIRECT, QUESTIONS)
    apart = pl.concat([ask(model, encoder, DIRECT, [each]) for each in QUESTIONS])
    assert_frame_equal(together, apart, abs_tol=1e-6)


def test_direct_scores_the_tokens_that_training_has() -> None:
    encoder = Encoder(joining_tokenizer(), load_prompts("short"))
    sizes = {"hidden_size": 16, "intermediate_size": 32, "num_hidden_layers": 2}
    words = {"vocab_size": len(encoder.tokenizer), "initializer_range": 0.3}
    torch.manual_seed(0)
    model = LlamaForCausalLM(LlamaConfig(num_attention_heads=2, **sizes, **words)).eval()
    row = ask(model, encoder, DIRECT, [QUESTION]).row(0, named=True)
    trained = encoder.examples([QUESTION] * 3, LABELS, [None] * 3)
    prompt = encoder.prompt_ids([QUESTION])[0]
    choices = [example.input_ids[len(prompt) : -1] for example in trained if example]
    expected = brute_force(model, prompt, choices)
    assert [row[name] for name in SHARES] == pytest.approx(expected, abs=1e-5)


def test_direct_gives_no_label_that_is_not_offered(base: str, model: PreTrainedModel) -> None:
    row = ask(model, encode(base, "direction"), DIRECT, [QUESTION]).row(0, named=True)
    assert row["p_not_de"] == 0.0
    assert row["answer"] != Label.NOT_DE


def test_tied_probabilities_go_to_the_earlier_label(base: str) -> None:
    engine = Scripted(encode(base, "short"))
    parts = (engine, engine.encoder, [QUESTION], [Label.UP], DIRECT)
    table = answer(*parts, probabilities=False, model="scripted")
    assert table["answer"].to_list() == [Label.NOT_DE]
    assert table["label"].to_list() == [Label.UP]


@pytest.mark.parametrize("decoding", [DIRECT, VOTE])
def test_no_question_has_no_row_in_any_mode(
    base: str, model: PreTrainedModel, decoding: Decoding
) -> None:
    assert ask(model, encode(base, "short"), decoding, []).is_empty()


def test_a_vote_does_not_depend_on_the_questions_beside(base: str, model: PreTrainedModel) -> None:
    encoder = encode(base, "short")
    together = ask(model, encoder, VOTE, QUESTIONS)
    apart = pl.concat([ask(model, encoder, VOTE, QUESTIONS[i : i + 1]) for i in (3, 1)])
    assert together[[3, 1]]["response"].to_list() == apart["response"].to_list()
    assert together["n_samples"].to_list() == [5] * 4


def test_another_seed_gives_other_samples(base: str, model: PreTrainedModel) -> None:
    encoder = encode(base, "short")
    one, other = (ask(model, encoder, replace(VOTE, seed=seed), QUESTIONS) for seed in (3, 30))
    assert one["response"].to_list() != other["response"].to_list()


def test_completions_that_are_there_are_read_as_ones_own(base: str, model: PreTrainedModel) -> None:
    encoder = encode(base, "short")
    engine, prompts = engine_of(model, encoder), encoder.prompt_ids(QUESTIONS)
    rounds = [
        engine.complete(prompts, VOTE, stop_text(encoder), seed_of(VOTE.seed, [sample]))
        for sample in range(VOTE.samples)
    ]
    parts = (engine, encoder, QUESTIONS, [None] * 4, rounds, VOTE)
    table = read_completions(*parts, probabilities=True, model="tiny")
    assert_frame_equal(table, ask(model, encoder, VOTE, QUESTIONS))


def test_a_vote_brings_its_own_samples_and_temperature() -> None:
    assert (VOTE.samples, VOTE.temperature) == (5, 0.7)
    named = Decoding(samples=3, temperature=1.0, mode="vote")
    assert (named.samples, named.temperature) == (3, 1.0)


def test_direct_sets_aside_how_thoughts_are_written() -> None:
    decoding = replace(Decoding(samples=3, temperature=1.0, mode="vote"), mode="direct")
    assert (decoding.samples, decoding.temperature) == (1, 0.0)


@pytest.mark.parametrize(
    ("wrong", "remedy"),
    [
        ({"samples": 3}, "mode: vote"),
        ({"samples": 0}, "1 or more"),
        ({"temperature": -1.0}, "0 or more"),
        ({"top_p": 0.0}, "above 0"),
        ({"max_new_tokens": 0}, "1 or more"),
    ],
)
def test_decoding_that_cannot_be_is_refused(wrong: dict[str, float], remedy: str) -> None:
    with pytest.raises(InputError, match=f"model.decoding.{next(iter(wrong))}.*{remedy}"):
        Decoding(**wrong)  # type: ignore[arg-type]
