"""Keys: whether they are set. They are never shown, not even in part."""

from __future__ import annotations

import os
from pathlib import Path
from typing import Final

from tools.doctor.finding import Finding

TEACHERS: Final = (
    "OPENAI_API_KEY",
    "ANTHROPIC_API_KEY",
    "GEMINI_API_KEY",
    "OPENROUTER_API_KEY",
    "MISTRAL_API_KEY",
    "DEEPSEEK_API_KEY",
    "GROQ_API_KEY",
    "TOGETHERAI_API_KEY",
)


def keys() -> list[Finding]:
    """Which keys there are: of a teacher's provider, of Weights & Biases, of Hugging Face."""
    present = [name for name in TEACHERS if os.environ.get(name)]
    return [
        Finding(
            "teacher's key",
            "ok" if present else "warn",
            f"set: {', '.join(present)}" if present else "none set",
            "" if present else "export OPENAI_API_KEY=...; without one: offline/knowledge",
        ),
        _key(
            "WANDB_API_KEY",
            "runs are written offline without; export it to watch them online",
            elsewhere=_in_netrc("api.wandb.ai"),
        ),
        _key(
            "HF_TOKEN",
            "none needed for public bases; export it for gated ones",
            elsewhere=_hub_token(),
        ),
    ]


def _key(name: str, remedy: str, *, elsewhere: bool) -> Finding:
    if os.environ.get(name):
        return Finding(name, "ok", "set")
    if elsewhere:
        return Finding(name, "ok", "logged in by file")
    return Finding(name, "ok", "not set", remedy)


def _in_netrc(host: str) -> bool:
    import netrc

    try:
        return netrc.netrc().authenticators(host) is not None
    except (OSError, netrc.NetrcParseError):
        return False


def _hub_token() -> bool:
    from huggingface_hub import constants

    return Path(constants.HF_TOKEN_PATH).is_file()
