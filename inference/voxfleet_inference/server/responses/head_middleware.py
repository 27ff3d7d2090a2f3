"""Answers HEAD on every path that has GET (RFC 9110, 9.3.2): the same head, no body.

Knows: ASGI, and that uvicorn drops the body of a response to HEAD.
Does not know: paths.
"""

from __future__ import annotations

from starlette.types import ASGIApp, Receive, Scope, Send


class HeadMiddleware:
    """ASGI middleware."""

    def __init__(self, app: ASGIApp) -> None:
        self._app = app

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Pass HEAD on as GET, in a copy of the scope: uvicorn reads the method from the original."""
        is_head = scope["type"] == "http" and scope["method"] == "HEAD"
        await self._app({**scope, "method": "GET"} if is_head else scope, receive, send)
