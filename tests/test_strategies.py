"""Two processes, by each strategy that is shipped, train the student that one process does."""

from __future__ import annotations

import json
import subprocess
import sys
from contextlib import chdir
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import polars as pl
import pytest
import torch
from cli_recipe import STEPS, column, environment, recipe, write
from lightning.pytorch.plugins.environments import TorchElasticEnvironment
from lightning.pytorch.strategies import (
    DDPStrategy,
    FSDPStrategy,
    ModelParallelStrategy,
    SingleDeviceStrategy,
    Strategy,
)
from repository import ROOT
from safetensors.torch import load_file
from torch import nn

from synthpert.__main__ import main
from synthpert.errors import InputError
from synthpert.sharding import Gathering, Sharded, callbacks_of, gathered, shard, whole

OVERLAYS = ROOT / "configs" / "strategies"
HALF = ["--trainer.devices", "2", "--data.init_args.batch_size", "4"]
LONGER = ["--trainer.max_steps", str(STEPS + 3)]
# A callback of the user's own: what each process holds when training ends.
PROBE = """
import hashlib
from pathlib import Path
import lightning as L
from synthpert.sharding import whole


class Probe(L.Callback):
    def on_train_end(self, trainer, pl_module):
        digest = hashlib.sha256()
        for weight in pl_module.parameters():
            if weight.requires_grad:
                digest.update(whole(weight.detach()).numpy().tobytes())
        name = f"weights-{trainer.global_rank}-of-{trainer.world_size}.txt"
        (Path(trainer.default_root_dir) / name).write_text(digest.hexdigest())
"""


def adapted() -> dict[str, Any]:
    """A recipe with adapters, as every recipe of an 8B student has."""
    settings = recipe()
    settings["model"]["lora"] = {"r": 4, "alpha": 8, "targets": ["q_proj", "v_proj", "down_proj"]}
    settings["trainer"]["val_check_interval"] = 5
    settings["trainer"]["callbacks"] += [
        {"class_path": "callbacks.adapter_checkpoint.AdapterCheckpoint"},
        {"class_path": "probe.Probe"},
    ]
    # One process has seven questions in two batches, the other six in one.
    settings["trainer"]["callbacks"][0]["init_args"]["questions"] = 13
    settings["model"]["decoding"]["batch_size"] = 6
    return settings


def torchrun(cwd: Path, *args: str) -> subprocess.CompletedProcess[str]:
    """Start two processes, as on a machine of a cluster."""
    launcher = ["-m", "torch.distributed.run", "--standalone", "--nproc-per-node", "2"]
    command = [sys.executable, *launcher, *args]
    return subprocess.run(
        command,
        capture_output=True,
        text=True,
        cwd=cwd,
        env=environment(),
        timeout=280,
        check=False,
    )


def command(verb: str, run: str, *more: str) -> list[str]:
    """A command line of the folder's recipe."""
    recipe = ["--config", "recipe.yaml", "--import-from", "probe", "--run", f"runs/{run}"]
    return [verb, *recipe, *more]


def with_overlay(overlay: str, verb: str, run: str, *more: str) -> list[str]:
    """The same for two processes, each with half of the batch."""
    return command(verb, run, "--config", str(OVERLAYS / f"{overlay}.yaml"), *HALF, *more)


