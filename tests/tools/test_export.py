"""A trained student leaves the house: what is written is loaded by others and answers the same."""

from __future__ import annotations

import hashlib
import json
import os
import shutil
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
import torch
from cli_recipe import recipe, write
from tiny import tiny_base
from transformers import (
    AutoModelForCausalLM,
    AutoTokenizer,
    PreTrainedModel,
    PreTrainedTokenizerBase,
)

from synthpert.__main__ import main
from synthpert.errors import InputError
from synthpert.files import SUMS, checksums, seal
from synthpert.questions import Question
from tools.building import build
from tools.export import writing
from tools.export.card import write_card
from tools.export.folder import refuse_taken, whole_folder
from tools.export.loading import load_trained
from tools.export.writing import write_merged

QUESTION = Question("k562", "AARS", "A2M")
LORA = {"r": 4, "alpha": 8, "dropout": 0.1}


@pytest.fixture(scope="module")
def lab(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Path]:
    """A folder with runs: `lora`, tested too; `half`, on bfloat16; `full`, all weights."""
    folder = tmp_path_factory.mktemp("lab")
    before = Path.cwd()
    os.chdir(folder)
    tiny_base(Path("bases/tiny"))
    fit("lora", lora=LORA)
    fit("half", lora=LORA, dtype="bfloat16")
    fit("full", lora=None)
    last = ["--run", "runs/lora", "--ckpt_path", "last"]
    assert main(["test", "--config", "lora.yaml", *last]) == 0
    yield folder
    os.chdir(before)


