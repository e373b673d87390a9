"""Where the recipes of this project lie."""

from __future__ import annotations

from pathlib import Path


def shipped_folder() -> Path:
    """The folder of this project's recipes: in the checkout, or beside the installed packages."""
    return Path(__file__).resolve().parent.parent / "configs"