@pytest.fixture(scope="module")
def lab(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder with the same runs by one process, and by two with each overlay of one machine."""
    folder = tmp_path_factory.mktemp("strategies")
    (folder / "probe.py").write_text(PROBE)
    write(folder / "recipe.yaml", adapted())
    go_on = [*LONGER, "--ckpt_path"]
    drop = ["--model.lora.dropout", "0.5", "--model.schedule", "constant"]
    with chdir(folder):
        assert main(command("fit", "one")) == 0
        assert main(command("test", "one-test", "--ckpt_path", last("one"))) == 0
        by_two = [
            with_overlay("ddp", "fit", "ddp"),
            with_overlay("fsdp", "fit", "fsdp"),
            with_overlay("fsdp", "test", "fsdp-test", "--ckpt_path", last("fsdp")),
            with_overlay("fsdp", "fit", "one-then-fsdp", *go_on, last("one")),
            with_overlay("ddp", "fit", "dropping", *drop),
            with_overlay("ddp", "fit", "dropping-on", *drop, *go_on, last("dropping")),
            with_overlay("ddp", "fit", "dropping-all", *drop, *LONGER),
        ]
        Path("commands.json").write_text(json.dumps(by_two))
        done = torchrun(
            folder, str(Path(__file__).with_name("commands_on_ranks.py")), "commands.json"
        )
        assert done.returncode == 0, done.stderr[-3000:]
        for first in ("one", "fsdp"):
            assert main(command("fit", f"{first}-then-one", *go_on, last(first))) == 0
    return folder


def last(run: str) -> str:
    return f"runs/{run}/checkpoints/last.ckpt"


def losses(lab: Path, run: str, name: str = "train_loss") -> list[float]:
    return [float.fromhex(value) for value in column(lab / "runs" / run, name)]


def checkpoint(lab: Path, run: str) -> dict[str, Any]:
    path = lab / "runs" / run / "checkpoints" / "last.ckpt"
    found: dict[str, Any] = torch.load(path, weights_only=True)
    return found


@pytest.mark.slow
@pytest.mark.parametrize("run", ["ddp", "fsdp"])
def test_the_losses_are_those_of_one_process(lab: Path, run: str) -> None:
    for name in ("train_loss", "grad_norm", "val_loss"):
        assert losses(lab, run, name) == pytest.approx(losses(lab, "one", name), rel=1e-6)
    assert len(losses(lab, run)) == STEPS


@pytest.mark.slow
@pytest.mark.parametrize("run", ["ddp", "fsdp"])
def test_both_processes_end_with_the_same_adapters(lab: Path, run: str) -> None:
    found = sorted((lab / "runs" / run).glob("weights-*.txt"))
    assert [path.name for path in found] == ["weights-0-of-2.txt", "weights-1-of-2.txt"]
    assert found[0].read_text() == found[1].read_text()


@pytest.mark.slow
@pytest.mark.parametrize("run", ["ddp", "fsdp"])
def test_the_adapters_are_those_of_one_process(lab: Path, run: str) -> None:
    file = "adapter/adapter_model.safetensors"
    one, two = (load_file(lab / "runs" / name / file) for name in ("one", run))
    assert one.keys() == two.keys()
    assert all(torch.allclose(one[name], two[name], atol=1e-6) for name in one)


@pytest.mark.slow
@pytest.mark.parametrize("run", ["ddp", "fsdp"])
def test_a_checkpoint_holds_whole_adapters_and_nothing_else(lab: Path, run: str) -> None:
    one, two = checkpoint(lab, "one"), checkpoint(lab, run)
    assert {name: w.shape for name, w in one["state_dict"].items()} == {
        name: w.shape for name, w in two["state_dict"].items()
    }
    states = [each["optimizer_states"][0] for each in (one, two)]
    assert states[0]["state"].keys() == states[1]["state"].keys()
    assert states[0]["param_groups"] == states[1]["param_groups"]
    assert type(states[1]["state"][0]["exp_avg"]) is torch.Tensor


@pytest.mark.slow
@pytest.mark.parametrize("run", ["ddp", "fsdp"])
def test_the_answers_are_dealt_out_and_are_those_of_one_process(lab: Path, run: str) -> None:
    file = f"evaluation/step-{STEPS:06d}.parquet"
    one, two = (pl.read_parquet(lab / "runs" / name / file).drop("run") for name in ("one", run))
    assert one.height == 13
    assert one.equals(two)


@pytest.mark.slow
def test_a_sharded_run_goes_on_from_a_checkpoint_of_one_process_and_back(lab: Path) -> None:
    alone = losses(lab, "one-then-one")
    assert len(alone) == 3
    for run in ("one-then-fsdp", "fsdp-then-one"):
        assert losses(lab, run) == pytest.approx(alone, rel=1e-6)
        assert checkpoint(lab, run)["global_step"] == STEPS + 3


@pytest.mark.slow
def test_every_process_goes_on_with_the_dropout_it_would_have_had(lab: Path) -> None:
    on, whole_run = (
        column(lab / "runs" / run, "train_loss") for run in ("dropping-on", "dropping-all")
    )
    assert on == whole_run[-len(on) :]
    assert 0 < len(on) < len(whole_run)


@pytest.mark.slow
def test_a_sharded_student_answers_the_test_questions(lab: Path) -> None:
    file = "predictions.parquet"
    one, two = (pl.read_parquet(lab / "runs" / f"{run}-test" / file) for run in ("one", "fsdp"))
    asked = ["cell_line", "pert", "gene", "answer", "response"]
    assert one.select(asked).equals(two.select(asked))


@pytest.mark.slow
def test_processes_that_meet_the_same_error_tell_it_once(tmp_path: Path) -> None:
    config = write(tmp_path / "recipe.yaml", recipe())
    # Without `--` torchrun would take `--run` for one of its own options.
    wrong = ["--run", "there", "--model.learning_rate", "-1"]
    done = torchrun(tmp_path, "-m", "--", "synthpert", "fit", "--config", config, *wrong)
    assert done.returncode != 0
    assert done.stderr.count("model.learning_rate: must be above 0") == 1


@pytest.mark.parametrize("strategy", [FSDPStrategy, ModelParallelStrategy])
def test_a_strategy_that_keeps_no_promise_is_refused_by_name(strategy: type[Strategy]) -> None:
    with pytest.raises(InputError, match=f"{strategy.__name__}.*fsdp.yaml"):
        callbacks_of(strategy())


@pytest.mark.parametrize("strategy", [DDPStrategy(), SingleDeviceStrategy("cpu")])
def test_other_strategies_need_nothing(strategy: Strategy) -> None:
    assert callbacks_of(strategy) == []


def test_another_number_of_processes_than_the_launchers_is_refused(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    for name, value in (("RANK", "0"), ("WORLD_SIZE", "2"), ("LOCAL_RANK", "0")):
        monkeypatch.setenv(name, value)
    strategy = DDPStrategy(
        parallel_devices=[torch.device("cpu")], cluster_environment=TorchElasticEnvironment()
    )
    with pytest.raises(InputError, match=r"trainer\.devices.*world size \(2\)"):
        callbacks_of(strategy)


def test_a_sharded_student_is_gathered_where_ranks_differ() -> None:
    (callback,) = callbacks_of(Sharded())
    assert isinstance(callback, Gathering)


def test_packed_weights_are_not_sharded() -> None:
    packed: Any = SimpleNamespace(quantization_method="bitsandbytes")
    with pytest.raises(InputError, match=r"model\.quantize"):
        shard(nn.Linear(2, 2), packed, Sharded())


def test_what_is_not_sharded_is_left_alone() -> None:
    layer, weight = nn.Linear(2, 2), torch.ones(2)
    with gathered(layer):
        assert whole(weight) is weight
