"""Runs the page: Gradio within a small application of ours, which listens on a given socket."""

from __future__ import annotations

import os
import signal
import socket
import sys
from typing import TYPE_CHECKING, Any, Final

from rich.console import Console

from tools.serve.address import USER, names_of, url

if TYPE_CHECKING:
    import uvicorn
    from fastapi import FastAPI

    from tools.serve.page import Page

TERMINATED: Final = 143


def application(page: Page, host: str, token: str | None) -> FastAPI:
    """The page behind its guard.

    Args:
        page: The page.
        host: The address that it listens on.
        token: Asked of visitors; None for nobody.
    """
    import gradio as gr
    from fastapi import FastAPI
    from starlette.middleware import Middleware

    from tools.serve import drawing
    from tools.serve.guard import Guard

    guard: Any = Guard
    app = FastAPI(
        docs_url=None,
        redoc_url=None,
        openapi_url=None,
        middleware=[Middleware(guard, hosts=names_of(host))],
    )
    gr.mount_gradio_app(
        app,
        page.blocks,
        path="/",
        auth=(USER, token) if token else None,
        auth_message=f"Name: {USER}. Password: the token that `synthpert serve` printed.",
        allowed_paths=[],
        footer_links=[],
        run_history=False,
        show_error=False,
        ssr_mode=False,
        pwa=False,
        mcp_server=False,
        enable_monitoring=False,
        max_file_size=1,
        theme=gr.themes.Base(
            primary_hue="blue",
            neutral_hue="slate",
            radius_size="sm",
            # Fonts of the reader's own machine: nothing is fetched, and no glyph is missing.
            font=["system-ui", "-apple-system", "Segoe UI", "Roboto", "Arial", "sans-serif"],
            font_mono=["ui-monospace", "Menlo", "Consolas", "Liberation Mono", "monospace"],
        ),
        css_paths=[drawing.STYLE],
    )
    return app


def server(page: Page, host: str, token: str | None) -> uvicorn.Server:
    """What answers requests, to be run on a socket.

    Args:
        page: The page.
        host: The address of the socket.
        token: Asked of visitors; None for nobody.
    """
    import uvicorn

    # An answer that is being written ends with the process, not the process with the answer.
    settings = uvicorn.Config(
        application(page, host, token),
        log_level="warning",
        timeout_graceful_shutdown=2,
        server_header=False,
    )
    return uvicorn.Server(settings)


def run(page: Page, listening: socket.socket, host: str, token: str | None) -> None:
    """Serve until interrupted.

    Args:
        page: The page.
        listening: Its socket.
        host: The address of the socket.
        token: Asked of visitors; None for nobody.
    """
    answering = server(page, host, token)
    console = Console(soft_wrap=True)
    told = [f"{url(host, listening)}  (Ctrl-C ends it)"]
    if token and token != os.environ.get("SYNTHPERT_SERVE_TOKEN"):
        told.append(f"sign in as {USER} with the token {token}")
    console.print("\n".join(told), markup=False, highlight=False)
    # uvicorn hands the signal on when it has ended; the default would leave the histories behind.
    signal.signal(signal.SIGTERM, lambda *_: sys.exit(TERMINATED))
    try:
        answering.run(sockets=[listening])
    finally:
        page.folder.cleanup()
