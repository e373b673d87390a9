"""Whatever is wrong with a command line or a YAML is said in one line, with its place."""

from __future__ import annotations

import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from cli_recipe import recipe, write
from tiny import tiny_base

from synthpert.__main__ import main
from synthpert.errors import InputError
from synthpert.parse_errors import explain, values

Change = Callable[[dict[str, Any]], object]


@pytest.fixture(autouse=True)
def _there(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)


@pytest.fixture(scope="module")
def trained(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The checkpoint of a student of the compact prompts, on a base that was made for it."""
    folder = tmp_path_factory.mktemp("trained")
    settings = recipe()
    settings["model"]["base"] = str(folder / "base")
    config = write(folder / "recipe.yaml", settings)
    steps = ["--trainer.max_steps", "3"]
    assert main(["fit", "--config", config, "--run", str(folder / "run"), *steps]) == 0
    return folder


def refused(capsys: pytest.CaptureFixture[str], *args: str) -> str:
    """The one line that a refused command prints."""
    capsys.readouterr()
    assert main(list(args)) == 2
    lines = capsys.readouterr().err.splitlines()
    # What was logged before the fault showed is no part of it.
    assert "Traceback" not in "\n".join(lines)
    assert len(lines[-1]) < 400
    return lines[-1]


def refused_at_once(capsys: pytest.CaptureFixture[str], *args: str) -> str:
    capsys.readouterr()
    assert main(list(args)) == 2
    lines = capsys.readouterr().err.splitlines()
    assert len(lines) == 1
    return lines[0]


def changed(change: Change) -> str:
    settings = recipe()
    change(settings)
    return write(Path("wrong.yaml"), settings)


def rename(old: str, new: str) -> Change:
    def change(part: dict[str, Any]) -> None:
        part[new] = part.pop(old)

    return change


@pytest.mark.parametrize(
    ("change", "place", "hint"),
    [
        (lambda x: rename("warmup_steps", "warmup_stepz")(x["model"]), "model.warmup_stepz", "s"),
        (lambda x: rename("max_steps", "max_step")(x["trainer"]), "trainer.max_step", "max_steps"),
        (
            lambda x: rename("batch_size", "batch_sise")(x["data"]["init_args"]),
            "data.init_args.batch_sise",
            "did you mean 'batch_size'?",
        ),
        (
            lambda x: rename("questions", "questionz")(x["trainer"]["callbacks"][0]["init_args"]),
            "trainer.callbacks.init_args.questionz",
            "did you mean 'questions'?",
        ),
    ],
)
def test_an_unknown_key_is_named_with_its_line_and_the_likely_one(
    change: Change, place: str, hint: str, capsys: pytest.CaptureFixture[str]
) -> None:
    config = changed(change)
    rows = Path(config).read_text().splitlines()
    key = place.rpartition(".")[2]
    row = next(i for i, line in enumerate(rows, 1) if line.strip().startswith(f"{key}:"))
    line = refused_at_once(capsys, "fit", "--config", config)
    assert line.startswith(f"wrong.yaml:{row}:{place}: unknown key (got ")
    assert hint in line


@pytest.mark.parametrize(
    ("change", "place", "rest"),
    [
        (
            lambda x: x["trainer"].update(max_steps="many"),
            "trainer.max_steps",
            "got 'many'; expected int",
        ),
        (
            lambda x: x["data"]["init_args"].update(batch_size=["a"]),
            "data.init_args.batch_size",
            "expected int",
        ),
        (
            lambda x: x["model"].update(loss_on="prompt"),
            "model.loss_on",
            "got 'prompt'; expected completion, all, answer",
        ),
        (
            lambda x: x["model"]["scratch"].update(layers="two"),
            "model.scratch.layers",
            "got 'two'; expected int",
        ),
    ],
)
def test_a_wrong_type_is_named_with_what_is_expected(
    change: Change, place: str, rest: str, capsys: pytest.CaptureFixture[str]
) -> None:
    line = refused_at_once(capsys, "fit", "--config", changed(change))
    assert line.startswith("wrong.yaml:")
    assert f":{place}: wrong value (" in line
    assert rest in line


def test_a_wrong_flag_is_not_blamed_on_the_yaml(capsys: pytest.CaptureFixture[str]) -> None:
    config = write(Path("right.yaml"), recipe())
    line = refused_at_once(capsys, "fit", "--config", config, "--trainer.max_steps", "many")
    assert line == "synthpert fit:trainer.max_steps: wrong value (got 'many'; expected int)"


def test_an_unknown_flag_is_named_with_the_likely_one(capsys: pytest.CaptureFixture[str]) -> None:
    config = write(Path("right.yaml"), recipe())
    line = refused_at_once(capsys, "fit", "--config", config, "--model.warmup_stepz", "3")
    assert line.endswith("(got '--model.warmup_stepz'; did you mean '--model.warmup_steps'?)")


def test_a_class_from_elsewhere_is_refused_before_its_module_is_imported(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    (tmp_path / "planted_class.py").write_text("open('imported', 'w').close()\nclass It: ...\n")
    monkeypatch.syspath_prepend(tmp_path)
    config = changed(lambda x: x["trainer"]["callbacks"].append({"class_path": "planted_class.It"}))
    line = refused_at_once(capsys, "fit", "--config", config)
    assert "trainer.callbacks.class_path" in line
    assert "got 'planted_class.It'" in line
    assert "--import-from" in line
    assert not Path("imported").exists()
    assert "planted_class" not in sys.modules


@pytest.mark.parametrize("path", ["os.system", "subprocess.run", "torch.os.system"])
def test_a_function_of_python_is_no_class_to_name(
    path: str, capsys: pytest.CaptureFixture[str]
) -> None:
    config = changed(lambda x: x["model"].update(loss={"class_path": path}))
    refused_at_once(capsys, "fit", "--config", config)


def test_a_class_that_is_no_data_module_is_refused(capsys: pytest.CaptureFixture[str]) -> None:
    config = changed(lambda x: x["data"].update(class_path="callbacks.run_facts.RunFacts"))
    line = refused_at_once(capsys, "fit", "--config", config)
    assert ":data.class_path: not a LightningDataModule (got 'callbacks.run_facts.Run" in line


def test_a_class_that_does_not_exist_is_refused(capsys: pytest.CaptureFixture[str]) -> None:
    config = changed(lambda x: x["model"].update(loss={"class_path": "synthpert.losses.Nope"}))
    line = refused_at_once(capsys, "fit", "--config", config)
    assert ":model.loss.class_path: no such class" in line


def test_a_file_that_is_no_yaml_is_named_with_the_row(capsys: pytest.CaptureFixture[str]) -> None:
    Path("broken.yaml").write_text("trainer:\n  max_steps: [1\nmodel: 2\n")
    assert refused_at_once(capsys, "fit", "--config", "broken.yaml").startswith("broken.yaml:3: ")


def test_a_missing_configuration_is_named(capsys: pytest.CaptureFixture[str]) -> None:
    assert refused_at_once(capsys, "fit", "--config", "no.yaml") == "no.yaml: no such file"


def test_a_command_without_configuration_asks_for_one(capsys: pytest.CaptureFixture[str]) -> None:
    line = refused_at_once(capsys, "fit")
    assert line.startswith("synthpert fit: missing: model.base, data")


def test_what_lightning_refuses_is_one_line(capsys: pytest.CaptureFixture[str]) -> None:
    config = write(Path("right.yaml"), recipe())
    line = refused(capsys, "fit", "--config", config, "--trainer.max_steps=-5")
    assert line.startswith("synthpert fit:trainer: ")


def test_a_run_is_not_written_over(trained: Path, capsys: pytest.CaptureFixture[str]) -> None:
    config = str(trained / "recipe.yaml")
    line = refused_at_once(capsys, "fit", "--config", config, "--run", str(trained / "run"))
    assert "exists already" in line
    assert "--ckpt_path last" in line


@pytest.mark.parametrize("verb", ["validate", "test", "predict"])
def test_a_run_without_a_checkpoint_is_one_line(
    verb: str, capsys: pytest.CaptureFixture[str]
) -> None:
    config = write(Path("right.yaml"), recipe())
    line = refused_at_once(capsys, verb, "--config", config, "--run", "no", "--ckpt_path", "last")
    assert line == "no: the run has no checkpoint (expected the --run of a fit that has begun)"


def test_a_missing_checkpoint_is_named(capsys: pytest.CaptureFixture[str]) -> None:
    config = write(Path("right.yaml"), recipe())
    line = refused_at_once(capsys, "test", "--config", config, "--ckpt_path", "no.ckpt")
    assert line == "no.ckpt: no such checkpoint"


def test_a_checkpoint_without_its_checksum_is_refused(
    trained: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    whole = (trained / "run/checkpoints/last.ckpt").read_bytes()
    Path("half.ckpt").write_bytes(whole[: len(whole) // 2])
    config = str(trained / "recipe.yaml")
    line = refused_at_once(capsys, "test", "--config", config, "--ckpt_path", "half.ckpt")
    assert line.startswith("half.ckpt: the checkpoint has no checksum (expected half.ckpt.sha256")


def test_training_does_not_go_on_with_other_prompts(
    trained: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    last = ["--ckpt_path", str(trained / "run/checkpoints/last.ckpt"), "--run", "runs/other"]
    other = ["--model.prompts", "short", "--model.scratch", "null", "--model.max_tokens", "512"]
    line = refused(capsys, "fit", "--config", str(trained / "recipe.yaml"), *last, *other)
    assert "the checkpoint is of another student (got 'compact-" in line


def test_a_checkpoint_of_another_base_is_refused(
    trained: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    tiny_base(Path("other"))
    last = ["--ckpt_path", str(trained / "run/checkpoints/last.ckpt"), "--run", "runs/other"]
    other = ["--model.base", "other", "--model.scratch", "null"]
    line = refused(capsys, "test", "--config", str(trained / "recipe.yaml"), *last, *other)
    assert "ckpt_path:base: the checkpoint is of another student" in line


def test_an_unknown_split_is_named(capsys: pytest.CaptureFixture[str]) -> None:
    config = changed(lambda x: x["data"]["init_args"].update(split="random"))
    line = refused(capsys, "fit", "--config", config, "--run", "runs/a")
    assert "got 'random'; expected default | strict | held_out:CELL" in line


def test_a_base_that_is_nowhere_is_named(capsys: pytest.CaptureFixture[str]) -> None:
    config = changed(lambda x: x["model"].update(base="nobody/nothing", scratch=None))
    line = refused(capsys, "fit", "--config", config, "--run", "runs/a")
    assert line.startswith("model.base: cannot load the base model: ")
    assert "got 'nobody/nothing'" in line


def test_traces_that_are_not_there_are_named(capsys: pytest.CaptureFixture[str]) -> None:
    traces = {"class_path": "data_modules.traces.TraceDataModule", "init_args": {"traces": "no.pq"}}
    config = changed(lambda x: x.update(data=traces))
    assert "no.pq" in refused(capsys, "fit", "--config", config, "--run", "runs/a")


def test_ranks_that_do_not_know_of_each_other_must_be_given_a_run(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setenv("WORLD_SIZE", "2")
    config = write(Path("right.yaml"), recipe())
    assert refused_at_once(capsys, "fit", "--config", config).startswith("--run: ")


def test_a_complaint_of_an_unknown_form_is_cut_to_one_line() -> None:
    error = explain("something\n  quite\n" + "new " * 100, ["fit"], [])
    assert isinstance(error, InputError)
    assert str(error).startswith("synthpert fit: something quite new")
    assert len(str(error)) < 200


def test_a_flag_is_found_in_both_its_forms() -> None:
    args = ["fit", "--config", "a.yaml", "--config=b.yaml", "-c", "c.yaml", "--config"]
    assert sorted(values(args, "--config", "-c")) == ["a.yaml", "b.yaml", "c.yaml"]


def test_an_argument_that_a_class_needs_is_named(capsys: pytest.CaptureFixture[str]) -> None:
    traces = {"class_path": "data_modules.traces.TraceDataModule"}
    line = refused_at_once(capsys, "fit", "--config", changed(lambda x: x.update(data=traces)))
    assert ":data.class_path: missing: traces (got 'data_modules.traces.TraceDataModule')" in line


def test_what_a_class_says_of_its_arguments_is_handed_on(
    capsys: pytest.CaptureFixture[str],
) -> None:
    config = changed(lambda x: x["trainer"]["callbacks"][0]["init_args"].update(questions=0))
    line = refused_at_once(capsys, "fit", "--config", config)
    assert line == "synthpert fit: questions: must be positive (got 0; expected 1 or more)"


@pytest.mark.parametrize(
    ("text", "said"),
    [("def f(:", "invalid syntax"), ("import not_there", "No module named 'not_there'")],
)
def test_a_module_of_ones_own_that_cannot_be_imported_says_why(
    text: str, said: str, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    name = f"broken_{said[:2].lower()}"
    (tmp_path / f"{name}.py").write_text(text)
    config = changed(lambda x: x["trainer"]["callbacks"].append({"class_path": f"{name}.It"}))
    line = refused_at_once(capsys, "fit", "--config", config, "--import-from", name)
    sys.path.remove(str(tmp_path))
    assert said in line


def test_a_run_that_is_a_file_is_refused(capsys: pytest.CaptureFixture[str]) -> None:
    config = write(Path("right.yaml"), recipe())
    line = refused_at_once(capsys, "fit", "--config", config, "--run", "right.yaml")
    assert line == "--run: this is a file (got 'right.yaml'; expected a directory)"


def test_a_shortened_flag_is_not_guessed_at(capsys: pytest.CaptureFixture[str]) -> None:
    config = changed(lambda settings: None)
    line = refused_at_once(capsys, "fit", "--config", config, "--trainer.max_epoch", "3")
    assert "trainer.max_epoch" in line


def test_a_package_that_is_not_there_is_refused(capsys: pytest.CaptureFixture[str]) -> None:
    config = changed(lambda settings: None)
    line = refused_at_once(capsys, "fit", "--config", config, "--import-from", "nolab")
    assert line == "--import-from: no such package from here (got 'nolab')"
