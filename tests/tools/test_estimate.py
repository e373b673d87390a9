"""What a recipe takes on a GPU, against figures counted by PyTorch or known from elsewhere."""

from __future__ import annotations

import json
from pathlib import Path

import pytest
import torch
from cli_recipe import recipe, write
from repository import ROOT
from tiny import tiny_base, write_benchmark

from callbacks.run_facts import named_peak_flops
from synthpert.__main__ import main
from synthpert.bases import Lora
from synthpert.errors import InputError
from synthpert.gpus import GPUS, find_gpu
from tools.building import Built, build
from tools.estimate import SHARES
from tools.estimate.memory import activations_per_token, memory
from tools.estimate.report import report
from tools.estimate.shapes import KNOWN, Shape, find_shape, flops_per_token, scratch_shape
from tools.estimate.tokens import lengths_of, local_tokenizer
from tools.estimate.work import Work, work_of

R1 = "deepseek-ai/DeepSeek-R1-Distill-Llama-8B"
LLAMA = KNOWN[R1]
LORA = Lora()
SMALL = Shape(200, 64, 224, 6, 8, 2)


@pytest.fixture(autouse=True)
def _there(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)


def shipped(name: str, *words: str) -> Built:
    return build(["--config", str(ROOT / "configs" / f"{name}.yaml"), *words])


def paper(*words: str) -> Work:
    """The work of the paper's recipe, of 14,000 traces of its lengths."""
    made = shipped("paper", *words)
    return work_of(made, LLAMA, lengths_of(made, None))


def small_model(shape: Shape, lora: Lora | None, dtype: torch.dtype) -> torch.nn.Module:
    from peft import LoraConfig, get_peft_model
    from transformers import LlamaConfig, LlamaForCausalLM

    sizes = {name: getattr(shape, name) for name in Shape.__annotations__}
    config = LlamaConfig(**{name: size for name, size in sizes.items() if size is not None})
    model = LlamaForCausalLM(config).to(dtype)
    if lora is not None:
        model = get_peft_model(model, LoraConfig(r=lora.r, target_modules=list(lora.targets)))
    return model.train()


@pytest.mark.parametrize("lora", [Lora(r=4), None], ids=["adapters", "all weights"])
def test_flops_are_those_that_pytorch_counts(lora: Lora | None) -> None:
    from torch.utils.flop_counter import FlopCounterMode

    model = small_model(SMALL, lora, torch.float32)
    model.get_submodule("").config._attn_implementation = "eager"
    ids = torch.zeros((1, 96), dtype=torch.int64)
    with FlopCounterMode(display=False) as counter:
        model(input_ids=ids, use_cache=False).logits.sum().backward()
    counted = counter.get_total_flops() / 96
    # The first block needs no gradient of its input, which the formula counts.
    assert flops_per_token(SMALL, lora, 96) == pytest.approx(counted, rel=0.015)


@pytest.mark.parametrize(
    ("lora", "dtype", "mixed"),
    [(Lora(r=4), torch.bfloat16, True), (None, torch.float32, True), (None, torch.float32, False)],
    ids=["adapters", "all weights, mixed", "all weights"],
)
def test_activations_are_those_that_pytorch_keeps(
    lora: Lora | None, dtype: torch.dtype, mixed: bool
) -> None:
    shape = Shape(200, 128, 448, 4, 8, 2)
    model = small_model(shape, lora, dtype)
    kept = [bytes_kept(model, tokens, mixed) for tokens in (256, 512)]
    counted = (kept[1] - kept[0]) / 256 / shape.num_hidden_layers
    assert activations_per_token(shape, lora, 2 if mixed else 4) == pytest.approx(counted, rel=0.06)


