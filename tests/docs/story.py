"""Does what a page says, from its text: its files written, its commands run, its outputs read."""

from __future__ import annotations

import re
from itertools import zip_longest
from pathlib import Path

from blocks import Block, read
from world import World

GAP = "…"


def do(page: str, world: World, folder: Path, *, as_typed: bool) -> list[str]:
    """Do every step of a page, in order, in one folder.

    Args:
        page: The page, from the top of the repository.
        world: Where its programs come from.
        folder: Where to.
        as_typed: Whether `synthpert` gets its words unchanged.

    Returns:
        What went wrong: a command that failed, or did not; an output that differs. The first one
        ends it.
    """
    steps, printed = read(page), ""
    for block, after in zip_longest(steps, steps[1:]):
        if block.kind == "file":
            world.write(block, folder)
        elif block.kind == "commands":
            ran = world.run(block.script, folder, as_typed=as_typed)
            printed = ran.output
            wanted = (2, 3) if after is not None and after.kind == "error" else (0,)
            if ran.code not in wanted:
                return [f"{block}: exit code {ran.code}\n{block.script}\n{printed}"]
        elif block.kind in ("output", "error") and (missing := differs(block, printed)):
            return [f"{block}: not printed: {missing}\n{printed}"]
    return []


def differs(block: Block, printed: str) -> str | None:
    """The first line of an output block that was not printed in its place.

    `…` stands for any text within a line, and alone on a line for any lines, none too. Lines
    between two of the block are passed over: a page shows what matters.
    """
    lines = iter(printed.splitlines())
    for expected in block.text.splitlines():
        if expected.strip() in ("", GAP):
            continue
        pattern = ".*".join(re.escape(piece.rstrip()) for piece in expected.split(GAP))
        if not any(re.match(pattern, line.rstrip()) for line in lines):
            return expected
    return None
