"""The three tutorials are done, step by step, in an empty folder."""

from __future__ import annotations

from pathlib import Path

import pytest
from blocks import Block, pages
from story import differs, do
from world import World

pytestmark = pytest.mark.slow
TUTORIALS = [page for page in pages() if page.startswith("docs/tutorials/")]


@pytest.mark.parametrize("page", TUTORIALS)
def test_a_tutorial_does_what_it_says(page: str, world: World, tmp_path: Path) -> None:
    assert do(page, world, tmp_path, as_typed=True) == []


def output(text: str) -> Block:
    return Block("page.md", 1, "text", "output", text)


def test_an_output_may_leave_out_lines_and_parts_of_lines() -> None:
    printed = "first\nscore 0.12 of 30\nbetween\nlast"
    assert differs(output("first\n…\nscore … of 30\nlast\n"), printed) is None


@pytest.mark.parametrize("text", ["second", "score 0.13", "last\nfirst", "score … of 31"])
def test_an_output_that_was_not_printed_is_named(text: str) -> None:
    printed = "first\nscore 0.12 of 30\nlast"
    assert differs(output(text), printed) is not None
