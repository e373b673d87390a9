"""The engine of vLLM, over a small program that has vLLM's calls and transformers beneath."""

from __future__ import annotations

import importlib
import sys
from collections.abc import Iterator
from pathlib import Path
from types import ModuleType
from typing import Any

import polars as pl
import pytest
import torch
from polars.testing import assert_frame_equal
from tiny import tiny_base

from synthpert import bases
from synthpert.answering import answer
from synthpert.errors import InputError
from synthpert.generation import Decoding, HFEngine, Mode
from synthpert.generation.engines import build, refuse_whole
from synthpert.generation.vllm import RANKS, VLLMEngine
from synthpert.questions import Question
from synthpert.student import Student

LORA = bases.Lora(r=4, alpha=4)
QUESTIONS = [
    Question("k562", "AARS", "A2M"),
    Question("rpe1", "NA", "HLA-A"),
    Question("k562", "AARS", "NA"),
]
DIRECT = Decoding(mode="direct")


@pytest.fixture(scope="module")
def base(tmp_path_factory: pytest.TempPathFactory) -> str:
    """A base whose weights are large enough to find one label likelier than another."""
    folder = tiny_base(tmp_path_factory.mktemp("vllm") / "base")
    network: Any = bases.load_network(folder, "float32", None, None, torch.device("cpu"))
    for weight in network.parameters():
        weight.data *= 8
    network.save_pretrained(folder)
    return folder


@pytest.fixture(autouse=True)
def program(monkeypatch: pytest.MonkeyPatch) -> Iterator[ModuleType]:
    """The module that stands for vLLM."""
    monkeypatch.syspath_prepend(str(Path(__file__).parent / "without_gpu"))
    yield importlib.import_module("vllm")
    for name in [each for each in sys.modules if each.split(".")[0] == "vllm"]:
        del sys.modules[name]


def make(base: str, **options: Any) -> Student:
    settings = {"prompts": "short", "dtype": "float32", "lora": LORA, **options}
    student = Student(base, **settings)
    torch.manual_seed(0)
    student.configure_model()
    for name, weight in student.named_parameters():
        if "lora_B" in name:
            torch.nn.init.normal_(weight, std=0.5)
    return student


def ask(student: Student, decoding: Decoding) -> pl.DataFrame:
    parts = (student.engine, student.encoder, QUESTIONS, [None] * len(QUESTIONS), decoding)
    return answer(*parts, probabilities=True, model="tiny")


@pytest.mark.parametrize("mode", ["reason", "direct"])
def test_answers_are_those_of_the_live_model(base: str, mode: Mode) -> None:
    live, served = (
        ask(make(base, engine=name), Decoding(12, mode=mode)) for name in ("hf", "vllm")
    )
    assert_frame_equal(live, served, abs_tol=1e-4)


def test_choices_of_any_length_have_the_probabilities_of_the_live_model(base: str) -> None:
    contexts = [[5, 6, 7], [5, 6], [9]]
    choices = [[[10, 11, 12], [10, 13], [10, 11]], [[10], [11], [12]], [[4], [4, 5], [4, 6, 7]]]
    live, served = (
        make(base, engine=name).engine.choice_probabilities(contexts, choices, 2)
        for name in ("hf", "vllm")
    )
    torch.testing.assert_close(live, served, rtol=0, atol=1e-4)


def test_stop_text_ends_a_completion_and_belongs_to_it(base: str) -> None:
    live, served = (make(base, engine=name) for name in ("hf", "vllm"))
    prompts = live.encoder.prompt_ids(QUESTIONS)
    free = live.engine.complete(prompts, Decoding(12), "", 0)
    stop = live.encoder.decode(free[0].ids[4:6])
    found = served.engine.complete(prompts, Decoding(12), stop, 0)
    assert found == live.engine.complete(prompts, Decoding(12), stop, 0)
    assert found[0].finish_reason == "stop"


def test_end_of_sequence_ends_a_completion(base: str) -> None:
    served = make(base, engine="vllm")
    prompts = served.encoder.prompt_ids(QUESTIONS[:1])
    free = served.engine.complete(prompts, Decoding(6), "", 0)[0].ids
    served.engine.eos_id = free[3]
    found = served.engine.complete(prompts, Decoding(6), "", 0)[0]
    assert (found.ids, found.finish_reason) == (free[: free.index(free[3])], "stop")


