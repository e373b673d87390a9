"""An older Python is told in one line what to do."""

from __future__ import annotations

import ast
import os
import subprocess
import sys

import pytest
from repository import ROOT

CHILD = """
import runpy, sys
sys.version_info = {version}
sys.argv = ["synthpert", "doctor"]
runpy.run_module("synthpert", run_name="__main__")
"""


@pytest.mark.parametrize("name", ["__init__", "__main__"])
def test_the_front_door_can_be_read_by_an_older_python(name: str) -> None:
    source = (ROOT / "synthpert" / f"{name}.py").read_text()
    tree = ast.parse(source, feature_version=(3, 7))
    told = [node.lineno for node in tree.body if isinstance(node, ast.If)]
    ours = [
        node.lineno
        for node in tree.body
        if isinstance(node, ast.ImportFrom) and (node.module or "").startswith("synthpert")
    ]
    assert not ours or told[0] < min(ours)


@pytest.mark.parametrize("version", [(3, 7, 17, "final", 0), (3, 10, 4, "final", 0)])
def test_an_older_python_ends_in_one_line(version: tuple[object, ...]) -> None:
    done = subprocess.run(
        [sys.executable, "-c", CHILD.format(version=version)],
        capture_output=True,
        text=True,
        env={**os.environ, "PYTHONPATH": str(ROOT)},
        check=False,
    )
    got = f"{version[0]}.{version[1]}"
    assert (done.returncode, done.stdout) == (2, "")
    assert done.stderr == (
        f"synthpert: this Python is too old (got {got}; expected 3.11 or 3.12: "
        "python3.11 -m venv .venv, and install SynthPert there)\n"
    )
