"""What kind of YAML a configuration is, told by its keys."""

from __future__ import annotations

import difflib
from collections.abc import Collection, Sequence
from dataclasses import fields
from typing import TYPE_CHECKING, Final, Literal

if TYPE_CHECKING:
    from synthpert.yaml_places import Place

Kind = Literal["recipe", "overlay", "traces", "ask", "prompts"]

_RECIPE: Final = ("trainer", "model", "data", "seed_everything", "watch", "ckpt_path", "run")
_LIKE: Final = 0.5


def kind_of(written: Sequence[Place], flags: Collection[str]) -> Kind:
    """Tell a recipe of `fit` from settings of `traces` or `ask` and from a prompt set.

    Args:
        written: The keys of all files.
        flags: The keys of the flags.

    Returns:
        The kind most of whose keys are there; a recipe that names neither base nor data is an
        overlay.
    """
    tops = [place for place in written if len(place.path) == 1]
    names = [place.key for place in tops] + [flag.partition(".")[0] for flag in flags]
    groups = {place.key for place in tops if place.holds in ("mapping", "empty")}
    known = _known()
    scores = {kind: sum(_fit(name, keys) for name in names) for kind, keys in known.items()}
    # `model` and `data` are groups of keys in a recipe, a name and a folder elsewhere.
    dotted = {flag.partition(".")[0] for flag in flags if "." in flag}
    scores["recipe"] += 2 * len({"model", "data", "trainer"} & (groups | dotted))
    scores["ask"] += "model" in names and "model" not in groups | dotted
    best = max(scores, key=lambda kind: scores[kind])
    if best == "recipe" and not _has_base_or_data(written, flags):
        return "overlay"
    return best


def _known() -> dict[Kind, tuple[str, ...]]:
    from synthpert.prompts import PromptSet
    from tools.ask.settings import Settings as Ask
    from tools.traces.settings import Settings as Traces

    return {
        "recipe": _RECIPE,
        "traces": tuple(each.name for each in fields(Traces)),
        "ask": tuple(each.name for each in fields(Ask)),
        "prompts": tuple(each.name for each in fields(PromptSet)),
    }


def _fit(name: str, keys: Sequence[str]) -> float:
    if name in keys:
        return 1
    return _LIKE if difflib.get_close_matches(name, keys, n=1) else 0


def _has_base_or_data(written: Sequence[Place], flags: Collection[str]) -> bool:
    keys = {place.key for place in written} | set(flags)
    if keys & {"model.base", "data.class_path"} or "data" in flags:
        return True
    # A misspelt group is a recipe's all the same.
    like = [key for key in keys if key.endswith((".base", ".class_path")) and key.count(".") == 1]
    return any(place.key == "data" and place.holds == "text" for place in written) or bool(like)
