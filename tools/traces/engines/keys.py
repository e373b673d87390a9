"""Keys: read from the environment when a model is opened, and sent to nobody they are not for."""

from __future__ import annotations

import os
from typing import TYPE_CHECKING

from synthpert.errors import InputError

if TYPE_CHECKING:
    from tools.traces.settings import Model

# Clients want some key; servers without keys take any.
NO_KEY = "none"


def server_of(model: Model) -> str | None:
    """The address in the model's parameters; None for the provider's own.

    Args:
        model: The model.
    """
    return model.parameters.get("api_base") or model.parameters.get("base_url") or None


def key_of(model: Model) -> str | None:
    """The key to send with a model's requests.

    A server that the parameters name is sent the key of `key_from` alone, and none without it:
    the provider's usual variable (OPENAI_API_KEY …) is for the provider's own servers.

    Args:
        model: The model.

    Returns:
        The key, or None where the client is to read the provider's usual variable.

    Raises:
        InputError: If `key_from` names a variable that is not set.
    """
    if model.key_from:
        if key := os.environ.get(model.key_from):
            return key
        raise InputError(
            "no such variable in the environment",
            file="traces",
            column="key_from",
            got=model.key_from,
            expected="the name of the variable that holds the key",
        )
    return NO_KEY if server_of(model) else None
