"""What a run's folder tells of itself: who holds it, its log, what each start was made from."""

from __future__ import annotations

import importlib.metadata
import json
import logging
import os
import platform
import shlex
import shutil
import subprocess
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from datetime import UTC, datetime
from pathlib import Path
from typing import Any, Final

from synthpert import __version__
from synthpert.errors import InputError, StoppedError
from synthpert.files import sha256, whole_file
from synthpert.holding import hold, refuse_held, release
from synthpert.questions import cell_lines_in, find_data
from synthpert.redaction import RedactFilter, redact, redact_arguments, redact_text

LOCK: Final = ".lock"
LOG: Final = "run.log"
STARTS: Final = "starts.jsonl"
_BUSY: Final = "another process is at work in this run"
_REMEDY: Final = (
    "wait for it, stop it, or give another --run; the same student answers there by "
    "--ckpt_path {run}/checkpoints/last.ckpt"
)
# The programs whose versions decide a run's numbers.
_PROGRAMS: Final = ("torch", "lightning", "transformers", "tokenizers", "peft", "polars", "numpy")
_GIT_SECONDS: Final = 5.0

log = logging.getLogger(__name__)


def refuse_busy(run: Path) -> None:
    """Refuse a run's folder in which another process is at work.

    Raises:
        StoppedError: Who that is.
    """
    refuse_held(run / LOCK, run, _BUSY, _REMEDY.format(run=run))


@contextmanager
def held(run: Path, verb: str) -> Iterator[None]:
    """Hold a run's folder, and keep in its `run.log` what is said meanwhile.

    Args:
        run: The folder; made where needed.
        verb: What is done in it.

    Raises:
        InputError: If nothing can be written there.
        StoppedError: If another process is at work there; it says which.
    """
    is_new = not run.exists()
    lock = hold(run / LOCK, run, _BUSY, _REMEDY.format(run=run))
    try:
        handler = logging.FileHandler(run / LOG, encoding="utf-8")
        handler.setFormatter(logging.Formatter("%(asctime)s %(levelname)s %(name)s: %(message)s"))
        handler.addFilter(RedactFilter())
        logging.getLogger().addHandler(handler)
        try:
            yield
        except (InputError, StoppedError) as error:
            # The front door tells it on the terminal.
            _tell(handler, logging.ERROR, redact_text(str(error)))
            if is_new and isinstance(error, InputError):
                _remove_untouched(run)
            raise
        except BaseException as error:
            _tell(handler, logging.ERROR, f"{verb} ended by {type(error).__name__}")
            raise
        finally:
            logging.getLogger().removeHandler(handler)
            handler.close()
    finally:
        release(lock)


def _remove_untouched(run: Path) -> None:
    """Remove the folder of a run that was refused before it began: a slip leaves nothing behind."""
    if {path.name for path in run.rglob("*") if not path.is_dir()} <= {LOCK, LOG, STARTS}:
        shutil.rmtree(run, ignore_errors=True)


def _tell(handler: logging.Handler, level: int, text: str) -> None:
    handler.emit(logging.LogRecord(__name__, level, __file__, 0, text, None, None))


def note_start(run: Path, verb: str, args: Sequence[str], config: Mapping[str, Any]) -> None:
    """Add a line to the run's `starts.jsonl`: what this start was made from.

    It holds the command, the directory it was typed in, versions, git commits, the seed, and the
    SHA-256 of every file that the configuration names and of the benchmark's tables.

    Args:
        run: The folder.
        verb: What is started.
        args: The command line, from the verb on.
        config: The whole configuration.
    """
    data = config.get("data") or {}
    made_of = {
        "verb": verb,
        "started": datetime.now(UTC).isoformat(timespec="seconds"),
        "command": shlex.join(["synthpert", *redact_arguments(list(args))]),
        "directory": str(Path.cwd()),
        "seed": config.get("seed_everything"),
        "versions": versions(),
        "commits": {
            "synthpert": commit(Path(__file__).parent),
            "directory": commit(Path.cwd()),
        },
        "sha256": {str(path): sha256(path) for path in _files(config, data)},
    }
    with (run / STARTS).open("a", encoding="utf-8") as file:
        file.write(f"{json.dumps(redact(made_of), ensure_ascii=False)}\n")


def versions() -> dict[str, str]:
    """Program to version: our own, Python's, and those that decide a run's numbers."""
    found = {"synthpert": __version__, "python": platform.python_version()}
    for name in _PROGRAMS:
        try:
            found[name] = importlib.metadata.version(name)
        except importlib.metadata.PackageNotFoundError:
            continue
    return found


