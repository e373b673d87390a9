"""What a recipe describes, built without weights for the verbs that look at it."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest
import yaml
from cli_recipe import recipe, write

from synthpert.bases import ensure_scratch, load_tokenizer
from synthpert.errors import InputError
from tools.building import Built, Flags, build, give_scratch_tokenizer


@pytest.fixture(autouse=True)
def _there(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)


def built(settings: dict[str, Any], *words: str, base: str | None = None) -> Built:
    return build(["--config", write(Path("recipe.yaml"), settings), *words], base)


def test_a_recipe_for_many_gpus_is_built_on_this_machine() -> None:
    settings = recipe()
    settings["trainer"] |= {"accelerator": "gpu", "devices": 4, "num_nodes": 2, "strategy": "ddp"}
    settings["trainer"]["precision"] = "bf16-mixed"
    made = built(settings)
    assert (made.devices, made.precision) == (8, "bf16-mixed")
    assert made.trainer.world_size == 1
    assert list(made.student.parameters()) == []


def test_nothing_is_written() -> None:
    built(recipe())
    assert [path.name for path in Path().iterdir()] == ["recipe.yaml"]


def test_flags_overlay_the_recipe_and_base_overlays_both() -> None:
    made = built(recipe(), "--model.base", "one", "--model.max_tokens", "32", base="two")
    assert (made.student.base, made.student.max_tokens) == ("two", 32)


def test_the_configuration_that_a_run_saved_is_a_recipe() -> None:
    saved = {**recipe(), "ckpt_path": None, "run": "runs/a"}
    Path("config.yaml").write_text(yaml.safe_dump(saved))
    assert build(["--config=config.yaml"]).student.prompts.name == "compact"
    assert build(["--config", "config.yaml"]).student.prompts.name == "compact"


def test_a_base_from_nothing_gets_the_tokenizer_that_fit_would_make() -> None:
    made = built(recipe())
    give_scratch_tokenizer(made)
    ours = made.student.encoder.tokenizer.get_vocab()
    assert not Path("bases").exists()
    texts = made.data.texts(made.student.prompts)
    ensure_scratch(Path("bases/scratch"), made.student.scratch, texts)
    assert load_tokenizer("bases/scratch").get_vocab() == ours


def test_another_model_in_the_place_of_the_base_is_refused_as_fit_would() -> None:
    Path("bases/scratch").mkdir(parents=True)
    Path("bases/scratch/config.json").write_text("{}")
    with pytest.raises(InputError, match=r"bases/scratch:model\.base: the folder holds another"):
        give_scratch_tokenizer(built(recipe()))


@pytest.mark.parametrize(
    ("words", "told"),
    [
        ([], "no recipe"),
        (["--config", "nowhere.yaml"], "nowhere.yaml"),
        (["--config", "recipe.yaml", "--model.max_token", "3"], "unknown flag"),
    ],
)
def test_a_wrong_command_line_is_one_line(words: list[str], told: str) -> None:
    write(Path("recipe.yaml"), recipe())
    with pytest.raises(InputError, match=told) as caught:
        build(words)
    assert "\n" not in str(caught.value)


def test_a_wrong_flag_of_the_verbs_own_is_one_line() -> None:
    parser = Flags("look", "Looks.", "--n N", ["look --n 1"])
    parser.add_argument("--n", type=int)
    with pytest.raises(InputError, match="synthpert look: argument --n: invalid int value"):
        parser.parse_known_args(["--n", "many"])