def bytes_kept(model: torch.nn.Module, tokens: int, mixed: bool) -> int:
    """Bytes that a forward pass through the blocks keeps for the backward pass."""
    weights = {weight.untyped_storage().data_ptr() for weight in model.parameters()}
    held: dict[int, torch.UntypedStorage] = {}

    def keep(tensor: torch.Tensor) -> torch.Tensor:
        storage = tensor.untyped_storage()
        if storage.data_ptr() not in weights:
            held[storage.data_ptr()] = storage
        return tensor

    blocks = getattr(model, "get_base_model", lambda: model)().get_decoder()
    ids = torch.zeros((1, tokens), dtype=torch.int64)
    with (
        torch.autograd.graph.saved_tensors_hooks(keep, lambda tensor: tensor),
        torch.autocast("cpu", torch.bfloat16, enabled=mixed),
    ):
        blocks(input_ids=ids, use_cache=False)
    return sum(storage.nbytes() for storage in held.values())


def test_the_8b_shape_is_as_it_was_counted() -> None:
    assert LLAMA.parameters == 8_030_261_248
    assert LLAMA.adapters(LORA) == 83_886_080
    assert flops_per_token(LLAMA, LORA, 512) == pytest.approx(31.3e9, rel=0.005)
    recomputed = flops_per_token(LLAMA, LORA, 512, checkpointing=True)
    assert recomputed == pytest.approx(45.7e9, rel=0.005)
    assert 312e12 / flops_per_token(LLAMA, LORA, 512) == pytest.approx(9_970, rel=0.005)
    assert 312e12 / recomputed == pytest.approx(6_830, rel=0.005)


def test_the_8b_memory_is_as_it_is_known() -> None:
    facts = {"width": 2, "quantized": False, "tokens": 1000, "answered": 0}
    held = memory(LLAMA, LORA, **facts, checkpointing=False)
    assert held.weights == pytest.approx(16.1e9, rel=0.005)
    assert held.trained == pytest.approx(1.3e9, rel=0.04)
    assert held.activations == pytest.approx(7e9, rel=0.02)
    assert held.full_logits == pytest.approx(1.3e9, rel=0.02)
    assert held.logits < held.full_logits / 3
    assert memory(LLAMA, LORA, **facts, checkpointing=True).activations < held.activations / 10


def test_four_bits_take_a_third_of_the_weights() -> None:
    facts = {"width": 2, "tokens": 1, "answered": 0, "checkpointing": False}
    held = memory(LLAMA, LORA, quantized=True, **facts)
    assert held.weights == pytest.approx(5.7e9, rel=0.01)


def test_the_papers_claim_is_six_and_a_half_times_the_peak() -> None:
    work = paper()
    assert work.tokens == pytest.approx(350e6, rel=0.01)
    assert work.share_needed(GPUS["A100"], 1.5) == pytest.approx(6.5, rel=0.01)


def test_a_claim_above_the_peak_is_said_to_be_impossible(
    capsys: pytest.CaptureFixture[str],
) -> None:
    config = str(ROOT / "configs" / "paper.yaml")
    assert main(["estimate", "--config", config, "--gpu", "A100", "--claim-hours", "1.5"]) == 0
    out = capsys.readouterr().out
    said = "IMPOSSIBLE: 50 epochs in 1.5 hours on A100 would need 6.5 times the peak."
    assert said in out
    assert "| tokens | 350.00 M |" in out
    assert all(f"{share:.2f}" in out for share in SHARES)


@pytest.mark.parametrize(("hours", "said"), [(13, "UNLIKELY"), (60, "POSSIBLE")])
def test_a_claim_below_the_peak_is_weighed(
    hours: float, said: str, capsys: pytest.CaptureFixture[str]
) -> None:
    report(shipped("paper"), GPUS["A100"], None, None, hours)
    assert f"\n{said}: 50 epochs in {hours} hours" in capsys.readouterr().out


def test_steps_follow_batch_accumulation_devices_and_limits() -> None:
    made = shipped("paper", "--trainer.accumulate_grad_batches", "4", "--trainer.devices", "2")
    work = work_of(made, LLAMA, lengths_of(made, 1000))
    assert (work.step, work.steps) == (32, 50 * 32)
    assert work.training_hours(GPUS["H100"], 1.0) * 2 * 989e12 * 3600 == pytest.approx(work.flops)
    short = shipped("paper", "--trainer.max_steps", "100")
    assert work_of(short, LLAMA, lengths_of(short, 1000)).steps == 100


