"""Every YAML that is shipped is built, without weights and without network."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

import pytest
import torch
from lightning.pytorch.strategies import DDPStrategy
from repository import ROOT

from data_modules.mixing import Mix
from data_modules.traces import TraceDataModule
from data_modules.tuples import TupleDataModule
from synthpert.bases import Lora
from synthpert.cli import RunCLI, cli
from synthpert.errors import InputError
from synthpert.losses import AnswerWeighted, ClassBalanced, LabelSmoothing
from synthpert.prompts import load_prompts
from synthpert.prompts.evidence import Evidence
from synthpert.sharding import Sharded
from tools.traces.settings import read_settings

CONFIGS = ROOT / "configs"
CONTEXT = CONFIGS / "context.yaml"
WEIGHTED = CONFIGS / "weighted_loss.yaml"
TRACES = sorted(CONFIGS.glob("traces*.yaml"))
RECIPES = sorted(set(CONFIGS.glob("*.yaml")) - {*TRACES, CONTEXT, WEIGHTED})
PROMPTS = sorted((CONFIGS / "prompts").glob("*.yaml"))
OVERLAYS = sorted((CONFIGS / "splits").glob("*.yaml"))
STRATEGIES = {"ddp": (DDPStrategy, 1), "ddp_nodes": (DDPStrategy, 2), "fsdp": (Sharded, 1)}
R1 = "deepseek-ai/DeepSeek-R1-Distill-Llama-8B"


def built(*configs: Path, flags: Sequence[str] = ()) -> RunCLI:
    """What the YAMLs describe, on the device that every machine has."""
    given = [word for config in configs for word in ("--config", str(config))]
    given += flags
    return cli([*given, "--trainer.accelerator", "cpu", "--watch.mode", "disabled"], run=False)


@pytest.fixture(autouse=True)
def _elsewhere(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)


def test_every_yaml_is_of_a_kind_that_is_tested_here() -> None:
    every = set(CONFIGS.rglob("*.yaml"))
    strategies = {CONFIGS / "strategies" / f"{name}.yaml" for name in STRATEGIES}
    assert every == {*RECIPES, *PROMPTS, *OVERLAYS, *TRACES, *strategies, CONTEXT, WEIGHTED}
    kinds = (RECIPES, PROMPTS, OVERLAYS, TRACES, strategies)
    assert ([len(kind) for kind in kinds], len(every)) == ([5, 7, 5, 3, 3], 25)


@pytest.mark.parametrize("recipe", RECIPES, ids=lambda path: path.stem)
def test_a_recipe_is_built_without_weights(recipe: Path, tmp_path: Path) -> None:
    made = built(recipe)
    assert list(made.model.parameters()) == []
    assert not list(tmp_path.iterdir())


@pytest.mark.parametrize("recipe", RECIPES, ids=lambda path: path.stem)
@pytest.mark.parametrize("overlay", OVERLAYS, ids=lambda path: path.stem)
def test_a_split_goes_over_every_recipe(recipe: Path, overlay: Path) -> None:
    made, plain = built(recipe, overlay).datamodule, built(recipe).datamodule
    held = overlay.stem.partition("_held_out")
    assert made.split == (f"held_out:{held[0]}" if held[1] else overlay.stem)
    assert type(made) is type(plain)
    assert made.batch_size == plain.batch_size


@pytest.mark.parametrize("recipe", RECIPES, ids=lambda path: path.stem)
@pytest.mark.parametrize("name", STRATEGIES)
def test_a_strategy_goes_over_every_recipe(recipe: Path, name: str) -> None:
    trainer = built(recipe, CONFIGS / "strategies" / f"{name}.yaml").trainer
    assert (type(trainer.strategy), trainer.num_nodes) == STRATEGIES[name]


@pytest.mark.parametrize("recipe", RECIPES, ids=lambda path: path.stem)
def test_context_goes_over_every_recipe(recipe: Path) -> None:
    made = built(recipe, CONTEXT)
    assert made.model.prompts.name == "paper_context"
    assert made.model.prompts.evidence == Evidence()


@pytest.mark.parametrize("recipe", RECIPES, ids=lambda path: path.stem)
def test_the_weighted_loss_goes_over_every_recipe(recipe: Path) -> None:
    loss = built(recipe, WEIGHTED).model.loss
    nested = (loss, loss.of, loss.of.of)
    assert [type(each) for each in nested] == [AnswerWeighted, ClassBalanced, LabelSmoothing]


def test_the_flags_that_the_weighted_loss_names_are_read(tmp_path: Path) -> None:
    file = ["--data.init_args.mix.file", str(tmp_path / "qa.jsonl")]
    flags = [*file, "--data.init_args.mix.ratio", "0.25", "--model.lora.plus", "16"]
    flags += ["--model.lora.rslora", "true", "--model.lora.dora", "true"]
    made = built(CONFIGS / "synthpert.yaml", WEIGHTED, flags=flags)
    assert made.model.lora == Lora(plus=16.0, rslora=True, dora=True)
    assert made.datamodule.mixture.mix == Mix(tmp_path / "qa.jsonl", 0.25)


def test_evidence_is_of_the_folder_and_the_split_of_the_questions(tmp_path: Path) -> None:
    strict = CONFIGS / "splits" / "strict.yaml"
    made = built(CONFIGS / "tiny.yaml", CONTEXT, strict, flags=["--data.init_args.data", "."])
    assert made.model.prompts.evidence == Evidence(data=Path(), split="strict")


def test_evidence_of_another_split_is_refused() -> None:
    flags = ["--model.evidence.split", "strict"]
    with pytest.raises(InputError, match="must be given via") as caught:
        built(CONFIGS / "tiny.yaml", CONTEXT, flags=flags)
    assert "\n" not in str(caught.value)


@pytest.mark.parametrize("prompts", PROMPTS, ids=lambda path: path.stem)
def test_a_prompt_set_is_read_by_name_and_by_path(prompts: Path) -> None:
    assert load_prompts(prompts.stem).prompt_id == load_prompts(prompts).prompt_id


def test_the_settings_of_the_traces_are_read() -> None:
    settings = read_settings("make", ["--config", str(CONFIGS / "traces.yaml")])
    assert {each.model for each in (settings.teacher, *settings.critics)} == {"offline/template"}


def settings(name: str) -> RunCLI:
    return built(CONFIGS / f"{name}.yaml")


def test_the_recipe_of_the_student_is_the_papers_where_it_does_not_say_why_not() -> None:
    made = settings("synthpert")
    student, data = made.model, made.datamodule
    assert student.base == R1
    assert (student.lora.r, student.lora.alpha, student.lora.dropout) == (32, 32, 0.0)
    assert student.learning_rate == 1e-4
    assert student.warmup_steps == 5
    assert student.max_tokens == 2048
    assert student.loss_on == "completion"
    assert student.template == "own"
    assert student.quantize is None
    assert student.dtype_name == "bfloat16"
    assert student.prompts.name == "paper"
    assert made.trainer.precision == "bf16-mixed"
    assert isinstance(data, TraceDataModule)
    assert data.batch_size == 4
    assert data.grades == ["excellent"]


def test_the_recipe_of_the_reference_is_as_it_was_run() -> None:
    made = settings("paper")
    student = made.model
    assert student.base == R1
    assert student.quantize == "4bit"
    assert student.loss_on == "all"
    assert student.template == "as_shipped"
    assert student.decoding.temperature == 1.0
    assert made.trainer.max_epochs == 50
    assert made.datamodule.validation_share == 0.0


def test_the_baseline_differs_from_the_student_in_what_it_is_trained_on() -> None:
    reasoning, data = settings("synthpert"), settings("sft_on_data")
    assert isinstance(data.datamodule, TupleDataModule)
    for name in ("base", "lora", "learning_rate", "loss_on", "template"):
        assert getattr(data.model, name) == getattr(reasoning.model, name)
    assert data.model.prompts == reasoning.model.prompts


@pytest.mark.parametrize("name", ["tiny", "tuples_cpu"])
def test_the_recipes_of_the_demonstration_need_no_gpu_and_no_download(name: str) -> None:
    made = cli(["--config", str(CONFIGS / f"{name}.yaml"), "--watch.mode", "disabled"], run=False)
    assert made.trainer.accelerator.__class__.__name__ == "CPUAccelerator"
    assert made.model.scratch is not None
    assert getattr(torch, made.model.dtype_name) is torch.float32
