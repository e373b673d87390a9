"""From a run's folder to its page: student, benchmark, knowledge, traces and figures."""

from __future__ import annotations

import logging
import os
import tempfile
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final

import torch

from synthpert import __version__
from synthpert.errors import InputError
from synthpert.traces import read_traces, select
from tools.export.figures import logged, scores
from tools.export.loading import Trained, load_trained
from tools.serve.alike import Traces
from tools.serve.asking import Asker
from tools.serve.beside import Benchmark
from tools.serve.desk import Desk

if TYPE_CHECKING:
    from argparse import Namespace
    from collections.abc import Sequence

    from tools.serve.page import Page

log = logging.getLogger(__name__)

_IN_HEAD: Final = ("accuracy", "macro-F1")


def open_page(own: Namespace, words: Sequence[str]) -> Page:
    """Load all that the page of a run needs.

    Args:
        own: The flags of `serve`.
        words: What else `fit` is to know.

    Returns:
        The page, not served yet.

    Raises:
        InputError: If run, checkpoint, base, data, traces or knowledge are not as they should be.
    """
    trained = load_trained(own.run, own.ckpt, own.base, words)
    device = to_device(trained, own.device)
    data = trained.built.data
    theirs = getattr(data, "split", "default")
    split, place = own.split or theirs, own.data or getattr(data, "data", None)
    benchmark = Benchmark(place, split, own.knowledge, own=own.data is None and split == theirs)
    traces, why = _traces(own.traces, data, benchmark)
    name = own.run.resolve().name
    desk = Desk(Asker(trained.student, name), benchmark, traces, why)
    # Gradio keeps files in a folder of its own, which would outlive the session.
    folder = tempfile.TemporaryDirectory(prefix="synthpert-serve-")
    os.environ["GRADIO_TEMP_DIR"] = str(Path(folder.name) / "gradio")
    os.environ["GRADIO_ANALYTICS_ENABLED"] = "False"
    from tools.serve.page import Page

    record = {
        "system": "student",
        "by": "serve",
        "checkpoint": trained.checkpoint.name,
        "split": split,
        "version": __version__,
    }
    scored = scores(trained)
    about = _about(trained, benchmark, traces, why, device, scored)
    return Page(desk, name, _head(trained, scored[1]), about, record, folder)


def to_device(trained: Trained, asked: str) -> torch.device:
    """Put the student where it answers fastest, or where it is asked to.

    Args:
        trained: The student, on the CPU.
        asked: `auto`, or a device of torch.

    Raises:
        InputError: If there is no such device.
    """
    there = torch.cuda.is_available()
    name = ("cuda" if there else "cpu") if asked == "auto" else asked
    if name.partition(":")[0] not in ("cpu", "cuda") or (name != "cpu" and not there):
        expected = "auto, cpu" + (", cuda or cuda:N" if there else " (no CUDA device is here)")
        raise InputError("no such device", file="--device", got=asked, expected=expected)
    network = trained.student.network
    assert network is not None
    try:
        network.to(torch.device(name))
    except RuntimeError as error:
        line = str(error).splitlines()[0]
        raise InputError(f"{name} does not take the student: {line}", file="--device") from None
    return torch.device(name)


def _traces(
    asked: Path | None,
    data: Any,  # noqa: ANN401 - a data module, the user's own perhaps
    benchmark: Benchmark,
) -> tuple[Traces | None, str]:
    """The traces to look up, or why there are none."""
    file = asked or getattr(data, "traces", None)
    if file is None:
        return None, "The run was trained without traces; --traces FILE shows those of a file."
    if asked is None and not Path(file).exists():
        told = f"The run's trace file {file} is not there any more; --traces FILE shows another."
        log.warning("%s", told)
        return None, told
    table = read_traces(file)
    grades = getattr(data, "grades", None)
    if asked is None and grades is not None:
        table = select(table, grades)[0]
    return Traces(table, benchmark.likeness), ""


def _head(trained: Trained, figures: Sequence[tuple[str, object]]) -> list[tuple[str, str]]:
    student = trained.student
    return [
        ("checkpoint", f"{trained.checkpoint.name}, step {trained.step:,}"),
        ("base", student.name),
        ("prompts", student.prompts.prompt_id),
        *((f"test {name}", _number(value)) for name, value in figures if name in _IN_HEAD),
    ]


def _about(
    trained: Trained,
    benchmark: Benchmark,
    traces: Traces | None,
    why_no_traces: str,
    device: torch.device,
    scored: tuple[str, Sequence[tuple[str, object]]],
) -> list[tuple[str, Any]]:
    student, decoding = trained.student, trained.student.decoding
    run = [
        ("run", str(trained.run)),
        ("checkpoint", trained.checkpoint.name),
        ("optimiser steps", f"{trained.step:,}"),
        ("base", student.base),
        ("adapters", str(student.lora) if student.lora else "none: all weights were trained"),
        ("prompt set", f"{student.prompts.name} ({student.prompts.prompt_id})"),
        ("device", str(device)),
        ("most tokens of an answer", f"{decoding.max_new_tokens:,}"),
        ("SynthPert", __version__),
    ]
    data = [
        ("split", benchmark.split),
        ("train questions", f"{len(benchmark.train):,}"),
        ("test questions", f"{len(benchmark.test):,}"),
        ("perturbed genes that the knowledge files have", f"{benchmark.known:.0%}"),
        ("traces", why_no_traces or f"{len(traces or ()):,}"),
    ]
    whence, figures = scored
    rows: Any = [(name, _number(value)) for name, value in figures]
    if not rows:
        whence, rows = (
            "Test figures",
            (
                "The run has none: synthpert test --config RUN/config.yaml --run RUN --ckpt_path "
                "last answers the test questions."
            ),
        )
    parts: list[tuple[str, Any]] = [("The run", run), (whence.rstrip(":"), rows)]
    last = [
        (f"{name}, step {step}", _number(value))
        for name, step, value in logged(trained.run / "metrics.csv")
    ]
    if last:
        parts.append(("Last figures of its log", last))
    return [*parts, ("Beside the student", data)]


def _number(value: object) -> str:
    if isinstance(value, float):
        return f"{value:.3f}"
    return f"{value:,}" if isinstance(value, int) else str(value)
