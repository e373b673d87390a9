"""Bases: what tells one from another, and what of a hub's settings is left out."""

from __future__ import annotations

import json
from pathlib import Path

import pytest
import torch
from tiny import REASONING, tiny_base
from transformers import PreTrainedModel

from synthpert import bases
from synthpert.errors import InputError
from synthpert.scratch import Scratch, make_base, split_words


@pytest.fixture(scope="module")
def base(tmp_path_factory: pytest.TempPathFactory) -> str:
    return tiny_base(tmp_path_factory.mktemp("bases") / "base")


def load(base: str, lora: bases.Lora | None = None, dtype: str = "float32") -> PreTrainedModel:
    model = bases.load_network(base, dtype, None, lora, torch.device("cpu"))
    assert isinstance(model, torch.nn.Module)
    return model  # type: ignore[return-value]


def fingerprint(base: str) -> str:
    return bases.fingerprint(load(base), bases.load_tokenizer(base))


def test_fingerprint_is_the_same_at_every_load(base: str) -> None:
    assert fingerprint(base) == fingerprint(base)


def test_fingerprint_is_not_of_the_place_or_the_type(base: str, tmp_path: Path) -> None:
    other = tiny_base(tmp_path / "elsewhere")
    assert fingerprint(base) == fingerprint(other)
    half = bases.fingerprint(load(base, dtype="bfloat16"), bases.load_tokenizer(base))
    assert half == fingerprint(base)


def test_fingerprint_differs_by_vocabulary(tmp_path: Path) -> None:
    for name, word in (("one", "AARS"), ("two", "B2M")):
        make_base(tmp_path / name, Scratch(16, 1, 2, 16), split_words([REASONING, word * 2]))
    assert fingerprint(str(tmp_path / "one")) != fingerprint(str(tmp_path / "two"))


def test_fingerprint_differs_by_size(base: str, tmp_path: Path) -> None:
    assert fingerprint(base) != fingerprint(tiny_base(tmp_path / "wide", width=32))


def test_generation_settings_of_the_hub_are_left_out(tmp_path: Path) -> None:
    base = tiny_base(tmp_path / "base")
    hub = {"do_sample": True, "temperature": 0.6, "top_p": 0.95, "max_new_tokens": 7}
    (tmp_path / "base" / "generation_config.json").write_text(json.dumps(hub))
    settings = load(base).generation_config
    assert not settings.do_sample
    assert settings.temperature != 0.6
    assert settings.max_new_tokens is None


def test_head_of_a_llama_is_last(base: str) -> None:
    model = load(base).train()
    assert bases.head_is_last(model)
    assert model.training


def test_head_is_not_last_where_logits_are_scaled(base: str) -> None:
    model = load(base)
    model.register_forward_hook(lambda module, args, out: out | {"logits": out.logits * 0.5})
    assert not bases.head_is_last(model)


def test_missing_tokenizer_is_one_line(tmp_path: Path) -> None:
    with pytest.raises(InputError, match=r"model\.base: cannot load") as error:
        bases.load_tokenizer(str(tmp_path / "nothing"))
    assert "\n" not in str(error.value)


def test_adapters_start_as_no_change(base: str) -> None:
    lora = bases.Lora(r=4, targets=("q_proj",))
    ids = torch.tensor([[5, 6, 7]])
    plain, adapted = (load(base, each).eval()(input_ids=ids).logits for each in (None, lora))
    torch.testing.assert_close(plain, adapted)
