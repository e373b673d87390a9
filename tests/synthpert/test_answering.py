"""Answering: completions in, predictions out, with an engine whose completions are written here."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

import polars as pl
import pytest
import torch
from tiny import tiny_base
from tokenizers import Tokenizer, decoders, models, pre_tokenizers
from transformers import PreTrainedModel, PreTrainedTokenizerFast

from synthpert import bases
from synthpert.answering import answer
from synthpert.encoding import Encoder
from synthpert.generation import Completion, Decoding, HFEngine
from synthpert.generation.sampling import seed_of
from synthpert.predictions import PREDICTION_SCHEMA
from synthpert.prompts import PromptSet, load_prompts
from synthpert.questions import LABELS, Label, Question

QUESTION = Question("k562", "AARS", "A2M")
GREEDY = Decoding()
SHARES = ["p_not_de", "p_up", "p_down"]


class Scripted:
    """An engine that writes given texts, a list a sample, and scores by another or evenly."""

    def __init__(
        self, encoder: Encoder, *rounds: list[str], scores: HFEngine | None = None
    ) -> None:
        self.encoder, self.rounds, self.scores = encoder, list(rounds), scores
        self.seeds: list[int] = []
        self.stops: list[str] = []
        self.contexts: list[list[int]] = []
        self.choices: list[list[list[int]]] = []

    def complete(
        self, prompts: Sequence[Sequence[int]], decoding: Decoding, stop: str, seed: int
    ) -> list[Completion]:
        self.seeds.append(seed)
        self.stops.append(stop)
        texts = self.rounds.pop(0)
        return [Completion(ids, "stop") for ids in self.encoder.text_ids(texts)]

    def choice_probabilities(
        self,
        contexts: Sequence[Sequence[int]],
        choices: Sequence[Sequence[Sequence[int]]],
        batch_size: int,
    ) -> torch.Tensor:
        self.contexts += [list(context) for context in contexts]
        self.choices += [[list(choice) for choice in row] for row in choices]
        if self.scores is not None:
            return self.scores.choice_probabilities(contexts, choices, batch_size)
        count = len(choices[0])
        return torch.full((len(contexts), count), 1 / count, dtype=torch.float64)


@pytest.fixture(scope="module")
def base(tmp_path_factory: pytest.TempPathFactory) -> str:
    return tiny_base(tmp_path_factory.mktemp("answering") / "base")


@pytest.fixture(scope="module")
def model(base: str) -> PreTrainedModel:
    network = bases.load_network(base, "float32", None, None, torch.device("cpu")).eval()
    # Larger weights: those of an untrained model would give all labels the same probability.
    for weight in network.parameters():
        weight.data *= 8
    return network  # type: ignore[return-value]


def encode(base: str, prompts: str | PromptSet) -> Encoder:
    texts = load_prompts(prompts) if isinstance(prompts, str) else prompts
    return Encoder(bases.load_tokenizer(base), texts)


def ask(
    engine: Scripted, decoding: Decoding = GREEDY, probabilities: bool = True, count: int = 1
) -> pl.DataFrame:
    return answer(
        engine,
        engine.encoder,
        [QUESTION] * count,
        [None] * count,
        decoding,
        probabilities=probabilities,
        model="scripted",
    )


def brute_force(
    model: PreTrainedModel, context: list[int], choices: list[list[int]]
) -> list[float]:
    """The probabilities of whole continuations, one forward pass each, scaled to sum to 1."""
    logs = []
    for choice in choices:
        ids = torch.tensor([[*context, *choice]])
        with torch.no_grad():
            log = model(input_ids=ids).logits.double().log_softmax(-1)[0]
        places = range(len(context) - 1, ids.shape[1] - 1)
        logs.append(sum(log[place, ids[0, place + 1]] for place in places))
    return torch.stack(logs).softmax(0).tolist()


THOUGHT = "<think>\nAARS loads alanine.\n</think>\n"


@pytest.mark.parametrize("prompts", ["paper", "short"])
@pytest.mark.parametrize("between", ["", "So the answer is "])
def test_probabilities_are_those_of_whole_answers_after_the_models_own_text(
    base: str, model: PreTrainedModel, prompts: str, between: str
) -> None:
    encoder = encode(base, prompts)
    engine = HFEngine(model, encoder.pad_id, encoder.tokenizer.eos_token_id, encoder.raw_text)
    written = THOUGHT + between
    text = f"{written}<answer>upregulated</answer>"
    row = ask(Scripted(encoder, [text], scores=engine)).row(0, named=True)
    context = [*encoder.prompt_ids([QUESTION])[0], *encoder.text_ids([written])[0]]
    choices = encoder.text_ids([f"<answer>{label}</answer>" for label in LABELS])
    expected = brute_force(model, context, choices)
    assert [row[name] for name in SHARES] == pytest.approx(expected, rel=1e-4)
    assert max(expected) - min(expected) > 0.01


def test_bare_answers_are_scored_up_to_the_end_of_the_sequence(
    base: str, model: PreTrainedModel
) -> None:
    encoder = encode(base, "compact")
    eos = encoder.tokenizer.eos_token_id
    engine = HFEngine(model, encoder.pad_id, eos, encoder.raw_text)
    row = ask(Scripted(encoder, ["unchanged"], scores=engine)).row(0, named=True)
    words = encoder.text_ids(["unchanged", "upregulated", "downregulated"])
    choices = [[*ids, eos] for ids in words]
    expected = brute_force(model, encoder.prompt_ids([QUESTION])[0], choices)
    assert [row[name] for name in SHARES] == pytest.approx(expected, rel=1e-4)


@pytest.mark.parametrize("gap", ["", "\n", "\n\n"])
def test_bare_answer_is_scored_after_its_thought(base: str, gap: str) -> None:
    encoder = encode(base, "compact")
    engine = Scripted(encoder, [f"So.</think>{gap}upregulated"])
    ask(engine)
    assert encoder.decode(engine.contexts[0]).endswith(f"So.</think>{gap}")


@pytest.mark.parametrize("tag", ["<answer>", "<ANSWER>"])
def test_last_answer_tag_is_the_one_that_counts(base: str, tag: str) -> None:
    encoder = encode(base, "short")
    engine = Scripted(encoder, [f"An <answer> is due.</think>\n{tag}upregulated</answer>"])
    ask(engine)
    assert encoder.decode(engine.contexts[0]).endswith("An <answer> is due.</think>\n")
    choices = [encoder.decode(choice) for choice in engine.choices[0]]
    assert choices == [f"<answer>{label}</answer>" for label in LABELS]


def test_answer_without_tags_is_not_part_of_its_own_context(base: str) -> None:
    encoder = encode(base, "short")
    engine = Scripted(encoder, ["So.</think>\nupregulated"])
    ask(engine)
    assert encoder.decode(engine.contexts[0]).endswith("So.</think>\n")
    assert encoder.decode(engine.choices[0][1]) == "<answer>upregulated</answer>"


def joining_tokenizer() -> PreTrainedTokenizerFast:
    """Bytes, but the end of a tag and the beginning of one label are one token."""
    alphabet = sorted(pre_tokenizers.ByteLevel.alphabet())
    names = ["<s>", "</s>", *alphabet, ">n"]
    vocabulary = {piece: number for number, piece in enumerate(names)}
    core = Tokenizer(models.BPE(vocab=vocabulary, merges=[(">", "n")]))
    core.pre_tokenizer = pre_tokenizers.ByteLevel(add_prefix_space=False, use_regex=False)
    core.decoder = decoders.ByteLevel()
    tokenizer = PreTrainedTokenizerFast(tokenizer_object=core, bos_token="<s>", eos_token="</s>")
    tokenizer.chat_template = "{{ bos_token }}{{ messages[-1]['content'] }}:"
    return tokenizer


def test_labels_are_scored_in_the_tokens_that_training_has_them_in() -> None:
    encoder = Encoder(joining_tokenizer(), load_prompts("short"))
    engine = Scripted(encoder, ["So. <answer>upregulated</answer>"])
    ask(engine)
    prompt = encoder.prompt_ids([QUESTION])[0]
    found = [[*engine.contexts[0], *choice] for choice in engine.choices[0]]
    natural = encoder.text_ids([f"So. <answer>{label}</answer>" for label in LABELS])
    assert found == [[*prompt, *ids] for ids in natural]


def test_label_that_is_not_offered_has_probability_zero(base: str) -> None:
    row = ask(Scripted(encode(base, "direction"), ["<answer>upregulated</answer>"])).row(
        0, named=True
    )
    assert [row[name] for name in SHARES] == [0.0, 0.5, 0.5]


def test_unread_answer_is_null_and_so_are_its_probabilities(base: str) -> None:
    engine = Scripted(encode(base, "short"), ["<answer>maybe</answer>"])
    row = ask(engine).row(0, named=True)
    assert row["answer"] is None
    assert [row[name] for name in SHARES] == [None] * 3
    assert row["parse_status"] == "unknown"
    assert row["response"] == "<answer>maybe</answer>"


def test_unread_answer_among_others_keeps_its_place(base: str) -> None:
    texts = ["<answer>upregulated</answer>", "?" * 300, "<answer>downregulated</answer>"]
    table = ask(Scripted(encode(base, "short"), texts), count=3)
    assert table["answer"].to_list() == [Label.UP, None, Label.DOWN]
    assert table["p_up"].is_null().to_list() == [False, True, False]


def test_reasoning_and_response_are_kept(base: str) -> None:
    text = f"{THOUGHT}<answer>upregulated</answer>"
    row = ask(Scripted(encode(base, "short"), [text])).row(0, named=True)
    assert row["reasoning"] == "AARS loads alanine."
    assert row["response"] == text


def tagged(*labels: str) -> list[list[str]]:
    return [[f"<answer>{label}</answer>"] for label in labels]


SAMPLED = Decoding(samples=3, temperature=1.0, seed=5, mode="vote")


def test_answer_is_the_vote_of_the_samples(base: str) -> None:
    rounds = tagged("downregulated", "upregulated", "upregulated")
    row = ask(Scripted(encode(base, "short"), *rounds), SAMPLED).row(0, named=True)
    assert row["answer"] == Label.UP
    assert row["response"] == "<answer>upregulated</answer>"
    assert row["n_samples"] == 3


def test_unread_samples_have_no_vote_and_no_share(base: str) -> None:
    rounds = tagged("maybe", "perhaps", "downregulated")
    row = ask(Scripted(encode(base, "short"), *rounds), SAMPLED).row(0, named=True)
    assert row["answer"] == Label.DOWN
    assert sum(row[name] for name in SHARES) == pytest.approx(1.0)


def test_tie_of_votes_goes_to_the_more_probable_label(base: str, model: PreTrainedModel) -> None:
    encoder = encode(base, "short")
    scores = HFEngine(model, encoder.pad_id, encoder.tokenizer.eos_token_id, encoder.raw_text)
    rounds = tagged("upregulated", "downregulated", "maybe")
    row = ask(Scripted(encoder, *rounds, scores=scores), SAMPLED).row(0, named=True)
    likelier = Label.UP if row["p_up"] > row["p_down"] else Label.DOWN
    assert row["answer"] == likelier


def test_tie_without_probabilities_goes_to_the_earlier_label(base: str) -> None:
    rounds = tagged("downregulated", "upregulated", "maybe")
    engine = Scripted(encode(base, "short"), *rounds)
    row = ask(engine, SAMPLED, probabilities=False).row(0, named=True)
    assert row["answer"] == Label.UP
    assert row["p_up"] is None


def test_each_sample_has_its_own_seed(base: str) -> None:
    engine = Scripted(encode(base, "short"), *tagged("up", "up", "up"))
    ask(engine, SAMPLED)
    assert engine.seeds == [seed_of(5, [sample]) for sample in range(3)]
    assert len(set(engine.seeds)) == 3


def test_closing_tag_ends_a_completion(base: str) -> None:
    engine = Scripted(encode(base, "short"), *tagged("upregulated"))
    ask(engine)
    assert engine.stops == ["</answer>"]


@pytest.mark.parametrize("form", ["{label}", "Answer: {label}."])
def test_what_also_ends_sentences_ends_no_completion(base: str, form: str) -> None:
    prompts = PromptSet("mine", "{cell_line} {pert} {gene}", answer=form)
    engine = Scripted(encode(base, prompts), ["upregulated"])
    ask(engine)
    assert engine.stops == [""]


def test_table_is_of_the_schema_and_names_its_origin(base: str) -> None:
    encoder = encode(base, "short")
    table = ask(Scripted(encoder, *tagged("upregulated")))
    assert dict(table.schema) == dict(PREDICTION_SCHEMA)
    row = table.row(0, named=True)
    assert (row["model"], row["prompt_id"]) == ("scripted", encoder.prompts.prompt_id)


def test_no_question_has_no_row(base: str) -> None:
    assert ask(Scripted(encode(base, "short"), []), count=0).is_empty()


def test_bundled_prompts_can_all_be_asked(base: str) -> None:
    folder = Path(__file__).parents[2] / "configs" / "prompts"
    names = sorted(path.stem for path in folder.glob("*.yaml"))
    for name in names:
        encoder = encode(base, name)
        text = encoder.prompts.answer_text(Label.UP)
        assert ask(Scripted(encoder, [text]))["answer"].to_list() == [Label.UP]
    assert len(names) == 7
