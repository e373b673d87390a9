"""How Lightning reads, writes and deletes checkpoints: by `checkpoints.files`, nothing else."""

from __future__ import annotations

import os
from pathlib import Path
from typing import Any

from lightning.pytorch.plugins.io import CheckpointIO

from synthpert.checkpoints import files as checkpoint_files
from synthpert.errors import InputError


class WholeCheckpoints(CheckpointIO):
    """Checkpoints that are whole or absent, checked by SHA-256, and read without running code.

    Lightning's own writes through `TMPDIR`, which tears files where that is on another file system,
    and finds no flipped bit.
    """

    def save_checkpoint(
        self,
        checkpoint: dict[str, Any],
        path: str | os.PathLike[str],
        storage_options: object = None,
    ) -> None:
        """Write a checkpoint, whole or not at all.

        Raises:
            InputError: If it cannot be written, or the path is no path of this machine.
        """
        checkpoint_files.save(checkpoint, _local(path))

    def load_checkpoint(
        self,
        path: str | os.PathLike[str],
        map_location: object = None,
        weights_only: bool | None = None,
    ) -> dict[str, Any]:
        """Read a checkpoint onto the CPU; `weights_only` holds, whatever is asked.

        Raises:
            InputError: If it is damaged, unknown, or of another kind.
        """
        checkpoint = checkpoint_files.load(_local(path))
        if not isinstance(checkpoint, dict):
            raise InputError("this is no checkpoint of a student", file=str(path))
        return checkpoint

    def remove_checkpoint(self, path: str | os.PathLike[str]) -> None:
        """Delete a checkpoint and its checksum."""
        checkpoint_files.remove(_local(path))


def _local(path: str | os.PathLike[str]) -> Path:
    text = os.fspath(path)
    if "://" in text:
        raise InputError(
            "checkpoints are written where a rename is whole",
            got=text,
            expected="a folder of this machine",
        )
    return Path(text)