@pytest.fixture(autouse=True)
def _there(lab: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(lab)


def fit(name: str, **model: Any) -> None:
    settings = recipe()
    del settings["model"]["scratch"]
    settings["model"] |= {"base": "bases/tiny", "max_tokens": 256, "learning_rate": 0.05, **model}
    settings["trainer"]["precision"] = "bf16-mixed" if "dtype" in model else "32-true"
    config = write(Path(f"{name}.yaml"), settings)
    assert main(["fit", "--config", config, "--run", f"runs/{name}"]) == 0


def export(run: str, out: Path, *flags: str) -> int:
    return main(["export", "--run", f"runs/{run}", "--out", str(out), *flags])


def greedy(model: PreTrainedModel, tokenizer: PreTrainedTokenizerBase) -> str:
    """As the card says to ask."""
    messages = [{"role": "user", "content": "k562 AARS A2M"}]
    prompt = tokenizer.apply_chat_template(messages, tokenize=False, add_generation_prompt=True)
    ids = tokenizer(prompt, add_special_tokens=False, return_tensors="pt")
    with torch.no_grad():
        out = model.eval().generate(**ids, do_sample=False, max_new_tokens=12)
    return str(tokenizer.decode(out[0][ids["input_ids"].shape[1] :]))


def trained_text(run: str) -> str:
    """What the student itself answers, greedily."""
    student = load_trained(Path(f"runs/{run}"), "last", None, []).student
    assert student.network is not None
    ids = torch.tensor(student.encoder.prompt_ids([QUESTION]))
    eos = student.encoder.tokenizer.eos_token_id
    out = student.causal_lm.generate(
        input_ids=ids, do_sample=False, max_new_tokens=12, eos_token_id=eos
    )
    return student.encoder.raw_text(out[0][ids.shape[1] :].tolist())


def test_adapters_answer_in_plain_peft_as_the_student_does(tmp_path: Path) -> None:
    from peft import PeftModel

    assert export("lora", tmp_path / "out") == 0
    base = AutoModelForCausalLM.from_pretrained("bases/tiny", dtype=torch.float32)
    untrained = greedy(base, AutoTokenizer.from_pretrained(tmp_path / "out"))
    model = PeftModel.from_pretrained(base, tmp_path / "out")
    text = greedy(model, AutoTokenizer.from_pretrained(tmp_path / "out"))
    assert text == trained_text("lora")
    assert text != untrained


def test_a_merged_model_answers_in_plain_transformers_as_the_student_does(tmp_path: Path) -> None:
    assert export("lora", tmp_path / "out", "--what", "merged") == 0
    model = AutoModelForCausalLM.from_pretrained(tmp_path / "out")
    assert greedy(model, AutoTokenizer.from_pretrained(tmp_path / "out")) == trained_text("lora")


def test_a_merged_model_has_the_type_of_the_recipe_and_no_adapters(tmp_path: Path) -> None:
    assert export("half", tmp_path / "out", "--what", "merged") == 0
    model = AutoModelForCausalLM.from_pretrained(tmp_path / "out", dtype="auto")
    assert {weight.dtype for weight in model.parameters()} == {torch.bfloat16}
    assert not any("lora" in name for name, _ in model.named_parameters())
    assert not (tmp_path / "out" / "adapter_config.json").exists()


def test_a_student_without_adapters_is_a_model(tmp_path: Path) -> None:
    assert export("full", tmp_path / "out", "--what", "merged") == 0
    model = AutoModelForCausalLM.from_pretrained(tmp_path / "out")
    assert greedy(model, AutoTokenizer.from_pretrained(tmp_path / "out")) == trained_text("full")


@pytest.mark.parametrize("form", ["rslora", "dora"])
def test_other_forms_of_adapters_are_merged_too(form: str, tmp_path: Path) -> None:
    fit(form, lora={**LORA, form: True})
    assert export(form, tmp_path / "out", "--what", "merged") == 0
    model = AutoModelForCausalLM.from_pretrained(tmp_path / "out")
    assert greedy(model, AutoTokenizer.from_pretrained(tmp_path / "out")) == trained_text(form)


def test_base_and_run_are_left_as_they_were(tmp_path: Path) -> None:
    def contents() -> dict[Path, bytes]:
        folders = (Path("bases"), Path("runs/lora"))
        return {p: p.read_bytes() for each in folders for p in each.rglob("*") if p.is_file()}

    before = contents()
    assert export("lora", tmp_path / "out", "--what", "merged") == 0
    assert contents() == before


def test_logits_are_compared_at_all_positions_of_real_prompts(tmp_path: Path) -> None:
    checked = write_merged(load_trained(Path("runs/half"), "last", None, []), tmp_path)
    assert checked.prompts == 8
    assert checked.merged <= 1e-4 * checked.largest
    assert 0 < checked.written <= 5e-2 * checked.largest
    assert checked.dtype == "bfloat16"


def test_a_merge_that_answers_otherwise_is_refused_and_leaves_nothing(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setitem(writing.TOLERANCE, "bfloat16", 1e-9)
    assert export("half", tmp_path / "out", "--what", "merged") == 2
    last = capsys.readouterr().err.splitlines()[-1]
    assert "merged in bfloat16, the model does not answer as its adapters do" in last
    assert list(tmp_path.iterdir()) == []


def test_every_file_is_listed_with_its_checksum(tmp_path: Path) -> None:
    out = tmp_path / "out"
    assert export("lora", out) == 0
    lines = (out / SUMS).read_text().splitlines()
    found = {name: digest for digest, name in (line.split("  ") for line in lines)}
    assert set(found) == {path.name for path in out.iterdir()} - {SUMS}
    card = (out / "README.md").read_text()
    for name, digest in found.items():
        assert hashlib.sha256((out / name).read_bytes()).hexdigest() == digest
        assert name == "README.md" or f"| `{name}` | `{digest}` |" in card


def test_the_card_tells_base_prompts_training_and_scores(tmp_path: Path) -> None:
    assert export("lora", tmp_path / "out", "--what", "merged") == 0
    card = (tmp_path / "out" / "README.md").read_text()
    for told in (
        "library_name: transformers",
        "id `compact-",
        "| optimiser steps | 6 |",
        "| accuracy | ",
        "| eval_macro_f1 | 6 | ",
        "Genentech Non-Commercial Software License",
        "must never be sent through it",
        "add_special_tokens=False",
    ):
        assert told in card
    assert str(Path.cwd()) not in card


def test_the_card_takes_a_score_json_that_the_run_holds(tmp_path: Path) -> None:
    shutil.copytree("runs/lora", tmp_path / "run")
    score = ["score", "runs/lora/predictions.parquet", "--json", str(tmp_path / "run/score.json")]
    # The recipe asks one cell line; the benchmark has four, so coverage tells them apart.
    assert main(score) == 0
    trained = load_trained(tmp_path / "run", "last", None, [])
    place = tmp_path / "place"
    place.mkdir()
    write_card(trained, "adapter", None, place, "mine")
    card = (place / "README.md").read_text()
    assert "Of `score.json`, lora, split default:" in card
    found = json.loads((tmp_path / "run/score.json").read_text())["files"]["lora"]["all"]
    assert f"| questions | {found['n']:,} |" in card


def test_another_checkpoint_than_the_newest_is_asked_for_by_its_file(tmp_path: Path) -> None:
    file = next(Path("runs/lora/checkpoints").glob("*.ckpt"))
    assert load_trained(Path("runs/lora"), str(file), None, []).checkpoint == file


def test_the_student_that_is_loaded_holds_the_trained_weights() -> None:
    trained = load_trained(Path("runs/lora"), "last", None, [])
    own = dict(trained.student.network.named_parameters())  # type: ignore[union-attr]
    assert trained.weights
    assert all(torch.equal(own[name], weight) for name, weight in trained.weights.items())
    assert trained.step == 6


def test_a_run_that_is_none_is_one_line(capsys: pytest.CaptureFixture[str], tmp_path: Path) -> None:
    assert export("nowhere", tmp_path / "out") == 2
    assert capsys.readouterr().err.startswith("runs/nowhere: no run (expected the folder of a fit")


def test_a_run_without_a_checkpoint_is_one_line(
    capsys: pytest.CaptureFixture[str], tmp_path: Path
) -> None:
    Path("runs/begun").mkdir(exist_ok=True)
    shutil.copy("runs/lora/config.yaml", "runs/begun")
    assert export("begun", tmp_path / "out") == 2
    assert capsys.readouterr().err == "runs/begun: the run has no checkpoint\n"


def test_a_folder_that_holds_something_is_refused_before_anything_is_loaded(
    capsys: pytest.CaptureFixture[str], tmp_path: Path
) -> None:
    (tmp_path / "mine.txt").write_text("mine")
    assert export("nowhere", tmp_path) == 2
    assert "the folder is not empty" in capsys.readouterr().err
    assert (tmp_path / "mine.txt").read_text() == "mine"


def test_adapters_of_a_student_without_any_are_refused(
    capsys: pytest.CaptureFixture[str], tmp_path: Path
) -> None:
    assert export("full", tmp_path / "out") == 2
    last = capsys.readouterr().err.splitlines()[-1]
    assert last.startswith("runs/full: the run trained all weights, not adapters")
    assert list(tmp_path.iterdir()) == []


def test_a_checkpoint_of_another_base_is_refused(
    capsys: pytest.CaptureFixture[str], tmp_path: Path
) -> None:
    other = tiny_base(tmp_path / "tiny", seed=1)
    assert export("lora", tmp_path / "out", "--base", other) == 2
    assert "the checkpoint is of another student" in capsys.readouterr().err


def test_a_push_without_a_token_is_refused_before_anything_is_written(
    capsys: pytest.CaptureFixture[str], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.delenv("HF_TOKEN", raising=False)
    assert export("lora", tmp_path / "out", "--push", "ada/student") == 2
    assert "the hub wants a token" in capsys.readouterr().err
    assert list(tmp_path.iterdir()) == []


def write_half(folder: Path) -> None:
    with whole_folder(folder) as place:
        (place / "half").write_text("half")
        raise OSError(28, "No space left on device")


def test_a_folder_is_whole_or_absent(tmp_path: Path) -> None:
    with pytest.raises(InputError, match="cannot be written"):
        write_half(tmp_path / "out")
    assert list(tmp_path.iterdir()) == []
    (tmp_path / "out").mkdir()
    with whole_folder(tmp_path / "out") as place:
        (place / "a").write_text("a")
        seal(place)
    assert set(checksums(tmp_path / "out")) == {"a", SUMS}


def test_a_file_in_the_folders_place_is_refused(tmp_path: Path) -> None:
    (tmp_path / "out").touch()
    with pytest.raises(InputError, match="this is a file"):
        refuse_taken(tmp_path / "out")


def test_a_runs_own_configuration_can_be_previewed_again() -> None:
    assert build(["--config", "runs/lora/config.yaml"]).student.lora is not None
