"""Which packages' classes a YAML may name."""

from __future__ import annotations

import importlib.util
import sys
from collections.abc import Sequence
from pathlib import Path
from typing import Final

import jsonargparse

from synthpert.errors import InputError
from synthpert.parse_errors import values

# A YAML names classes, and naming one imports its module before its type is checked. So only these
# packages can be named; a user's own is let in by `--import-from PACKAGE`.
IMPORTABLE: Final = ("synthpert", "callbacks", "data_modules", "tools", "lightning", "torch")


def allow_imports(args: Sequence[str]) -> None:
    """Let YAMLs name the project's, Lightning's and PyTorch's classes, and the user's package.

    Args:
        args: The command line; the user's package is that of `--import-from`.

    Raises:
        InputError: If there is no such package.
    """
    own = values(args, "--import-from")
    if own and str(Path.cwd()) not in sys.path:
        # The installed command, unlike `python -m`, does not look in the working directory.
        sys.path.insert(0, str(Path.cwd()))
    for name in own:
        if importlib.util.find_spec(name.partition(".")[0]) is None:
            raise InputError("no such package from here", file="--import-from", got=name)
    jsonargparse.set_parsing_settings(
        import_path_denylist=["*"], import_path_allowlist=[*IMPORTABLE, *own]
    )


def import_words(args: Sequence[str]) -> list[str]:
    """The part of a command line that lets packages in, for a command that goes on from it.

    Args:
        args: The command line.
    """
    return [word for name in values(args, "--import-from") for word in ("--import-from", name)]
