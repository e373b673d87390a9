"""The verb `ask`: any language model answers the benchmark's questions, into predictions.

The journal, the engines, the retries, limits and budget are those of the verb `traces`.
"""

from __future__ import annotations

import importlib.util
from typing import TYPE_CHECKING, Any, Final, cast

from synthpert.errors import InputError

if TYPE_CHECKING:
    from synthpert.prompts import PromptSet
    from tools.ask.settings import Settings
    from tools.ask.ways import Way

SUMMER: Final = "summer"
"""In place of a prompt set: PerturbQA's SUMMER."""


def main(args: list[str]) -> int:
    """Run the verb.

    Args:
        args: The command line after `ask`.

    Returns:
        The exit code.

    Raises:
        InputError: If a flag or what it names is wrong.
        StoppedError: If the run ended early; the same command goes on.
    """
    from synthpert import commands
    from tools.ask.settings import Settings

    ask(cast("Settings", commands.run("ask", Settings, args)))
    return 0


def ask(settings: Settings) -> None:
    """Put questions to a model, or say what that would take.

    Args:
        settings: Which questions, which model, where to.

    Raises:
        InputError: If data, prompts or the model's name are wrong.
        StoppedError: If key, quota, budget or provider ended the run; every reply is kept.
    """
    need_packages(settings)
    way, prompts = _way(settings)
    from tools.ask.drawing import draw

    drawn = draw(settings, prompts)
    if settings.plan:
        from tools.ask.planning import plan

        plan(settings, way, drawn)
    else:
        from tools.ask.asking import ask as ask_all

        ask_all(settings, way, drawn)


def ask_as_summer(args: list[str]) -> int:
    """Run `baseline summer`: `ask` with SUMMER's texts and its three samples.

    Args:
        args: The command line after it, as of `ask`.

    Returns:
        The exit code.

    Raises:
        InputError: As `main`.
        StoppedError: As `main`.
    """
    return main(["--prompts", SUMMER, "--samples", "3", *args])


def _way(settings: Settings) -> tuple[Way[Any], PromptSet | None]:
    """How the settings want questions asked, and the prompt set, if it is by one."""
    from tools.ask.ways import ByPrompt
    from tools.traces.recipe import with_facts

    places = (settings.knowledge, settings.data, settings.split)
    (model,) = with_facts([settings.asked], *places)
    if settings.prompts != SUMMER:
        from synthpert.prompts import load_prompts
        from synthpert.prompts.evidence import Evidence

        prompts = load_prompts(settings.prompts, Evidence(*places))
        return ByPrompt(prompts, model), prompts
    from synthpert.knowledge import Knowledge, TrainOutcomes
    from synthpert.questions import read_questions, split_questions
    from tools.ask.summer import Summer
    from tools.ask.summer.retrieval import Retrieval

    train, _ = split_questions(read_questions(settings.data), settings.split)
    knowledge = Knowledge.read(settings.knowledge)
    retrieval = Retrieval(train, knowledge)
    return Summer(model, knowledge, retrieval, TrainOutcomes(train).fingerprint), None


def need_packages(settings: Settings) -> None:
    """Refuse to begin where a package is missing.

    Args:
        settings: Whether anybody is asked.

    Raises:
        InputError: Which package to install.
    """
    if settings.export:
        return
    for package in ("litellm", "openai", "tenacity", "aiolimiter"):
        if importlib.util.find_spec(package) is None:
            raise InputError(f"{package} is not installed: pip install 'synthpert[teacher]'")