def test_the_recipes_evaluations_are_counted() -> None:
    made = shipped("synthpert")
    work = work_of(made, LLAMA, lengths_of(made, 4000))
    # 3 epochs of 980 steps: one at the start, five each 500, one at the end.
    assert (work.steps, work.evaluations) == (2940, 7)
    assert work.decoding_steps == 7 * 5 * 450
    # At the bandwidth itself, 16 GB of weights take 8 ms to read, and half the keys 2 ms.
    hours = work.evaluation_hours(GPUS["A100"], 1.0)
    assert hours == pytest.approx(7 * 5 * 450 * 0.0105 / 3600, rel=0.03)


def test_the_recipe_of_the_student_fits_an_a100_and_not_a_card_of_24_gb(
    capsys: pytest.CaptureFixture[str],
) -> None:
    report(shipped("synthpert"), GPUS["A100"], None, None, None)
    assert "It fits." in capsys.readouterr().out
    report(shipped("synthpert"), GPUS["L4"], None, None, None)
    assert "IT DOES NOT FIT: --model.gradient_checkpointing true" in capsys.readouterr().out


def local_recipe(there: Path, base: str) -> str:
    settings = recipe()
    del settings["model"]["scratch"]
    settings["model"] |= {"base": base, "lora": {"r": 2}}
    data = write_benchmark(there / "data")
    settings["data"]["init_args"] |= {"data": str(data)}
    return write(there / "recipe.yaml", settings)


def test_with_the_tokenizer_here_lengths_are_exact(tmp_path: Path) -> None:
    made = build(["--config", local_recipe(tmp_path, tiny_base(tmp_path / "base"))])
    found = lengths_of(made, None)
    example = made.data.train_dataloader().loader.dataset[0].example
    assert found.source.endswith("by the base's tokenizer")
    assert found.examples == len(made.data.train)
    assert 0 < len(example.input_ids) <= found.longest


def test_without_a_tokenizer_four_characters_are_a_token(tmp_path: Path) -> None:
    made = build(["--config", local_recipe(tmp_path, "nobody/nothing")])
    found = lengths_of(made, None)
    # `k562 P0 G0` is 10 or 11 characters, an answer 9 to 13, and the end of sequence one token.
    assert 6 < found.mean < 9
    assert "4 characters taken as a token" in found.source


