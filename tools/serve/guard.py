"""What stands before the page: who may reach it, and what a browser may fetch for it."""

from __future__ import annotations

from collections.abc import Collection
from typing import TYPE_CHECKING, Final
from urllib.parse import urlsplit

from starlette.datastructures import Headers, MutableHeaders
from starlette.responses import PlainTextResponse

if TYPE_CHECKING:
    from starlette.types import ASGIApp, Message, Receive, Scope, Send

# Nothing is fetched from elsewhere, sent elsewhere or shown within another page. Gradio's own
# scripts stand in the page and build functions from text.
_POLICY: Final = "; ".join(
    (
        "default-src 'self'",
        "script-src 'self' 'unsafe-inline' 'unsafe-eval'",
        "style-src 'self' 'unsafe-inline'",
        "img-src 'self' data: blob:",
        "font-src 'self' data:",
        "connect-src 'self'",
        "object-src 'none'",
        "base-uri 'self'",
        "form-action 'self'",
        "frame-ancestors 'none'",
    )
)
_HEADERS: Final = {
    "content-security-policy": _POLICY,
    "referrer-policy": "no-referrer",
    "x-content-type-options": "nosniff",
    "cache-control": "no-store",
}
# Files are taken from nobody, no page of another machine is fetched, and programs have `predict`;
# `/run/` stays, since the page itself sends what waits for nobody there.
_CLOSED: Final = (
    "/upload",
    "/proxy=",
    "/component_server",
    "/monitoring",
    "/deep_link",
    "/runs",
    "/call/",
    "/gradio_api/api/",
    "/openapi.json",
)
MOST_BYTES: Final = 1_000_000
"""The longest request that is read; the longest list is a twentieth of it."""


class Guard:
    """Refuses requests that the page does not make itself.

    A page of somebody else's, open in the same browser, can send requests to this machine; it is
    known by its origin, or by a host name that it has pointed here (DNS rebinding).

    Args:
        app: What answers the others.
        hosts: Names by which this machine is called; empty for whichever.
    """

    def __init__(self, app: ASGIApp, hosts: Collection[str] = ()) -> None:
        self.app = app
        self.hosts = frozenset(hosts)

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Answer a request, or refuse it."""
        if scope["type"] == "websocket":
            return
        if scope["type"] != "http":
            await self.app(scope, receive, send)
            return
        what = self._wrong(scope)
        if what:
            await PlainTextResponse(f"{what}\n", 403)(scope, receive, send)
            return

        async def guarded(message: Message) -> None:
            if message["type"] == "http.response.start":
                headers = MutableHeaders(scope=message)
                for name, value in _HEADERS.items():
                    headers[name] = value
            await send(message)

        await self.app(scope, receive, guarded)

    def _wrong(self, scope: Scope) -> str:
        try:
            return self._reason(scope)
        except ValueError:  # of urlsplit
            return "no such host name"

    def _reason(self, scope: Scope) -> str:
        headers = Headers(scope=scope)
        host = headers.get("host", "")
        if self.hosts and urlsplit(f"//{host}").hostname not in self.hosts:
            return "another host name than this page's"
        origin = headers.get("origin")
        if origin is not None and urlsplit(origin).netloc != host:
            return "asked by another page"
        if headers.get("sec-fetch-site") in ("cross-site", "same-site") and (
            scope["method"] != "GET" or scope["path"] != "/"
        ):
            return "asked by another page"
        if any(part in scope["path"] for part in _CLOSED):
            return "not offered here"
        length = headers.get("content-length", "0")
        if not length.isdigit() or int(length) > MOST_BYTES:
            return "the request is too long"
        return ""
