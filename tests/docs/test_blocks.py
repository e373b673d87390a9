"""No block is left out: each is commands, a file, an output or data, and is read as such."""

from __future__ import annotations

import json
import re
from pathlib import Path

import pytest
import smaller
import standins
import yaml
from blocks import Block, pages, read
from given import NEEDS, PARTS
from repository import ROOT

from synthpert.verbs import VERBS

EVERY = [block for page in pages() for block in read(page)]


def page(tmp_path: Path, text: str) -> list[Block]:
    (tmp_path / "page.md").write_text(text, encoding="utf-8")
    return read("page.md", tmp_path)


def test_every_block_is_of_a_kind_that_is_tested() -> None:
    assert [str(block) for block in EVERY if block.kind == "unknown"] == []


def test_every_verb_is_run_by_some_page() -> None:
    scripts = "".join(block.script for block in EVERY if block.kind == "commands")
    assert [verb.name for verb in VERBS if f"synthpert {verb.name}" not in scripts] == []


def test_every_script_and_recipe_that_a_page_names_is_there() -> None:
    for name in pages():
        text = (ROOT / name).read_text(encoding="utf-8")
        named = re.findall(r"(?<![\w/.-])(?:benchmarks/\w+\.py|configs/[a-z0-9_/]+\.yaml)", text)
        assert [each for each in named if not (ROOT / each).is_file()] == [], name


def test_every_output_stands_after_commands() -> None:
    for name in pages():
        kinds = [block.kind for block in read(name)]
        before = [
            kinds[place - 1] for place, kind in enumerate(kinds) if kind in ("output", "error")
        ]
        assert set(before) <= {"commands"}, name


@pytest.mark.parametrize("block", [b for b in EVERY if b.kind in ("data", "file")], ids=str)
def test_data_and_files_can_be_read(block: Block) -> None:
    readers = {
        "yaml": yaml.safe_load,
        "json": json.loads,
        "python": lambda text: compile(text, str(block), "exec"),
    }
    if block.language in readers:
        readers[block.language](block.text)


def test_every_stand_in_has_a_reason() -> None:
    assert all({**smaller.SMALLER, **standins.reasons()}.values())
    assert all(part.reason for part in PARTS.values())


def test_what_pages_are_given_is_made_for_pages_that_are_there() -> None:
    assert set(NEEDS) <= set(pages())
    assert {need for needs in NEEDS.values() for need in needs} <= set(PARTS)


def test_the_prompts_and_outputs_of_a_console_are_told_apart(tmp_path: Path) -> None:
    (block,) = page(tmp_path, "```console\n$ synthpert --version\nsynthpert 0.1.0\n```\n")
    assert (block.kind, block.script) == ("commands", "synthpert --version\n")


def test_a_block_with_a_title_is_a_file_or_an_output(tmp_path: Path) -> None:
    text = '```yaml title="a/b.yaml"\nx: 1\n```\n\n```text title="output"\nx\n```\n'
    assert [(block.kind, block.title) for block in page(tmp_path, text)] == [
        ("file", "a/b.yaml"),
        ("output", "output"),
    ]


@pytest.mark.parametrize("text", ["```\n| a | table |\n```\n", "```rust\nfn main() {}\n```\n"])
def test_a_block_that_no_rule_covers_is_unknown(text: str, tmp_path: Path) -> None:
    assert [block.kind for block in page(tmp_path, text)] == ["unknown"]


@pytest.mark.parametrize("text", ["```\nopen\n", "!!! note\n\n    ```\n    synthpert\n    ```\n"])
def test_a_fence_that_opens_no_block_is_refused(text: str, tmp_path: Path) -> None:
    with pytest.raises(ValueError, match="a fence"):
        page(tmp_path, text)


@pytest.mark.parametrize(
    "words",
    [
        "install -c constraints.txt torch==1.0",
        "install '.[nothing]'",
        "install -c missing.txt .",
        "uninstall torch",
    ],
)
def test_an_installation_that_would_fail_is_refused(words: str) -> None:
    from shlex import split

    with pytest.raises((AssertionError, KeyError)):
        standins.pip(split(words))


def test_a_flag_that_vllm_has_not_is_refused() -> None:
    with pytest.raises(AssertionError, match="lora-module"):
        standins.vllm(["serve", "NAME", "--lora-module", "a"])


def test_an_option_that_slurm_has_not_is_refused(tmp_path: Path) -> None:
    script = tmp_path / "job.sbatch"
    script.write_text("#!/bin/bash\n#SBATCH --gpus-per-nod=1\n")
    with pytest.raises(AssertionError, match="unknown to SLURM"):
        standins.sbatch([str(script)])


def test_flags_of_the_page_win_over_the_overlay() -> None:
    words = ["fit", "--config", "configs/tiny.yaml", "--trainer.max_steps", "9"]
    made = smaller.synthpert(words, Path("bases"))
    assert made[:5] == [*words[:3], "--config", "bases/small.yaml"]
    assert made[5:] == words[3:]
