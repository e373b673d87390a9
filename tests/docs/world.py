"""Where the commands of the pages run: folders with what a reader who came so far would have."""

from __future__ import annotations

import os
import shutil
import subprocess
import sys
import time
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass
from pathlib import Path

import smaller
import standins
import warm
from blocks import Block
from chat_stub import Answer, Body, Stub
from given import PARTS, Part, write_benchmark, write_r1
from hub_stub import Hub
from repository import ROOT

from tools.traces.offline.reading import UnreadablePromptError
from tools.traces.offline.template import reply

# A reader of these pages stands in a checkout; `configs/NAME.yaml` is found from anywhere.
OF_THE_REPOSITORY = ("benchmarks", "constraints.txt", "setup.cfg", "mkdocs.yml", "docs")


# Where the pages say that the reader's own model answers; a stub does, elsewhere.
OWN_SERVER = "http://127.0.0.1:8000/v1"


@dataclass(frozen=True)
class Ran:
    """What a script did."""

    code: int
    output: str


class World:
    """The programs, the warm process and the servers of a test session."""

    def __init__(self, home: Path, base: str, hub: str) -> None:
        self.home = home
        self.bases = home / "bases"
        self.socket = str(home / "warm")
        self.model_server = base
        self._parts: dict[str, Path] = {}
        # vLLM is no program of a test machine; what is called of it stands in that folder.
        vllm = ROOT / "tests" / "synthpert" / "generation" / "without_gpu"
        environment = {**os.environ, "PYTHONPATH": f"{ROOT}:{ROOT / 'tests'}:{vllm}"}
        environment |= {"HF_ENDPOINT": hub, "DOCS_WORLD": str(home)}
        for name in [name for name in environment if name.endswith(("_API_KEY", "_DATA"))]:
            del environment[name]
        script = str(Path(warm.__file__))
        self.server = subprocess.Popen([sys.executable, script, self.socket], env=environment)
        standins.write_programs(home / "bin", warm.CLIENT.format(address=self.socket))
        self.environment = environment | {
            "PATH": f"{home / 'bin'}:/usr/bin:/bin",
            "HOME": str(home / "user"),
            "OPENAI_BASE_URL": base,
            "OPENAI_API_BASE": base,
            "OPENAI_API_KEY": "no-key-of-anybody",
            "HF_TOKEN": "hf_of_nobody",
            "MPLBACKEND": "agg",
            "CUDA_VISIBLE_DEVICES": "",
            "HF_HUB_OFFLINE": "0",
        }
        (home / "user").mkdir()
        self._write_bases()
        write_benchmark(home / "benchmark")

    def _write_bases(self) -> None:
        self.bases.mkdir()
        smaller.write_overlays(self.bases)
        write_r1(self.bases / "r1")

    def run(self, script: str, cwd: Path, *, as_typed: bool = False, seconds: float = 120) -> Ran:
        """Run a script as a reader would, ended by its first error.

        Args:
            script: Bash.
            cwd: Where.
            as_typed: Whether `synthpert` is given its words unchanged.
            seconds: After which it is ended.
        """
        for _ in range(600):
            if Path(self.socket).exists() or self.server.poll() is not None:
                break
            time.sleep(0.1)
        environment = self.environment | {"DOCS_AS_TYPED": str(int(as_typed))}
        if "srun" in script or "sbatch" in script:
            environment["PATH"] = f"{self.home / 'bin' / 'slurm'}:{environment['PATH']}"
        done = subprocess.run(
            ["bash", "-euo", "pipefail", "-c", script.replace(OWN_SERVER, self.model_server)],
            cwd=cwd,
            env=environment,
            stdin=subprocess.DEVNULL,
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            text=True,
            timeout=seconds,
            check=False,
        )
        return Ran(done.returncode, done.stdout)

    def write(self, block: Block, folder: Path) -> None:
        """Write the file that a block of a page is."""
        file = folder / str(block.title)
        file.parent.mkdir(parents=True, exist_ok=True)
        file.write_text(block.text.replace(OWN_SERVER, self.model_server), encoding="utf-8")

    def part(self, name: str) -> Path:
        """A folder with one thing in it; made once."""
        if name not in self._parts:
            folder = self.home / "parts" / name.replace(" ", "-")
            part = PARTS[name]
            self.fill(folder, part.needs)
            self._make(part, folder)
            self._parts[name] = folder
        return self._parts[name]

    def _make(self, part: Part, folder: Path) -> None:
        if part.python is not None:
            part.python(folder)
        ran = self.run(part.script, folder)
        if ran.code:
            raise RuntimeError(f"{part.reason}: {part.script}: {ran.output}")

    def fill(self, folder: Path, needs: tuple[str, ...]) -> None:
        """Make a folder in which a page's commands can be typed."""
        folder.mkdir(parents=True, exist_ok=True)
        for need in needs:
            links = shutil.ignore_patterns(*OF_THE_REPOSITORY, ".venv")
            shutil.copytree(self.part(need), folder, ignore=links, dirs_exist_ok=True)
        for name in OF_THE_REPOSITORY:
            (folder / name).symlink_to(ROOT / name)
        (folder / ".venv").mkdir()
        (folder / ".venv" / "bin").symlink_to(self.home / "bin")


@contextmanager
def running(home: Path) -> Iterator[World]:
    """A world, until the session ends."""
    with ExitStack() as stack:
        stub = stack.enter_context(Stub(then=answer))
        hub = Hub()
        stack.callback(hub.server.shutdown)
        world = World(home, stub.base, hub.address)
        stack.callback(world.server.wait)
        stack.callback(world.server.terminate)
        yield world


def answer(body: Body) -> Answer:
    """What the model's server says: the offline teacher's words, or that it cannot tell."""
    try:
        return Answer(reply(body["messages"]))
    except UnreadablePromptError:
        return Answer("insufficient")
