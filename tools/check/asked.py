"""Settings of `traces` and of `ask`, and prompt sets."""

from __future__ import annotations

import os
from typing import TYPE_CHECKING, Any, Final

from synthpert import commands
from tools.check.wellformed import parse

if TYPE_CHECKING:
    from collections.abc import Sequence

    from tools.check.findings import Findings
    from tools.traces.settings import Model

_OFFLINE: Final = "offline/"
# The variables of the providers that are asked most; LiteLLM knows the others.
KEYS: Final = {
    "openai": "OPENAI_API_KEY",
    "anthropic": "ANTHROPIC_API_KEY",
    "gemini": "GEMINI_API_KEY",
    "openrouter": "OPENROUTER_API_KEY",
    "mistral": "MISTRAL_API_KEY",
    "together_ai": "TOGETHERAI_API_KEY",
    "deepseek": "DEEPSEEK_API_KEY",
    "groq": "GROQ_API_KEY",
}


def check_prompts(found: Findings) -> None:
    """Check files of prompts.

    Args:
        found: Takes errors and facts.
    """
    from synthpert.prompts import load_prompts

    for file in found.draft.files:
        with found.noting():
            prompts = load_prompts(file)
            texts = ["student"]
            texts += ["teacher"] if prompts.generator_system or prompts.predictor_system else []
            texts += ["critic"] if prompts.critic_user else []
            found.facts.append(f"prompt set {prompts.name} for {', '.join(texts)}")


def check_settings(found: Findings, kind: str) -> None:
    """Check settings of `traces` or `ask`: keys, values, prompts, data and the draw of questions.

    Args:
        found: Takes errors and facts.
        kind: `traces` or `ask`.
    """
    from tools.ask.settings import Settings as Ask
    from tools.traces.settings import Settings as Traces

    verb = "traces make" if kind == "traces" else "ask"
    parser = commands.parser_of(verb, Traces if kind == "traces" else Ask)
    if parse(found, parser, verb) is None:
        return
    with found.noting():
        if kind == "traces":
            _check_traces(found)
        else:
            _check_ask(found)


def _words(found: Findings) -> list[str]:
    configs = [word for file in found.draft.files for word in ("--config", str(file))]
    return configs + found.draft.flags


def _check_traces(found: Findings) -> None:
    from tools.traces.draw import draw
    from tools.traces.recipe import Recipe
    from tools.traces.settings import read_settings

    if found.errors:
        return
    settings = read_settings("make", _words(found))
    models = [settings.teacher, *settings.critics]
    with found.noting("prompts"):
        recipe = Recipe.of(settings)
        found.facts.append(f"traces by {models[0].model}, prompts {recipe.prompts.name}")
    with found.noting("data"):
        found.facts.append(f"{len(draw(settings)):,} train questions, split {settings.split}")
    found.facts.append(f"graded by {', '.join(m.model for m in models[1:]) or 'nobody'}")
    _tell_keys(found, models)


def _check_ask(found: Findings) -> None:
    from tools import ask
    from tools.ask.drawing import draw
    from tools.ask.settings import Settings

    if found.errors:
        return
    settings: Any = commands.run("ask", Settings, _words(found))
    _, prompts = ask._way(settings)
    found.facts.append(f"ask {settings.model}, prompts {settings.prompts}")
    drawn = draw(settings, prompts)
    found.facts.append(f"{drawn.kept.height:,} questions, split {settings.split}")
    _tell_keys(found, [settings.asked])


def _tell_keys(found: Findings, models: Sequence[Model]) -> None:
    """Say which key is needed and not set; whether it is right, only its provider knows."""
    needed = dict.fromkeys(_variable(model) for model in models)
    gone = [name for name in needed if name and not os.environ.get(name)]
    if gone:
        found.facts.append(f"not set here: {', '.join(gone)}")


def _variable(model: Model) -> str | None:
    if model.model.startswith(_OFFLINE):
        return None
    if model.key_from or model.parameters.get("api_base"):
        return model.key_from or None
    return KEYS.get(model.model.partition("/")[0])
