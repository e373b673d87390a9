"""Which files are the repository's."""

from __future__ import annotations

import shutil
import subprocess
from pathlib import Path

ROOT = Path(__file__).resolve().parents[1]
MADE = (".", "build/", "data/", "dist/", "runs/", "wandb/", "synthpert.egg-info/")


def repository_files(root: Path) -> list[Path]:
    """List the files of the repository at `root`.

    That is what git tracks or would track; where git cannot say, what is not hidden or made here.
    """
    git = shutil.which("git")
    names = None
    if git is not None and (root / ".git").exists():
        command = [git, "ls-files", "--cached", "--others", "--exclude-standard", "-z"]
        listed = subprocess.run(command, cwd=root, capture_output=True, text=True, check=False)
        names = listed.stdout.split("\0") if listed.returncode == 0 else None
    if names is None:
        names = [str(path.relative_to(root)) for path in root.rglob("*")]
        names = [name for name in names if not name.startswith(MADE)]
    paths = [root / name for name in names if name and "__pycache__" not in name]
    return sorted(path for path in paths if path.is_file())