def commit(folder: Path) -> str | None:
    """The git commit that a folder's files are of, `+changes` where some differ; None outside git.

    Args:
        folder: Any folder.
    """

    def git(*words: str) -> str | None:
        try:
            done = subprocess.run(
                ["git", "-C", str(folder), *words],
                capture_output=True,
                text=True,
                check=False,
                timeout=_GIT_SECONDS,
            )
        except (OSError, subprocess.TimeoutExpired):
            return None
        return done.stdout.strip() if done.returncode == 0 else None

    head = git("rev-parse", "HEAD")
    if head is None or git("check-ignore", "-q", ".") is not None:
        return None
    return f"{head}+changes" if git("status", "--porcelain", "--untracked-files=no") else head


def _files(config: Mapping[str, Any], data: Mapping[str, Any]) -> list[Path]:
    """The files that a configuration names anywhere, and the tables of its benchmark."""
    named = {Path(text) for text in _texts(config) if _is_file(text)}
    folder = find_data((data.get("init_args") or {}).get("data"))
    if folder.is_dir():
        lines = [f"{line}-{task}.csv" for line in cell_lines_in(folder) for task in ("de", "dir")]
        named |= {folder / f"{name}{end}" for name in lines for end in ("", ".gz")}
    return sorted(path for path in named if path.is_file())


def _texts(value: object) -> Iterator[str]:
    if isinstance(value, Mapping):
        for each in value.values():
            yield from _texts(each)
    elif isinstance(value, (list, tuple)):
        for each in value:
            yield from _texts(each)
    elif isinstance(value, (str, os.PathLike)):
        yield str(value)


def _is_file(text: str) -> bool:
    try:
        return bool(text) and Path(text).is_file()
    except OSError:  # a text too long for a name
        return False


def write_readme(run: Path, config: Mapping[str, Any], words: Sequence[str] = ()) -> None:
    """Write the README.md of a run: what it is, its files, and the commands that go on from it.

    Args:
        run: The folder.
        config: The whole configuration.
        words: What each command needs beside, such as `--import-from` and its package.
    """
    model, data = config.get("model") or {}, config.get("data") or {}
    given = data.get("init_args") or {}
    told = {
        "base": model.get("base"),
        "prompts": model.get("prompts"),
        "adapters": "LoRA" if model.get("lora") else "none: all weights are trained",
        "data": str(data.get("class_path", "")).rpartition(".")[2],
        "split": given.get("split"),
        "traces": given.get("traces"),
        "seed": config.get("seed_everything"),
    }
    rows = [f"| {name} | `{value}` |" for name, value in told.items() if value is not None]
    folder = shlex.quote(str(run))
    of_run = f"--config {folder}/config.yaml --run {folder}"
    own = "".join(f" {shlex.quote(word)}" for word in words)
    text = _README.format(
        name=run.resolve().name,
        rows="\n".join(rows),
        run=folder,
        of_run=of_run + own,
        own=own,
        directory=Path.cwd(),
    )
    with whole_file(run / "README.md") as place:
        place.write_text(text, encoding="utf-8")


_README: Final = """# Run {name}

A student trained by SynthPert. The commands below are typed in `{directory}`.

| | |
| --- | --- |
{rows}

Go on where it stopped:

```
synthpert fit {of_run} --ckpt_path last
```

Answer the test questions, score them beside the reference rows, write the page to mail:

```
synthpert test {of_run} --ckpt_path last
synthpert score {run}/predictions.parquet --json {run}/score.json
synthpert report {run}/predictions.parquet --run {run} --out {run}/report.html
```

Answer questions of your own (a table with `cell_line, pert, gene`), and read the answers:

```
synthpert predict {of_run} --ckpt_path last --questions mine.csv
synthpert hits {run}/predict/predictions.parquet --out {run}/hits
```

Ask it in a browser; hand it on:

```
synthpert serve --run {run}{own}
synthpert export --run {run} --out {run}/export{own}
```

| file | what it holds |
| --- | --- |
| `config.yaml` | everything that was set, secrets left out; it makes the run anew |
| `starts.jsonl` | a line a start: command, versions, git commits, seed, SHA-256 of the data |
| `run.log` | what was said on the terminal, with times |
| `metrics.csv` | every logged figure, by step |
| `checkpoints/` | what training goes on from, each with its SHA-256 |
| `adapter/` | the adapters in PEFT's layout, where the recipe keeps them |
| `evaluation/` | the answers given while training, where the recipe asks for them |
| `predictions.parquet` | the answers to the test questions, after `test` |
| `predict/` | the answers to your own questions, after `predict` |
"""
