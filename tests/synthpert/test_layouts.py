"""Flattened batches: the loss and the gradients of examples run one by one, and no cross-talk."""

from __future__ import annotations

import logging
from pathlib import Path
from typing import Any

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from tiny import tiny_base
from transformers import (
    AutoModelForCausalLM,
    BambaConfig,
    LlamaConfig,
    MistralConfig,
    PreTrainedConfig,
    PreTrainedModel,
    Qwen2Config,
)

from data_modules.batching import LabelledExample, collate
from synthpert import bases, layouts
from synthpert.encoding import IGNORED, Example
from synthpert.generation import Decoding, HFEngine
from synthpert.student import Student

SIZES = {
    "vocab_size": 50,
    "hidden_size": 16,
    "intermediate_size": 32,
    "num_hidden_layers": 2,
    "num_attention_heads": 4,
    "num_key_value_heads": 2,
    "max_position_embeddings": 64,
    "initializer_range": 0.5,
}


def model_of(config: PreTrainedConfig) -> PreTrainedModel:
    torch.manual_seed(0)
    return AutoModelForCausalLM.from_config(config).eval()


def example(length: int, prompt: int, seed: int = 0) -> LabelledExample:
    draw = torch.Generator().manual_seed(1000 * seed + length)
    ids = torch.randint(3, 50, (length,), generator=draw).tolist()
    return LabelledExample(Example(ids, [IGNORED] * prompt + ids[prompt:], length - 2), 1)


ROWS = [example(11, 4), example(5, 2), example(17, 9), example(6, 1)]


@pytest.fixture(scope="module")
def base(tmp_path_factory: pytest.TempPathFactory) -> str:
    return tiny_base(tmp_path_factory.mktemp("layouts") / "base")


def student(base: str, layout: layouts.Layout, **options: Any) -> Student:
    made = Student(base, "compact", dtype="float32", layout=layout, **options)
    made.configure_model()
    torch.manual_seed(3)
    for weight in made.parameters():
        torch.nn.init.normal_(weight, std=0.3)
    return made


def loss_and_gradients(made: Student, batches: list[list[LabelledExample]]) -> tuple:
    made.zero_grad()
    total = torch.zeros(())
    for rows in batches:
        loss, _ = made.token_loss(collate(rows, 0))
        loss.backward()
        total += loss.detach()
    return total, {name: p.grad.clone() for name, p in made.named_parameters() if p.requires_grad}


@pytest.mark.parametrize("layout", ["flattened", "padded"])
@pytest.mark.parametrize("checkpointing", [False, True])
def test_batch_has_the_loss_and_gradients_of_its_examples_one_by_one(
    base: str, layout: layouts.Layout, checkpointing: bool
) -> None:
    made = student(base, layout, gradient_checkpointing=checkpointing)
    made.network.train()
    together, gradients = loss_and_gradients(made, [ROWS])
    made._flattened = False
    apart, expected = loss_and_gradients(made, [[row] for row in ROWS])
    torch.testing.assert_close(together, apart, rtol=1e-5, atol=1e-5)
    for name, gradient in gradients.items():
        scale = float(expected[name].abs().max())
        torch.testing.assert_close(gradient, expected[name], rtol=1e-5, atol=1e-5 * scale)


@settings(deadline=None, max_examples=25)
@given(lengths=st.lists(st.integers(2, 20), min_size=1, max_size=6))
def test_flattened_examples_do_not_see_one_another(lengths: list[int]) -> None:
    model = model_of(LlamaConfig(**SIZES))
    assert layouts.choose(model, "auto")
    rows = [example(length, 1, i) for i, length in enumerate(lengths)]
    together = states(model, rows, flattened=True)
    apart = torch.cat([states(model, [row], flattened=False) for row in rows])
    torch.testing.assert_close(together, apart, rtol=1e-5, atol=1e-5)


def states(model: PreTrainedModel, rows: list[LabelledExample], flattened: bool) -> torch.Tensor:
    batch = collate(rows, 0)
    wanted = torch.arange(batch["input_ids"].shape[1]) < batch["lengths"][:, None]
    with torch.no_grad():
        return layouts.read(model, batch, wanted, head_is_last=True, flattened=flattened)


def test_changing_one_example_leaves_the_others_as_they_were() -> None:
    model = model_of(LlamaConfig(**SIZES))
    layouts.choose(model, "auto")
    before = states(model, ROWS, flattened=True)
    after = states(model, [*ROWS[:2], example(17, 9, seed=7), ROWS[3]], flattened=True)
    assert torch.equal(before[:16], after[:16])
    assert torch.equal(before[33:], after[33:])
    assert not torch.allclose(before[16:33], after[16:33])


def test_positions_that_begin_anew_are_not_enough_for_the_models_own_attention() -> None:
    model = model_of(LlamaConfig(**SIZES))
    # Its own attention ignores where examples begin: this is the fault that is looked for.
    assert not layouts.keeps_apart(model)


