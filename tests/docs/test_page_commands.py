"""Every command of README and docs is run: as it is typed, on the stand-ins of `standins.py`."""

from __future__ import annotations

from pathlib import Path

import pytest
from blocks import pages
from given import AS_TYPED, NEEDS
from story import do
from world import World

pytestmark = pytest.mark.slow
# The tutorials have a test of their own, where nothing is made smaller.
PAGES = [page for page in pages() if not page.startswith("docs/tutorials/")]


@pytest.mark.parametrize("page", PAGES)
def test_the_commands_of_a_page_run(page: str, world: World, tmp_path: Path) -> None:
    world.fill(tmp_path, NEEDS.get(page, ()))
    assert do(page, world, tmp_path, as_typed=page in AS_TYPED) == []
