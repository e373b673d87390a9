"""Every loss is a mean over the whole step: micro-batches and processes change nothing."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import loss_steps
import numpy as np
import pytest
from cli_recipe import environment
from tiny import tiny_base

pytestmark = pytest.mark.slow
NAMES = list(loss_steps.LOSSES)


@pytest.fixture(scope="module")
def lab(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder with a base, and what two processes made of it with each loss."""
    folder = tmp_path_factory.mktemp("losses")
    tiny_base(folder / "base")
    here = Path(loss_steps.__file__)
    known = environment()
    known["PYTHONPATH"] += f":{here.parents[1]}"
    done = subprocess.run(
        [sys.executable, str(here), str(folder), "2"],
        capture_output=True,
        text=True,
        env=known,
        timeout=200,
        check=False,
    )
    assert done.returncode == 0, done.stderr[-2000:]
    return folder


@pytest.fixture(scope="module")
def whole(lab: Path) -> dict[str, tuple[list[float], np.ndarray]]:
    return {
        name: loss_steps.fit(str(lab / "base"), loss_steps.LOSSES[name](), [4]) for name in NAMES
    }


def alike(one: tuple[list[float], np.ndarray], two: tuple[list[float], np.ndarray]) -> None:
    assert len(one[0]) == loss_steps.STEPS
    assert list(two[0]) == pytest.approx(list(one[0]), abs=1e-6)
    np.testing.assert_allclose(two[1], one[1], rtol=0, atol=1e-6)


@pytest.mark.parametrize("sizes", [[1, 1, 1, 1], [3, 1]], ids=str)
@pytest.mark.parametrize("name", NAMES)
def test_micro_batches_do_not_change_the_steps(
    lab: Path, whole: dict, name: str, sizes: list[int]
) -> None:
    alike(whole[name], loss_steps.fit(str(lab / "base"), loss_steps.LOSSES[name](), sizes))


@pytest.mark.parametrize("rank", [0, 1])
@pytest.mark.parametrize("name", NAMES)
def test_two_processes_do_not_change_the_steps(
    lab: Path, whole: dict, name: str, rank: int
) -> None:
    with np.load(lab / f"{name}-{rank}.npz") as found:
        alike(whole[name], (found["seen"].tolist(), found["weights"]))


def test_the_losses_differ_from_one_another(whole: dict) -> None:
    assert len({round(seen[0], 4) for seen, _ in whole.values()}) == len(NAMES)
