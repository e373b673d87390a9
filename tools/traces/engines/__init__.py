"""What answers a chat: a provider through LiteLLM, a server asked directly, or no model at all."""

from __future__ import annotations

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from tools.traces.engines.engine import Engine
    from tools.traces.settings import Model


def open_engine(model: Model) -> Engine:
    """Open the engine that a model asks for; sends nothing.

    Args:
        model: The model.

    Returns:
        Its engine.

    Raises:
        InputError: If the provider is unknown, the model is no longer in service, its price is not
            known, or `key_from` names a variable that is not set.
        StoppedError: If a key is missing.
    """
    # Each of them imports what takes seconds, so only the one that is needed is imported.
    from tools.traces.engines import offline

    if model.model.startswith(f"{offline.PROVIDER}/"):
        return offline.OfflineEngine(model)
    if model.engine == "openai":
        from tools.traces.engines.direct import DirectEngine

        return DirectEngine(model)
    from tools.traces.engines.providers import LiteLLMEngine

    return LiteLLMEngine(model)
