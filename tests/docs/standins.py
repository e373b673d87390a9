"""What the commands of the pages meet when they are tested, and why it is not the real thing.

Every program of a block is found in a folder of scripts that is first on the PATH. `synthpert` is
the real front door (a fork of `warm.py`), on less (`smaller.py`). What is not on a test machine, or
would change it, is stood in for by `PROGRAMS`, which check their words.
"""

from __future__ import annotations

import configparser
import os
import re
import stat
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

import yaml
from packaging.requirements import Requirement
from packaging.utils import canonicalize_name

ROOT = Path(__file__).resolve().parents[2]
HERE = Path(__file__).resolve()
Words = list[str]


def pip(words: Words) -> int:
    """`pip install` of what the project declares: nothing is installed, every word is checked.

    Requirements are the project with extras that `setup.cfg` has, or packages that are pinned, at
    that version, or those of `OTHERS`.
    """
    options = configparser.ConfigParser()
    options.read(ROOT / "setup.cfg")
    extras = set(options["options.extras_require"])
    pins = _pins()
    assert words.pop(0) == "install", "only `pip install` is known"
    while words:
        word = words.pop(0)
        if word == "-c":
            assert Path(words.pop(0)).is_file(), "no such constraints"
        elif word in ("-e", "-U", "--upgrade"):
            continue
        else:
            text = re.sub(r"^\.(?=\[|$)", "synthpert", word)
            wanted = Requirement(text)
            name = canonicalize_name(wanted.name)
            if name == "synthpert":
                assert wanted.extras <= extras, f"no such extra: {word}"
                assert word.startswith(".") is False or Path("setup.cfg").is_file(), "not from here"
            elif name not in OTHERS:
                assert pins[name] in wanted.specifier, f"pinned is {name}=={pins[name]}"
    return 0


# Installed by a reader for a comparison; the project neither needs nor pins them.
OTHERS = ("trl", "unsloth")


def _pins() -> dict[str, str]:
    lines = (ROOT / "constraints.txt").read_text(encoding="utf-8").splitlines()
    pairs = (line.partition("==") for line in lines if line and not line.startswith("#"))
    return {canonicalize_name(name): version for name, _, version in pairs}


def make(words: Words) -> int:
    """`make TARGET`: a dry run, since `demo`, `test`, `check` and `docs` are steps of the CI."""
    command = ["env", "-i", "PATH=/usr/bin:/bin", "/usr/bin/make", "-n", "-C", str(ROOT), *words]
    return _quiet(command)


def mkdocs(words: Words) -> int:
    """`mkdocs build|serve`: the site has its own test and its own step of the CI."""
    assert words[0] in ("build", "serve"), words
    return _quiet([sys.executable, "-m", "mkdocs", *words, "--help"])


def pre_commit(words: Words) -> int:
    """`pre-commit install`: it would write into the repository's `.git`; its file is read."""
    hooks = yaml.safe_load((ROOT / ".pre-commit-config.yaml").read_text(encoding="utf-8"))
    return 0 if words == ["install"] and hooks["repos"] else 2


def python(words: Words) -> int:
    """`python benchmarks/NAME.py`: parsed by the script's own parser, run where it is quick."""
    if words[:2] == ["-m", "synthpert"]:
        os.execvp("synthpert", ["synthpert", *words[2:]])
    script = ROOT / words[0]
    environment = {**os.environ, "PYTHONPATH": str(ROOT)}
    if words[0].startswith("benchmarks/"):
        assert script.is_file(), f"no such script: {words[0]}"
        if words[0] not in QUICK:
            words = ["-c", PARSED, *words]
    return subprocess.run([sys.executable, *words], env=environment, check=False).returncode


# Benchmarks that take seconds on the small data of the tests; the others take minutes or a GPU.
QUICK = ("benchmarks/questions_speed.py",)
# Parses the command line as the script does, and ends.
PARSED = """\
import argparse, os, runpy, sys
parse = argparse.ArgumentParser.parse_args
def stop(self, *args, **kwargs):
    parse(self, *args, **kwargs)
    raise SystemExit(0)
argparse.ArgumentParser.parse_args = stop
sys.argv = sys.argv[1:]
sys.path.insert(0, os.path.dirname(sys.argv[0]))
runpy.run_path(sys.argv[0], run_name="__main__")
"""


def torchrun(words: Words) -> int:
    """`torchrun`: its own parser reads the words; the command runs once, as one process."""
    from torch.distributed.run import get_args_parser

    read = get_args_parser().parse_args(words)
    assert read.module, "torchrun needs -m"
    assert int(read.nproc_per_node) > 1 or read.nnodes != "1:1"
    rest = [word for word in [read.training_script, *read.training_script_args] if word != "--"]
    return subprocess.run(rest, check=False).returncode


def srun(words: Words) -> int:
    """`srun`: without its options, the command runs once."""
    while words and words[0].startswith("-"):
        words.pop(0)
    return subprocess.run(words, check=False).returncode


