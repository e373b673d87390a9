"""The help of the verbs that train and answer."""

from __future__ import annotations

import pytest

from synthpert.cli_help import parsers


@pytest.mark.parametrize("verb", ["fit", "validate", "test", "predict"])
def test_each_verb_shows_a_command_of_its_own(verb: str) -> None:
    assert f"synthpert {verb} --config configs/tiny.yaml" in parsers()[verb]["description"]


def test_fit_alone_needs_no_checkpoint() -> None:
    with_one = {verb for verb, told in parsers().items() if "--ckpt_path" in told["description"]}
    assert with_one == {"validate", "test", "predict"}
