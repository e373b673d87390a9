"""Where completions end: the end of sequence, the stop text, or the limit."""

from __future__ import annotations

from collections.abc import Sequence

import pytest

from synthpert.generation.endings import completion_of, tail

EOS = 0


def decode(ids: Sequence[int]) -> str:
    return "".join("|" if each == EOS else chr(96 + each) for each in ids)


@pytest.mark.parametrize(
    ("ids", "stop", "kept", "reason"),
    [
        ([1, 2, EOS, 3], "", [1, 2], "stop"),
        ([1, 2, 3], "", [1, 2, 3], "length"),
        ([1, 2, 3, 4], "bc", [1, 2, 3], "stop"),
        ([1, 2, 3, 2, 3], "bc", [1, 2, 3], "stop"),
        ([1, 2, 4], "bc", [1, 2, 4], "length"),
        ([EOS, 2, 3], "bc", [], "stop"),
        ([], "bc", [], "length"),
    ],
)
def test_completion_is_cut_where_it_first_ends(
    ids: list[int], stop: str, kept: list[int], reason: str
) -> None:
    found = completion_of(ids, EOS, stop, decode)
    assert (found.ids, found.finish_reason) == (kept, reason)


def test_stop_text_is_looked_for_among_the_last_ids_alone() -> None:
    assert tail([1, 2, 3, 4, 5, 6], "é") == [4, 5, 6]
