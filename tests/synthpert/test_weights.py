"""What tells the weights of one base from another's."""

from __future__ import annotations

import json
from pathlib import Path

import pytest
import torch
from tiny import tiny_base
from transformers import AutoModelForCausalLM

from synthpert.weights import weights_digest


@pytest.fixture(scope="module")
def base(tmp_path_factory: pytest.TempPathFactory) -> str:
    return tiny_base(tmp_path_factory.mktemp("bases") / "base")


def test_the_digest_is_not_of_the_place(base: str, tmp_path: Path) -> None:
    assert weights_digest(tiny_base(tmp_path / "elsewhere")) == weights_digest(base)


def test_a_base_of_the_same_shape_has_another(base: str, tmp_path: Path) -> None:
    assert weights_digest(tiny_base(tmp_path / "other", seed=1)) != weights_digest(base)


def test_the_digest_is_not_of_how_the_weights_are_split(base: str, tmp_path: Path) -> None:
    AutoModelForCausalLM.from_pretrained(base).save_pretrained(tmp_path, max_shard_size="4KB")
    assert len(list(tmp_path.glob("model-*.safetensors"))) > 2
    assert weights_digest(str(tmp_path)) == weights_digest(base)


def test_one_tensor_that_was_trained_on_shows(base: str, tmp_path: Path) -> None:
    model = AutoModelForCausalLM.from_pretrained(base)
    with torch.no_grad():
        model.model.layers[1].mlp.up_proj.weight += 0.01
    model.save_pretrained(tmp_path)
    assert weights_digest(str(tmp_path)) != weights_digest(base)


@pytest.mark.parametrize("change", [0, 1])
def test_weights_in_pytorch_files_are_sampled_too(change: int, tmp_path: Path) -> None:
    for name in ("one", "two"):
        (tmp_path / name).mkdir()
        (tmp_path / name / "config.json").write_text(json.dumps({}))
    for name, byte in (("one", 0), ("two", change)):
        (tmp_path / name / "pytorch_model.bin").write_bytes(bytes([byte]) * 5000)
    one, two = (weights_digest(str(tmp_path / name)) for name in ("one", "two"))
    assert (one != two) == bool(change)