@pytest.mark.parametrize("kind", [LlamaConfig, Qwen2Config])
def test_models_of_full_attention_are_flattened(kind: type) -> None:
    assert layouts.choose(model_of(kind(**SIZES)), "auto")


@pytest.mark.parametrize(
    "config",
    [
        MistralConfig(**SIZES, sliding_window=4),
        BambaConfig(**SIZES, mamba_n_heads=4, mamba_d_head=8, attn_layer_indices=[1]),
    ],
    ids=["sliding window", "state space"],
)
def test_models_that_cannot_keep_examples_apart_are_padded(
    config: PreTrainedConfig, caplog: pytest.LogCaptureFixture
) -> None:
    model = model_of(config)
    before = model.config._attn_implementation
    with caplog.at_level(logging.INFO, "synthpert"):
        assert not layouts.choose(model, "auto")
    assert model.config._attn_implementation == before
    assert "batches are padded: this model's attention" in caplog.text


def test_the_student_says_how_batches_lie(base: str, caplog: pytest.LogCaptureFixture) -> None:
    with caplog.at_level(logging.INFO, "synthpert"):
        student(base, "auto")
        student(base, "padded")
    assert "batches are flattened: no padding, PyTorch's attention example by" in caplog.text
    assert "batches are padded, as asked" in caplog.text


def test_flattened_where_it_cannot_be_is_refused() -> None:
    from synthpert.errors import InputError

    with pytest.raises(InputError, match=r"model\.layout: .*cannot keep flattened examples apart"):
        layouts.choose(model_of(MistralConfig(**SIZES, sliding_window=4)), "flattened")


def test_generation_and_identity_are_those_of_the_models_own_attention(base: str) -> None:
    tokenizer = bases.load_tokenizer(base)
    found = []
    for layout in ("flattened", "padded"):
        model = bases.load_network(base, "float32", None, None, torch.device("cpu"))
        layouts.choose(model, layout)
        engine = HFEngine(model, 2, tokenizer.eos_token_id, tokenizer.decode)
        written = engine.complete([[5, 6, 7, 8], [9, 10]], Decoding(6), "", 0)
        found.append((written, bases.fingerprint(model, tokenizer), model.config.to_json_string()))
    assert found[0] == found[1]


def test_logits_of_a_model_that_changes_them_are_flattened_too() -> None:
    model = model_of(LlamaConfig(**SIZES))
    assert layouts.choose(model, "auto")
    batch = collate(ROWS, 0)
    wanted = torch.arange(17) < batch["lengths"][:, None]
    pair = [layouts.read(model, batch, wanted, False, flattened) for flattened in (True, False)]
    torch.testing.assert_close(pair[0], pair[1], rtol=1e-5, atol=1e-5)
    assert pair[0].shape == (39, 50)


def attn_written_out(
    query: torch.Tensor,
    key: torch.Tensor,
    value: torch.Tensor,
    starts: torch.Tensor,
    *rest: object,
    scale: float,
    window_size: tuple[int, int],
    enable_gqa: bool,
) -> torch.Tensor:
    """PyTorch's kernel of variable lengths, for machines without a GPU."""
    assert window_size == (-1, 0)
    assert enable_gqa
    assert rest[1:] == (17, 17)
    row = torch.arange(len(query))
    number = torch.searchsorted(starts, row, right=True)
    mask = (number[:, None] == number) & (row[:, None] >= row)
    key, value = (x.repeat_interleave(query.shape[1] // x.shape[1], 1) for x in (key, value))
    score = torch.einsum("qhd,khd->hqk", query, key) * scale
    return torch.einsum("hqk,khd->qhd", score.masked_fill(~mask, -torch.inf).softmax(-1), value)


def test_variable_length_kernel_is_told_where_examples_begin(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    model = model_of(LlamaConfig(**SIZES))
    layouts.choose(model, "auto")
    expected = states(model, ROWS, flattened=True)
    monkeypatch.setattr("torch.nn.attention.varlen.varlen_attn", attn_written_out)
    monkeypatch.setattr(layouts, "_is_for_flash", lambda query, dropout: True)
    torch.testing.assert_close(states(model, ROWS, flattened=True), expected, rtol=1e-5, atol=1e-5)


def test_bfloat16_is_within_the_tolerance_of_the_trial(tmp_path: Path) -> None:
    model = model_of(LlamaConfig(**SIZES)).to(torch.bfloat16)
    assert layouts.choose(model, "auto")


@pytest.mark.parametrize(("lengths", "pays"), [([30, 30, 30], False), ([5, 30, 31], True)])
def test_a_batch_is_worth_flattening_where_it_has_padding(lengths: list[int], pays: bool) -> None:
    batch = {"input_ids": torch.zeros(3, max(lengths)), "lengths": torch.tensor(lengths)}
    assert layouts.pays(batch) is pays
