"""Sampling: by the probabilities, and each prompt by itself."""

from __future__ import annotations

import pytest
import torch

from synthpert.generation import Decoding
from synthpert.generation.sampling import chooser, seed_of

LOGITS = torch.tensor([2.0, 0.0, 1.0, -1.0])


def draw(decoding: Decoding, prompts: list[list[int]], seed: int = 0) -> torch.Tensor:
    choose = chooser(decoding, prompts, seed)
    return choose(LOGITS.repeat(len(prompts), 1), range(len(prompts)), 0)


def test_sampling_follows_the_probabilities() -> None:
    found = draw(Decoding(1, temperature=2.0), [[number] for number in range(8000)])
    shares = torch.bincount(found, minlength=4) / 8000
    assert float((shares - (LOGITS / 2).softmax(0)).abs().max()) < 0.02


def test_what_is_outside_the_nucleus_is_never_drawn() -> None:
    found = draw(Decoding(1, temperature=1.0, top_p=0.6), [[number] for number in range(500)])
    assert set(found.tolist()) == {0}


def test_each_row_has_its_own_stream_wherever_it_stands() -> None:
    sampled = Decoding(4, temperature=5.0)
    prompts = [[number, 7] for number in range(20)]
    together = draw(sampled, prompts)
    apart = torch.cat([draw(sampled, [prompt]) for prompt in prompts])
    assert torch.equal(together, apart)
    assert len(set(together.tolist())) > 1


def test_another_token_takes_another_number() -> None:
    choose = chooser(Decoding(64, temperature=5.0), [[1, 2]], 0)
    found = {int(choose(LOGITS[None], [0], place)) for place in range(64)}
    assert len(found) == 4


@pytest.mark.parametrize("other", [(1, [5, 6]), (0, [6, 5]), (0, [5, 6, 0])])
def test_seed_and_every_id_count(other: tuple[int, list[int]]) -> None:
    assert seed_of(0, [5, 6]) != seed_of(*other)
    assert seed_of(0, [5, 6]) == seed_of(0, [5, 6])


def test_a_seed_is_one_of_every_program() -> None:
    assert 0 <= seed_of(123, list(range(100))) < 2**63