def test_a_base_from_nothing_is_estimated_before_it_is_made(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    assert main(["estimate", "--config", write(tmp_path / "recipe.yaml", recipe())]) == 0
    assert "by the tokenizer made from it" in capsys.readouterr().out
    assert not (tmp_path / "bases").exists()


def test_the_shape_of_a_model_from_nothing_has_its_parameters(tmp_path: Path) -> None:
    from transformers import AutoModelForCausalLM

    folder = tiny_base(tmp_path / "base")
    made = AutoModelForCausalLM.from_pretrained(folder)
    shape = find_shape(folder, None)
    assert shape.parameters == sum(weight.numel() for weight in made.parameters())
    size = recipe()["model"]["scratch"]
    from synthpert.scratch import Scratch

    assert scratch_shape(Scratch(**size), 10).parameters > 0


def test_a_shape_is_read_from_a_file_or_from_the_command_line(tmp_path: Path) -> None:
    sizes = {name: getattr(SMALL, name) for name in Shape.__annotations__}
    sizes = {name: size for name, size in sizes.items() if size is not None}
    (tmp_path / "config.json").write_text(json.dumps({**sizes, "model_type": "llama"}))
    assert find_shape("nobody/nothing", str(tmp_path / "config.json")) == SMALL
    assert find_shape(str(tmp_path), None) == SMALL
    assert find_shape("nobody/nothing", json.dumps(sizes)) == SMALL


@pytest.mark.parametrize(
    ("base", "asked", "told"),
    [
        ("nobody/nothing", None, "model.base: the shape of this base is not known here"),
        (R1, "nowhere.json", "--shape: the shape of this base is not known here"),
        (R1, "{hidden_size: 64}", "--shape:vocab_size: the shape lacks a size"),
        (R1, "{]", "--shape: not a configuration of a model"),
    ],
)
def test_an_unknown_shape_is_one_line(base: str, asked: str | None, told: str) -> None:
    with pytest.raises(InputError) as caught:
        find_shape(base, asked)
    assert str(caught.value).startswith(told)


def test_a_size_that_is_none_is_refused() -> None:
    sizes = {**dict.fromkeys(Shape.__annotations__, 8), "hidden_size": "many"}
    with pytest.raises(InputError, match="--shape:hidden_size: not a size"):
        find_shape(R1, json.dumps(sizes))


@pytest.mark.parametrize("flag", ["--traces", "--claim-hours"])
def test_a_number_below_one_is_refused(flag: str, capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["estimate", "--config", "any.yaml", flag, "0"]) == 2
    assert capsys.readouterr().err.startswith(f"{flag}: must be above 0")


def test_a_recipe_without_an_end_is_refused() -> None:
    made = shipped("paper", "--trainer.max_epochs", "-1")
    with pytest.raises(InputError, match="has no end"):
        work_of(made, LLAMA, lengths_of(made, 100))


def test_an_unknown_gpu_is_one_line_with_the_known(capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["estimate", "--config", "any.yaml", "--gpu", "Voodoo"]) == 2
    assert capsys.readouterr().err.startswith("--gpu: unknown GPU (got 'Voodoo'; expected one of A")


def test_a_gpu_is_found_in_whatever_case() -> None:
    assert find_gpu("h100 pcie") is GPUS["H100-PCIe"]


def test_the_peaks_are_those_that_a_run_reports_against() -> None:
    for name in ("A100", "H100", "H200", "H100 PCIe", "H100 NVL", "H200 NVL"):
        assert named_peak_flops(f"NVIDIA {name}") == find_gpu(name).flops


def test_a_folder_without_a_tokenizer_and_a_name_never_fetched_have_none(tmp_path: Path) -> None:
    assert local_tokenizer(str(tmp_path)) is None
    assert local_tokenizer("nobody/nothing") is None
    assert local_tokenizer("runs/bases/nothing") is None


def test_a_budget_of_tokens_is_what_a_batch_has(tmp_path: Path) -> None:
    made = build(["--config", local_recipe(tmp_path, tiny_base(tmp_path / "base"))])
    plain = work_of(made, SMALL, lengths_of(made, None))
    packs = ["--data.init_args.tokens_per_batch", "70", "--trainer.max_epochs", "1"]
    words = ["--config", "recipe.yaml", *packs, "--trainer.max_steps", "-1"]
    made = build(words)
    lengths = lengths_of(made, None)
    packed = work_of(made, SMALL, lengths)
    assert packed.steps == lengths.packs
    assert lengths.packs == len(made.data.train_dataloader())
    assert packed.tokens == pytest.approx(lengths.examples * lengths.mean)
    assert packed.memory.activations < plain.memory.activations


@pytest.mark.parametrize("here", [True, False], ids=["tokenizer", "no tokenizer"])
def test_a_second_data_set_counts_by_its_share(tmp_path: Path, here: bool) -> None:
    turns = [("user", "What loads alanine?"), ("assistant", "AARS does. " * 5)]
    chat = {"messages": [{"role": role, "content": content} for role, content in turns]}
    (tmp_path / "chats.jsonl").write_text(f"{json.dumps(chat)}\n" * 50)
    base = tiny_base(tmp_path / "base") if here else "nobody/nothing"
    mix = ["--data.init_args.mix", json.dumps({"file": "chats.jsonl", "ratio": 0.5})]
    made = build(["--config", local_recipe(tmp_path, base), *mix, "--model.max_tokens", "512"])
    found = lengths_of(made, None)
    assert found.examples == 2 * len(made.data.train)
    assert found.longest > found.mean