def test_samples_follow_the_seed_and_not_the_prompts_beside(base: str) -> None:
    engine = make(base, engine="vllm").engine
    prompts = [[5, 6, 7], [8, 9], [4]]
    sampled = Decoding(8, mode="vote", temperature=1.0)
    together, again, other = (engine.complete(prompts, sampled, "", seed) for seed in (1, 1, 2))
    assert together == again != other
    assert engine.complete(prompts[2:], sampled, "", 1) == together[2:]


def test_program_starts_with_the_first_question_and_the_weights_of_then(
    base: str, program: ModuleType
) -> None:
    served = make(base, engine="vllm")
    assert program.LLM.started == []
    before = served.engine.complete([[5, 6, 7]], Decoding(6), "", 0)
    late = make(base, engine="vllm")
    for name, weight in late.named_parameters():
        if "lora_B" in name:
            torch.nn.init.zeros_(weight)
    assert late.engine.complete([[5, 6, 7]], Decoding(6), "", 0) != before
    assert [each["max_lora_rank"] for each in program.LLM.started] == [8, 8]


def test_there_is_room_for_the_rank_and_no_more_than_needed(base: str, program: ModuleType) -> None:
    for rank in (8, 9, 300):
        lora = bases.Lora(r=rank, targets=("q_proj",))
        make(base, engine="vllm", lora=lora).engine.complete([[5]], Decoding(1), "", 0)
    assert [each["max_lora_rank"] for each in program.LLM.started] == [8, 16, 320]
    assert set(RANKS) < set(program.RANKS)


def test_engine_is_the_one_that_was_named(base: str) -> None:
    assert isinstance(build(make(base)), HFEngine)
    assert isinstance(build(make(base, engine="vllm")), VLLMEngine)


def test_checkpoint_without_adapters_is_refused_for_vllm_alone(base: str) -> None:
    refuse_whole(make(base, lora=None))
    with pytest.raises(InputError, match="export --what merged"):
        refuse_whole(make(base, lora=None, engine="vllm"))


def test_each_adapter_has_a_number_of_its_own(base: str, program: ModuleType) -> None:
    for _ in range(2):
        make(base, engine="vllm").engine.complete([[5, 6]], Decoding(1), "", 0)
    numbers = [each.lora_int_id for each in program.LLM.requests]
    assert len(set(numbers)) == 2
    assert min(numbers) > 0


def test_base_without_adapters_is_served_as_it_is(base: str, program: ModuleType) -> None:
    live, served = (make(base, engine=name, lora=None) for name in ("hf", "vllm"))
    assert_frame_equal(ask(live, DIRECT), ask(served, DIRECT), abs_tol=1e-4)
    assert program.LLM.requests == []


def test_no_prompt_starts_nothing(base: str, program: ModuleType) -> None:
    engine = make(base, engine="vllm").engine
    assert engine.complete([], Decoding(), "", 0) == []
    assert engine.choice_probabilities([], [], 8).shape == (0, 0)
    assert program.LLM.started == []


def test_program_that_does_not_start_is_one_line(
    base: str, program: ModuleType, monkeypatch: pytest.MonkeyPatch
) -> None:
    def broken(**options: object) -> None:
        raise RuntimeError("Failed to infer device type\nand more")

    monkeypatch.setattr(program, "LLM", broken)
    with pytest.raises(InputError, match=r"does not start: Failed to infer device type \("):
        make(base, engine="vllm").engine.complete([[5]], Decoding(1), "", 0)


@pytest.mark.parametrize(
    ("wrong", "remedy"),
    [
        ({"quantize": "4bit"}, "model.quantize null"),
        ({"lora": bases.Lora(dora=True)}, "export --what merged"),
        ({"lora": bases.Lora(r=1024)}, "up to rank 512"),
    ],
)
def test_student_that_vllm_cannot_serve_is_refused(
    base: str, wrong: dict[str, Any], remedy: str
) -> None:
    with pytest.raises(InputError, match=remedy):
        make(base, engine="vllm", **wrong)


def test_vllm_that_is_not_installed_is_named(base: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(sys, "path", [each for each in sys.path if "without_gpu" not in each])
    del sys.modules["vllm"]
    with pytest.raises(InputError, match=r"pip install 'synthpert\[vllm\]'"):
        make(base, engine="vllm")
