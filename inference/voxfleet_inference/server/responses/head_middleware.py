"""Answers HEAD wherever GET is answered (RFC 9110, 9.1): the same head, no body.

Knows: ASGI, and that the web server leaves the body of an answer to HEAD out by itself.
Does not know: paths.
"""

from __future__ import annotations

from starlette.types import ASGIApp, Receive, Scope, Send


class HeadMiddleware:
    """ASGI middleware."""

    def __init__(self, app: ASGIApp) -> None:
        self._app = app

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Ask as if for the whole; the web server keeps the scope that says HEAD."""
        is_head = scope["type"] == "http" and scope["method"] == "HEAD"
        await self._app({**scope, "method": "GET"} if is_head else scope, receive, send)
