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


FORMS = [{"rslora": True}, {"dora": True}, {"plus": 16.0}, {"dora": True, "rslora": True}]


@pytest.mark.parametrize("form", FORMS, ids=str)
def test_every_form_of_adapters_starts_as_no_change_and_in_float32(base: str, form: dict) -> None:
    lora = bases.Lora(r=4, targets=("q_proj",), **form)
    ids = torch.tensor([[5, 6, 7]])
    plain = load(base).eval()(input_ids=ids).logits
    torch.testing.assert_close(load(base, lora).eval()(input_ids=ids).logits, plain)
    half = load(base, lora, "bfloat16")
    assert {p.dtype for p in half.parameters() if p.requires_grad} == {torch.float32}


def test_rslora_scales_by_the_root_of_the_rank(base: str) -> None:
    found = []
    for rslora in (False, True):
        model = load(base, bases.Lora(r=4, alpha=8, targets=("q_proj",), rslora=rslora))
        found.append(model.get_submodule("base_model.model.model.layers.0.self_attn.q_proj"))
    assert [layer.scaling["default"] for layer in found] == [8 / 4, 8 / 2]


def test_dora_trains_the_size_of_each_weight_vector(base: str) -> None:
    model = load(base, bases.Lora(r=4, targets=("q_proj",), dora=True))
    trained = [name for name, p in model.named_parameters() if p.requires_grad]
    assert sum("lora_magnitude_vector" in name for name in trained) == 2


def test_each_form_of_adapters_has_an_identity_of_its_own() -> None:
    forms = [{}, *FORMS, {"plus": 4.0}]
    assert len({str(bases.Lora(**form)) for form in forms}) == len(forms)


def test_identity_of_plain_adapters_is_that_of_older_checkpoints() -> None:
    lora = bases.Lora(r=4, alpha=8, targets=("q_proj",))
    assert str(lora) == "Lora(r=4, alpha=8, dropout=0.0, targets=('q_proj',))"


@pytest.mark.parametrize("plus", [0.5, float("inf")])
def test_ratio_of_rates_that_makes_no_sense_is_refused(plus: float) -> None:
    with pytest.raises(InputError, match=r"model\.lora\.plus: not a ratio"):
        bases.Lora(plus=plus)
