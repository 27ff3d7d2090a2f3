"""Rejects requests that a browser sends for a page of an origin that is not allowed, over HTTP and WebSocket.

Knows: ASGI, which requests have effects, and the headers in which a browser names the page.
Does not know: which origins are allowed, keys, or what a request asks for.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Final

from starlette.datastructures import Headers
from starlette.types import ASGIApp, Receive, Scope, Send

from voxfleet_inference.admission.api_key_middleware import GUARDED_PATHS, refuse
from voxfleet_inference.errors import ForbiddenOriginError
from voxfleet_inference.origins import Visit, may_use, refusal_message

_FREE_METHODS: Final = frozenset(
    {"GET", "HEAD"}
)  # without effects; and the browser hides the response from pages of other origins


class OriginMiddleware:
    """ASGI middleware; a request without `Origin` is not from a browser, and passes."""

    def __init__(self, app: ASGIApp, allowed_origins: frozenset[str], on_refusal: Callable[[int], None]) -> None:
        self._app = app
        self._allowed_origins = allowed_origins
        self._on_refusal = on_refusal

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Pass the request on, or send its error."""
        origin = _forbidden_origin(scope, self._allowed_origins) if _is_guarded(scope) else None
        if origin is None:
            await self._app(scope, receive, send)
            return
        refused = ForbiddenOriginError(refusal_message(origin), code="origin_not_allowed")
        self._on_refusal(refused.status)
        await refuse(refused, scope, receive, send)


def _is_guarded(scope: Scope) -> bool:
    if scope["type"] not in {"http", "websocket"} or not scope["path"].startswith(GUARDED_PATHS):
        return False
    return scope["type"] == "websocket" or scope["method"] not in _FREE_METHODS


def _forbidden_origin(scope: Scope, allowed: frozenset[str]) -> str | None:
    headers = Headers(scope=scope)
    origin = headers.get("origin")
    if origin is None:
        return None
    visit = Visit(origin, headers.get("host", ""), headers.get("sec-fetch-site", ""))
    return None if may_use(visit, allowed) else origin
