"""The model card: what the student is, what it was trained on, and how well it answers."""

from __future__ import annotations

import hashlib
import json
import platform
from datetime import UTC, datetime
from importlib import metadata
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final

import jinja2
import yaml

import synthpert
from synthpert.files import SUMS, checksums
from synthpert.questions import Question
from tools.export.card_page import PAGE
from tools.export.figures import logged, scores

if TYPE_CHECKING:
    from tools.export.loading import Trained
    from tools.export.writing import Checked

_R1_LLAMA: Final = "deepseek-ai/DeepSeek-R1-Distill-Llama-8B"
_LICENCES: Final = {
    _R1_LLAMA: "MIT (DeepSeek), derived from Llama-3.1-8B: the Llama 3.1 Community License applies "
    'too, with its notice, "Built with Llama" and a name that begins with Llama.'
}
_SHOWN: Final = Question("k562", "AARS", "A2M")
_LIBRARIES: Final = ("torch", "transformers", "peft", "lightning")


def write_card(
    trained: Trained, what: str, checked: Checked | None, place: Path, title: str
) -> None:
    """Write README.md beside the files that it lists.

    Args:
        trained: The student, its recipe and its run.
        what: `adapter` or `merged`.
        checked: How the merged model compares, if one was merged.
        place: The folder, all else in it written.
        title: Name of the folder.
    """
    student = trained.student
    prompts = student.prompts
    scored, found = scores(trained)
    facts = {
        "header": yaml.safe_dump(_header(student.base, what), sort_keys=False),
        "title": title,
        "what": what,
        "lora": student.lora,
        "base": _public(student.base),
        "versions": _versions(),
        "date": f"{datetime.now(UTC):%Y-%m-%d}",
        "messages": json.dumps(_messages(trained), indent=4, ensure_ascii=False),
        "special": _needs_special(trained),
        "new_tokens": student.decoding.max_new_tokens,
        "opens_thought": student.encoder.opens_thought,
        "prompts": prompts.name,
        "prompt_id": prompts.prompt_id,
        "training": [_cells(row) for row in _training(trained)],
        "data": [_cells(row) for row in _data(trained)],
        "checked": checked,
        "quantized": student.quantize is not None,
        "scored": scored,
        "scores": [_cells(row) for row in found],
        "logged": [_cells(row) for row in logged(trained.run / "metrics.csv")],
        "base_licence": _LICENCES.get(student.base, f"the licence of {_public(student.base)}."),
        "files": [(f"`{name}`", f"`{digest}`") for name, digest in checksums(place).items()],
        "sums": SUMS,
    }
    page = jinja2.Environment(undefined=jinja2.StrictUndefined, keep_trailing_newline=True)
    (place / "README.md").write_text(page.from_string(PAGE).render(facts), encoding="utf-8")


def _header(base: str, what: str) -> dict[str, Any]:
    header: dict[str, Any] = {
        "library_name": "peft" if what == "adapter" else "transformers",
        "pipeline_tag": "text-generation",
        "language": ["en"],
        "license": "other",
        "license_name": "base-model-and-genentech-non-commercial-1.0",
        "tags": ["biology", "perturbation", "gene-expression", "reasoning"],
    }
    # A folder of the author's is no model on the hub.
    return header if Path(base).exists() else {"base_model": base, **header}


def _public(base: str) -> str:
    """A base's name on the hub, or its folder's own name: the path is nobody else's."""
    return Path(base).resolve().name if Path(base).exists() else base


def _messages(trained: Trained) -> list[dict[str, str]]:
    prompts = trained.student.prompts
    if prompts.needs_evidence:
        # Evidence is of the author's files; its words are licensed by their sources.
        return [{"role": "user", "content": f"as the prompt set {prompts.name} renders it"}]
    return [{"role": x["role"], "content": x["content"]} for x in prompts.messages(_SHOWN)]


def _needs_special(trained: Trained) -> bool:
    """Whether the chat template forgets the BOS that the tokenizer then has to add."""
    encoder = trained.student.encoder
    if encoder.prompts.needs_evidence:
        return False
    rendered = encoder.tokenizer.apply_chat_template(
        _messages(trained), tokenize=False, add_generation_prompt=True
    )
    return encoder.text_ids([str(rendered)]) != encoder.prompt_ids([_SHOWN])


def _training(trained: Trained) -> list[tuple[str, object]]:
    student, built = trained.student, trained.built
    accumulate = built.trainer.accumulate_grad_batches
    batch = getattr(built.data, "batch_size", None)
    return [
        ("checkpoint", trained.checkpoint.name),
        ("optimiser steps", trained.step),
        ("epoch", trained.epoch),
        ("adapters", str(student.lora) if student.lora else "none: all weights were trained"),
        ("base's weights", student.quantize or student.dtype_name),
        ("precision", built.precision),
        ("loss", f"{type(student.loss).__name__}, on: {student.loss_on}"),
        ("completions", f"template: {student.template}"),
        ("longest example", f"{student.max_tokens:,} tokens"),
        ("learning rate", f"{student.learning_rate:g}, {student.schedule}"),
        ("warm-up", f"{student.warmup_steps:,} steps"),
        ("weight decay", f"{student.weight_decay:g}"),
        ("examples of a step", f"{batch} x {accumulate} x {built.devices} devices"),
    ]


def _data(trained: Trained) -> list[tuple[str, object]]:
    data = trained.built.data
    rows: list[tuple[str, object]] = [("module", type(data).__name__)]
    for name in ("split", "cell_lines", "grades", "rebalance", "validation_share", "seed"):
        if hasattr(data, name):
            value = getattr(data, name)
            rows.append((name, "all" if value is None else _listed(value)))
    file = getattr(data, "traces", None)
    if file is not None:
        rows.append(("traces", Path(file).name))
        if Path(file).is_file():
            with Path(file).open("rb") as opened:
                digest = hashlib.file_digest(opened, "sha256").hexdigest()
            rows.append(("SHA-256 of the traces, as they are now", digest))
    return rows


def _versions() -> dict[str, str]:
    found = {"synthpert": synthpert.__version__, "Python": platform.python_version()}
    return found | {name: metadata.version(name) for name in _LIBRARIES}


def _listed(value: object) -> str:
    return ", ".join(map(str, value)) if isinstance(value, list | tuple) else str(value)


def _cells(row: tuple[object, ...]) -> list[str]:
    return [_cell(cell).replace("|", "\\|") for cell in row]


def _cell(cell: object) -> str:
    if cell is None:
        return "–"
    if isinstance(cell, float):
        return f"{cell:,.4f}"
    return f"{cell:,}" if isinstance(cell, int) else " ".join(str(cell).split())