def sbatch(words: Words) -> int:
    """`sbatch`: the script is checked and run; every `#SBATCH` option is one that SLURM has."""
    script = Path(next(word for word in words if not word.startswith("-")))
    _slurm_options(script.read_text(encoding="utf-8"))
    checked = subprocess.run(["bash", "-n", script], check=False).returncode
    rest = words[words.index(str(script)) + 1 :]
    environment = {**os.environ, "SLURM_JOB_ID": "1", "SLURM_SUBMIT_DIR": str(Path.cwd())}
    ran = subprocess.run(["bash", script, *rest], env=environment, check=False)
    return checked or ran.returncode


SLURM = (
    *("account", "array", "chdir", "constraint", "cpus-per-task", "dependency", "error", "gres"),
    *("job-name", "mem", "nodes", "ntasks", "ntasks-per-node", "open-mode", "output", "partition"),
    *("requeue", "signal", "time"),
)


def _quiet(command: Words) -> int:
    return subprocess.run(command, check=False, stdout=subprocess.DEVNULL).returncode


def _slurm_options(text: str) -> None:
    for line in text.splitlines():
        if line.startswith("#SBATCH"):
            names = re.findall(r"--([a-z-]+)", line)
            assert set(names) <= set(SLURM), f"unknown to SLURM: {line}"


# Of `vllm serve --help`, vLLM 0.30.0.
VLLM = (
    *("enable-lora", "lora-modules", "max-lora-rank", "host", "port", "dtype", "api-key"),
    *("max-model-len", "served-model-name", "tensor-parallel-size", "gpu-memory-utilization"),
    *("enable-prefix-caching", "chat-template", "seed", "generation-config"),
)


def vllm(words: Words) -> int:
    """`vllm serve`: its flags are in a written list, and a named adapter is one that PEFT reads."""
    assert words.pop(0) == "serve"
    flags = {word[2:].partition("=")[0] for word in words if word.startswith("--")}
    assert flags <= set(VLLM), f"no flags of vLLM: {flags - set(VLLM)}"
    for word in words:
        name, equals, path = word.partition("=")
        if equals and not name.startswith("-"):
            assert (Path(path) / "adapter_config.json").is_file(), f"no adapter in {path}"
    return 0


def curl(words: Words) -> int:
    """`curl`: nothing answers; the address has to be this machine's, and the body JSON."""
    addresses = [word for word in words if "://" in word]
    assert addresses, words
    assert all(re.match(r"https?://(127\.0\.0\.1|localhost)\b", each) for each in addresses)
    for place, word in enumerate(words):
        if word in ("-d", "--data"):
            yaml.safe_load(words[place + 1])
    return 0


def wandb(words: Words) -> int:
    """`wandb sync`: the runs it names are there."""
    assert words.pop(0) == "sync"
    assert all(Path(word).exists() for word in words if not word.startswith("-")), words
    return 0


def hf(words: Words) -> int:
    """`hf download`: nothing is downloaded; the name is one that a recipe has."""
    assert words.pop(0) == "download", words
    recipes = "".join(path.read_text() for path in (ROOT / "configs").glob("*.yaml"))
    assert f"base: {words[0]}\n" in recipes, f"no recipe's base: {words[0]}"
    return 0


PROGRAMS: dict[str, Callable[[Words], int]] = {
    "pip": pip,
    "make": make,
    "mkdocs": mkdocs,
    "pre-commit": pre_commit,
    "python": python,
    "torchrun": torchrun,
    "srun": srun,
    "sbatch": sbatch,
    "vllm": vllm,
    "curl": curl,
    "wandb": wandb,
    "hf": hf,
}


def write_programs(folder: Path, client: str) -> None:
    """Write the scripts that come first on the PATH.

    Args:
        folder: Where to.
        client: What the script `synthpert` holds (`warm.CLIENT`).
    """
    (folder / "slurm").mkdir(parents=True)
    for name in PROGRAMS:
        # Lightning warns where it finds `srun` on the PATH and was not started by it.
        place = folder / "slurm" if name in ("srun", "sbatch") else folder
        _write(place / name, f'#!/bin/sh\nexec "{sys.executable}" "{HERE}" {name} "$@"\n')
    _write(folder / "synthpert", f"#!{sys.executable} -SE\n{client}")


def _write(path: Path, text: str) -> None:
    path.write_text(text, encoding="utf-8")
    path.chmod(path.stat().st_mode | stat.S_IXUSR)


def reasons() -> dict[str, str]:
    """Everything that is not the real program, with the reason."""
    return {name: (program.__doc__ or "").split("\n\n")[0] for name, program in PROGRAMS.items()}


if __name__ == "__main__":
    try:
        sys.exit(PROGRAMS[sys.argv[1]](sys.argv[2:]))
    except (AssertionError, KeyError, ValueError) as error:
        sys.exit(f"{' '.join(sys.argv[1:])}: {type(error).__name__}: {error}")
