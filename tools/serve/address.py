"""Where the page listens, and who may see it."""

from __future__ import annotations

import errno
import importlib.util
import ipaddress
import logging
import secrets
import socket
from typing import Final

from synthpert.errors import InputError

log = logging.getLogger(__name__)

USER: Final = "synthpert"
"""The name to sign in with; the token is its password."""
LEAST_TOKEN: Final = 16
"""Characters of a token that somebody chose."""
_LOCAL: Final = ("127.0.0.1", "localhost", "::1")


def require_gradio() -> None:
    """Refuse to start without the library that makes the page.

    Raises:
        InputError: With the command that installs it.
    """
    if importlib.util.find_spec("gradio") is None:
        raise InputError("needs Gradio", file="serve", expected="pip install 'synthpert[serve]'")


def is_local(host: str) -> bool:
    """Whether an address is of this machine alone.

    Args:
        host: As typed.
    """
    try:
        return ipaddress.ip_address(host).is_loopback
    except ValueError:
        return host == "localhost"


def names_of(host: str) -> tuple[str, ...]:
    """The names by which a browser may call a page.

    Args:
        host: The address that it listens on.

    Returns:
        Those of this machine for a local address; none, that is any, for another.
    """
    return tuple({*_LOCAL, host}) if is_local(host) else ()


def token_for(host: str, given: str | None) -> str | None:
    """The token that visitors are asked for.

    Args:
        host: The address to listen on.
        given: The user's own token, if there is one.

    Returns:
        The user's own; else none for a local address, and a new one for another.

    Raises:
        InputError: If the user's own is too short to withstand guessing.
    """
    if given is not None and len(given) < LEAST_TOKEN:
        expected = f"{LEAST_TOKEN} characters or more; without --token one is made"
        what = "what --token or SYNTHPERT_SERVE_TOKEN gives is too short"
        raise InputError(what, file="serve", expected=expected)
    if is_local(host):
        return given
    log.warning(
        "--host %s: whoever reaches this address reaches the page, and what is sent is not "
        "encrypted; a tunnel (ssh -L) to the default address is safer",
        host,
    )
    return given or secrets.token_urlsafe(24)


def listen(host: str, port: int) -> socket.socket:
    """Take an address, before the student is loaded.

    Args:
        host: A name or an address of this machine.
        port: Its port; 0 for any that is free.

    Returns:
        The socket, listening.

    Raises:
        InputError: If the port is taken, or there is no such address here.
    """
    try:
        family, kind, protocol, _, address = socket.getaddrinfo(
            host, port, type=socket.SOCK_STREAM, flags=socket.AI_PASSIVE
        )[0]
    except (socket.gaierror, UnicodeError):
        raise InputError("no such address", file="--host", got=host) from None
    listening = socket.socket(family, kind, protocol)
    listening.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
    try:
        listening.bind(address)
        listening.listen()
    except OSError as error:
        listening.close()
        elsewhere = error.errno == errno.EADDRNOTAVAIL
        raise InputError(
            f"cannot listen here: {(error.strerror or str(error)).lower()}",
            file=f"--host {host} --port {port}",
            expected="an address of this machine, such as 127.0.0.1"
            if elsewhere
            else "another port, such as --port 8765; 0 takes any that is free",
        ) from None
    return listening


def url(host: str, listening: socket.socket) -> str:
    """What to type into a browser.

    Args:
        host: As typed.
        listening: The socket.
    """
    port = listening.getsockname()[1]
    shown = socket.gethostname() if host in ("0.0.0.0", "::", "") else host
    return f"http://{f'[{shown}]' if ':' in shown else shown}:{port}"
