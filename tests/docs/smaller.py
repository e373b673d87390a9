"""The same `synthpert` on less: what is changed in its words when a page is tested, and why."""

from __future__ import annotations

import re
import socket
from pathlib import Path

import yaml
from repository import ROOT

Words = list[str]

LIGHTNING = ("fit", "validate", "test", "predict")
DRAWN = 24  # questions asked of a model, where a page says thousands

SMALL: dict[str, object] = {
    "trainer": {
        "accelerator": "cpu",
        "devices": 1,
        "num_nodes": 1,
        "strategy": "auto",
        "precision": "32-true",
        "max_steps": 2,
        "enable_progress_bar": False,
    },
    "model": {"dtype": "float32", "decoding": {"max_new_tokens": 8, "batch_size": 64}},
    "data": {"init_args": {"batch_size": 2, "workers": 0}},
    "watch": {"mode": "disabled"},
}
BIG_BASE = "deepseek-ai/DeepSeek-R1-Distill-Llama-8B"

SMALLER = {
    "fit, validate, test, predict": "an overlay after the recipe: two steps on the CPU in float32, "
    "eight new tokens, nothing sent to Weights & Biases",
    "an 8B base": "the same overlay, or check's flag, names a Llama of 16 dimensions with "
    "R1-distill's chat template",
    "--engine vllm": "the written-out fake of its tests, which asks the same small model",
    "traces, ask, baseline summer": f"{DRAWN} questions are drawn, whatever number the page says",
    "a paid model": "OPENAI_BASE_URL is a server on this machine",
    "export --push, traces export --push": "HF_ENDPOINT is a server on this machine",
    "data fetch": "the bundled sample lies where the download would come from",
    "serve": "on a free port; asked for its page once, and ended by Ctrl-C",
}


def synthpert(words: Words, bases: Path) -> Words:
    """The words of a command, on less.

    Args:
        words: After `synthpert`.
        bases: Where the overlays and the tiny base lie.
    """
    if not words:
        return words
    if words[0] in LIGHTNING and "--help" not in words:
        words = _with_overlay(words, bases)
    if words[0] == "check" and any(BIG_BASE in _config(word) for word in words[1:]):
        words = [*words, "--model.base", str(bases / "r1")]
    if words[0] in ("traces", "ask") or words[:2] == ["baseline", "summer"]:
        words = _with_few_questions(words)
    if words[0] == "serve" and "--help" not in words:
        words = [*_without("--port", words), "--port", str(free_port())]
    return words


def free_port() -> int:
    """A port of this machine that nobody listens on."""
    with socket.socket() as link:
        link.bind(("127.0.0.1", 0))
        return int(link.getsockname()[1])


def _without(flag: str, words: Words) -> Words:
    if flag not in words:
        return words
    place = words.index(flag)
    return words[:place] + words[place + 2 :]


def _with_overlay(words: Words, bases: Path) -> Words:
    """Put the overlay after the last recipe, so that flags of the page still win."""
    places = [place for place, word in enumerate(words[:-1]) if word == "--config"]
    if not places:
        return words
    texts = [_config(words[place + 1]) for place in places]
    name = "big.yaml" if any(BIG_BASE in text for text in texts) else "small.yaml"
    after = places[-1] + 2
    return [*words[:after], "--config", str(bases / name), *words[after:]]


def _config(path: str) -> str:
    file = Path(path) if Path(path).exists() else ROOT / path
    return file.read_text(encoding="utf-8") if file.is_file() else ""


def _with_few_questions(words: Words) -> Words:
    if "--questions" in words:
        place = words.index("--questions") + 1
        if re.fullmatch(r"[\d.]+", words[place]):
            return [*words[:place], str(DRAWN), *words[place + 1 :]]
        return words
    asks = words[1] in ("make", "plan", "status", "export") if words[0] == "traces" else True
    return [*words, "--questions", str(DRAWN)] if asks and "--help" not in words else words


def write_overlays(bases: Path) -> None:
    """Write the overlays that `synthpert` names."""
    big = {**SMALL, "model": {**SMALL["model"], "base": str(bases / "r1"), "quantize": None}}  # type: ignore[dict-item]
    for name, settings in (("small.yaml", SMALL), ("big.yaml", big)):
        (bases / name).write_text(yaml.safe_dump(settings, sort_keys=False), encoding="utf-8")
