"""Values of the right type that no run can be made with: one line, from `fit` and `check` alike."""

from __future__ import annotations

from pathlib import Path

import pytest
import yaml
from cli_recipe import recipe, write

from synthpert.__main__ import main
from synthpert.errors import InputError
from synthpert.sound_values import is_of_trainer, unsound_values

UNSOUND = [
    ("trainer.val_check_interval", "0"),
    ("trainer.accumulate_grad_batches", "0"),
    ("trainer.gradient_clip_val", "-1"),
    ("trainer.devices", "0"),
    ("trainer.num_nodes", "0"),
    ("model.weight_decay", "-1"),
    ("model.warmup_steps", "-5"),
    ("model.learning_rate", ".nan"),
    ("model.learning_rate", ".inf"),
    ("seed_everything", "-1"),
]
FEW = [1, 3, 6, 7, 9]


@pytest.fixture(autouse=True)
def _there(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)


@pytest.mark.parametrize(("key", "value"), UNSOUND)
def test_fit_refuses_it_as_a_flag_before_a_run_is_there(
    key: str, value: str, capsys: pytest.CaptureFixture[str]
) -> None:
    config = write(Path("a.yaml"), recipe())
    assert main(["fit", "--config", config, "--run", "r", f"--{key}={value}"]) == 2
    (line,) = capsys.readouterr().err.splitlines()
    assert line.startswith(f"synthpert fit:{key}: wrong value (got ")
    assert not Path("r").exists()


@pytest.mark.parametrize(("key", "value"), [UNSOUND[each] for each in FEW])
def test_check_refuses_it_at_its_line(
    key: str, value: str, capsys: pytest.CaptureFixture[str]
) -> None:
    settings = recipe()
    group, _, name = key.rpartition(".")
    (settings[group] if group else settings)[name] = yaml.safe_load(value)
    config = write(Path("a.yaml"), settings)
    row = 1 + Path(config).read_text().split(f"{name}:")[0].count("\n")
    assert main(["check", config]) == 2
    (line,) = capsys.readouterr().err.splitlines()
    assert line.startswith(f"a.yaml:{row}:{key}: wrong value (got ")


def test_check_refuses_it_as_a_flag(capsys: pytest.CaptureFixture[str]) -> None:
    config = write(Path("a.yaml"), recipe())
    assert main(["check", config, "--trainer.devices", "0", "--model.weight_decay=-1"]) == 2
    shown = capsys.readouterr().err.splitlines()
    assert ["devices" in shown[0], "weight_decay" in shown[1], len(shown)] == [True, True, 2]


@pytest.mark.parametrize("devices", [1, -1, "auto", "0,1", "-1", [0]])
def test_devices_that_lightning_takes_are_let_through(devices: object) -> None:
    parsed = {"trainer": {}, "trainer.devices": devices, "trainer.val_check_interval": "00:01:00"}
    assert unsound_values([], parsed, "fit") == []


def test_more_batches_between_validations_than_there_are_is_one_line(
    capsys: pytest.CaptureFixture[str],
) -> None:
    config = write(Path("a.yaml"), recipe())
    flags = ["--run", "r", "--trainer.val_check_interval", "1000000"]
    assert main(["fit", "--config", config, *flags]) == 2
    line = capsys.readouterr().err.splitlines()[-1]
    assert line.startswith("synthpert fit:trainer: `val_check_interval` (1000000) must be less")


def test_another_value_error_is_not_the_trainers() -> None:
    assert not is_of_trainer(ValueError("shapes"))
    assert not is_of_trainer(InputError("`val_check_interval` (1)"))


@pytest.mark.parametrize("verb", ["check", "fit"])
@pytest.mark.parametrize(
    ("text", "said"),
    [
        (
            "trainer: &a\n  max_epochs: 1\n  callbacks: *a\n",
            ":3:trainer.callbacks: contains itself",
        ),
        ('trainer: !!python/object/apply:os.system ["touch x"]\n', ":1:trainer: a tag that is not"),
        ("? [a, b]\n: 1\n", ":1: a key that is no text"),
        ("{true: 3}\n", ":1: a key that is no text"),
    ],
)
@pytest.mark.timeout(60)
def test_a_yaml_that_cannot_be_read_safely_is_one_line(
    verb: str, text: str, said: str, capsys: pytest.CaptureFixture[str]
) -> None:
    Path("b.yaml").write_text(text)
    assert main([verb, *(["--config"] if verb == "fit" else []), "b.yaml"]) == 2
    (line,) = capsys.readouterr().err.splitlines()
    assert line.startswith(f"b.yaml{said}")
    assert not Path("x").exists()
