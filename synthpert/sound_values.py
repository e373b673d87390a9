"""Values of a recipe that are of the right type, and that no run can be made with.

jsonargparse sees an int or a float; Lightning and PyTorch end on these with a traceback hours into
a queue, or pass over them in silence.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence
from typing import Any, Final, NamedTuple

from synthpert.errors import InputError
from synthpert.yaml_places import Place

# The largest seed of NumPy, which Lightning seeds too.
_LAST_SEED: Final = 2**32 - 1


class _Rule(NamedTuple):
    holds: Callable[[Any], bool]
    expected: str


def _devices(value: Any) -> bool:  # noqa: ANN401 - an int, a text or a list
    if isinstance(value, list):
        return bool(value)
    text = str(value).strip()
    return int(text) > 0 or int(text) == -1 if text.lstrip("-").isdecimal() else bool(text)


def _from_zero(value: float) -> bool:
    return math.isfinite(value) and value >= 0


# Null is said by a key's type; a text (`val_check_interval: 00:01:00:00`) is Lightning's to read.
_RULES: Final = {
    "seed_everything": _Rule(lambda x: 0 <= x <= _LAST_SEED, f"0 to {_LAST_SEED}"),
    "trainer.devices": _Rule(_devices, "1 or more, a list of devices, -1 for all, or auto"),
    "trainer.num_nodes": _Rule(lambda x: x >= 1, "1 or more"),
    "trainer.val_check_interval": _Rule(
        lambda x: not isinstance(x, int | float) or x > 0,
        "a count of batches from 1, or a share of the epoch above 0",
    ),
    "trainer.accumulate_grad_batches": _Rule(lambda x: x >= 1, "1 or more"),
    "trainer.gradient_clip_val": _Rule(lambda x: x >= 0, "0 or more; null for no clipping"),
    "model.learning_rate": _Rule(math.isfinite, "a finite number above 0"),
    "model.weight_decay": _Rule(_from_zero, "a finite number, 0 or more"),
    "model.warmup_steps": _Rule(lambda x: x >= 0, "0 or more"),
}


def unsound_values(
    written: Sequence[Place],
    parsed: Any,  # noqa: ANN401 - jsonargparse's namespace
    verb: str | None,
) -> list[InputError]:
    """Find values that no run can be made with.

    Args:
        written: The keys of the YAMLs, without those that a flag overrides.
        parsed: jsonargparse's namespace of YAMLs and flags; other than a recipe's holds none.
        verb: Named where no YAML holds the key; None for a recipe that is only built.

    Returns:
        An error for each, at its place.
    """
    if "trainer" not in parsed:
        return []
    last = {place.key: place for place in written}
    found = []
    for key, rule in _RULES.items():
        value = parsed.get(key)
        if value is None or rule.holds(value):
            continue
        place = last.get(key)
        file, row = (place.file, place.line) if place else (f"synthpert {verb or 'recipe'}", None)
        facts = {"column": key, "got": value, "expected": rule.expected}
        found.append(InputError("wrong value", file=file, row=row, **facts))
    return found


def is_of_trainer(error: Exception) -> bool:
    """Whether an error that ended a run is Lightning's word on the trainer's settings.

    Args:
        error: A `MisconfigurationException`, or a `ValueError`: Lightning raises one of these where
            `val_check_interval` is more than the batches, which it knows once the data is there.
    """
    plain = isinstance(error, ValueError)
    told = not isinstance(error, InputError) and "`val_check_interval` (" in str(error)
    return not plain or told
