"""One world of stand-ins for all pages of a session."""

from __future__ import annotations

from collections.abc import Iterator

import pytest
import world as worlds


@pytest.fixture(scope="session")
def world(tmp_path_factory: pytest.TempPathFactory) -> Iterator[worlds.World]:
    """The programs, servers and folders that the commands of the pages meet."""
    with worlds.running(tmp_path_factory.mktemp("world")) as made:
        yield made
