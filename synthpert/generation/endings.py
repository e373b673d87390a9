"""Where a completion ends: at the end of sequence, or where its stop text is complete."""

from __future__ import annotations

from collections.abc import Callable, Sequence

from synthpert.generation.decoding import Completion

Decode = Callable[[Sequence[int]], str]


def completion_of(ids: list[int], eos_id: int, stop: str, decode: Decode) -> Completion:
    """Cut what was written where it ends, and say why it does.

    Args:
        ids: What was written; what stands behind the end is dropped.
        eos_id: End-of-sequence id.
        stop: Text that ends a completion and is part of it; empty for none.
        decode: Ids to text.

    Returns:
        The completion; its finish reason is `length` where nothing ended it.
    """
    if eos_id in ids:
        return Completion(ids[: ids.index(eos_id)], "stop")
    if not stop:
        return Completion(ids, "length")
    # A row that stopped at the text is padded while others go on; its padding is not its own.
    end = _end_of_text(ids, stop, decode)
    return Completion(ids, "length") if end is None else Completion(ids[:end], "stop")


def tail(ids: list[int], stop: str) -> list[int]:
    """The last ids, among which the stop text lies if the newest completes it."""
    # A token holds at least one byte of text, so the stop text spans at most that many.
    return ids[-len(stop.encode()) - 1 :]


def _end_of_text(ids: list[int], stop: str, decode: Decode) -> int | None:
    """The number of ids after which `stop` is complete for the first time."""
    if stop not in decode(ids):
        return None
    low, high = 1, len(ids)
    while low < high:
        middle = (low + high) // 2
        if stop in decode(ids[:middle]):
            high = middle
        else:
            low = middle + 1
    return low
