"""The files of prompt sets: what is shipped, and what is refused."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

import pytest
from repository import ROOT

from synthpert.errors import InputError
from synthpert.prompts import load_prompts
from synthpert.prompts.files import SLOTS, read_texts

SHIPPED = ["compact", "direction", "judge", "paper", "paper_context", "short", "short_context"]
USER = "{cell_line} {pert} {gene}"


def written(folder: Path, text: str) -> Path:
    path = folder / "mine.yaml"
    path.write_text(text, encoding="utf-8")
    return path


def test_the_shipped_sets_are_the_known_ones() -> None:
    assert sorted(path.stem for path in (ROOT / "configs/prompts").glob("*.yaml")) == SHIPPED


def test_the_set_with_context_keeps_every_sentence_of_the_papers() -> None:
    keys = list(SLOTS)
    plain, more = (read_texts(name, [*keys, "source"])[1] for name in ("paper", "paper_context"))
    for key in keys:
        lines = [line for line in plain.get(key, "").splitlines() if line]
        assert [line for line in more.get(key, "").splitlines() if line in lines] == lines


def test_a_shipped_set_is_found_from_a_folder_with_its_own_configs(tmp_path: Path) -> None:
    (tmp_path / "configs").mkdir()
    (tmp_path / "configs" / "__init__.py").touch()
    code = "from synthpert.prompts import load_prompts; load_prompts('paper')"
    environment = os.environ | {"PYTHONPATH": os.pathsep.join([str(tmp_path), str(ROOT)])}
    subprocess.run([sys.executable, "-c", code], cwd=tmp_path, env=environment, check=True)


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("user: 'knock {pert} down'", r"mine.yaml:user: missing slot \(expected {cell_line}"),
        (
            "user: '{cell_line} {pert} {genes}'",
            r"unknown slot; did you mean gene\? \(got '{genes}'",
        ),
        (f"user: '{USER}'\nusers: x", r"unknown key; did you mean user\? \(got 'users'"),
        (f"user: '{USER}'\nsystem: 3", r"mine.yaml:system: not a text \(got 3"),
        (f"user: '{USER}'\nanswer: hm", "mine.yaml:answer: missing slot"),
        (f"user: '{USER}'\nanswer: '{{label}}{{label}}'", "mine.yaml:answer: slot given twice"),
        (f"user: '{USER}'\ncritic_system: '{{gene}}'", "critic_system: unknown slot .*no slots"),
        (f"user: '{USER}'\ngenerator_system: x", "generator_system: missing slot"),
        (f"user: '{USER}'\nlabels: [up]", "labels: not a table of labels"),
        (f"user: '{USER}'\nlabels: {{down: x}}", "labels: unknown label"),
        (f"user: '{USER}'\nlabels: {{upregulated: 1}}", "labels.upregulated: not a text"),
        (f"user: '{USER}'\nlabels: {{upregulated: down}}", "not read back as its label"),
        (f"user: '{USER}'\nlabels: {{upregulated: risen}}", "not read back as its label"),
        (f"user: '{USER}'\ncritic_user: '{{thinking}} {{evidence}}'", "critic_user: unknown slot"),
        (f"user: '{USER} {{evidences}}'", r"unknown slot; did you mean evidence\?"),
        (f"user: '{USER}'\nevidence: x", r"unknown key \(got 'evidence'"),
        ("system: hello", "mine.yaml:user: missing key"),
        ("- a", "not a prompt set"),
        ("", "not a prompt set"),
        ("user: a\n  b: [", "mine.yaml:2: not YAML"),
        ("user: !!python/object:os.system {}", "not YAML"),
    ],
)
def test_a_wrong_set_is_refused_in_one_line(tmp_path: Path, text: str, message: str) -> None:
    with pytest.raises(InputError, match=message) as caught:
        load_prompts(written(tmp_path, text))
    assert "\n" not in str(caught.value)


def test_a_file_that_is_no_text_is_refused(tmp_path: Path) -> None:
    path = tmp_path / "mine.yaml"
    path.write_bytes(b"user: \xff\xfe")
    with pytest.raises(InputError, match="not YAML"):
        load_prompts(path)


def test_an_unknown_name_lists_the_known_ones() -> None:
    with pytest.raises(InputError, match=r"did you mean paper\?.*compact, direction, .*, paper, "):
        load_prompts("papper")


def test_a_missing_file_is_refused(tmp_path: Path) -> None:
    with pytest.raises(InputError, match="no such file"):
        load_prompts(tmp_path / "none.yaml")
