"""Requires an API key for every path under /v1/, over HTTP and WebSocket, and stores the caller in the scope.

Knows: ASGI, where a key is sent (Authorization as in RFC 6750, or a WebSocket's subprotocols), and that health and the
page need none.
Does not know: what a request asks for, or whether the limits admit it.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Final, cast

from starlette.datastructures import Headers
from starlette.responses import JSONResponse
from starlette.types import ASGIApp, Receive, Scope, Send

from voxfleet_inference.admission.api_keys import ApiKeys
from voxfleet_inference.admission.callers import ANONYMOUS, Caller, CallerError, from_gateway_headers
from voxfleet_inference.admission.subprotocols import offered_key
from voxfleet_inference.errors import ApiError, InvalidFieldError, NoApiKeyError

GUARDED_PATHS: Final = "/v1/"
_STATE_KEY: Final = "caller"


def caller_of(scope: Scope) -> Caller:
    """Return the caller that the middleware stored; anonymous outside of /v1/."""
    return cast("Caller", scope.get("state", {}).get(_STATE_KEY, ANONYMOUS))


class ApiKeyMiddleware:
    """ASGI middleware; with `api_keys` None, no request needs a key."""

    def __init__(
        self, app: ASGIApp, api_keys: ApiKeys | None, on_refusal: Callable[[int], None], *, trusts_gateway: bool
    ) -> None:
        self._app = app
        self._api_keys = api_keys
        self._on_refusal = on_refusal
        self._trusts_gateway = trusts_gateway

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Pass the request on with its caller, or send its error."""
        if scope["type"] in {"http", "websocket"} and scope["path"].startswith(GUARDED_PATHS):
            try:
                scope.setdefault("state", {})[_STATE_KEY] = self._caller(scope)
            except ApiError as refused:
                self._on_refusal(refused.status)
                await refuse(refused, scope, receive, send)
                return
        await self._app(scope, receive, send)

    def _caller(self, scope: Scope) -> Caller:
        headers = Headers(scope=scope)
        caller = (
            ANONYMOUS if self._api_keys is None else Caller(_key_name(self._api_keys, _presented_key(scope, headers)))
        )
        if not self._trusts_gateway:
            return caller
        try:
            return from_gateway_headers(caller, headers)
        except CallerError as error:
            raise InvalidFieldError(str(error), code="invalid_header") from error


def _presented_key(scope: Scope, headers: Headers) -> str:
    """Return the key in a request; empty when there is none."""
    scheme, _, key = headers.get("authorization", "").partition(" ")
    if scheme.lower() == "bearer" and key.strip():
        return key.strip()
    return offered_key(scope.get("subprotocols", ()))


def _key_name(api_keys: ApiKeys, key: str) -> str:
    if not key:
        raise NoApiKeyError("an API key is needed: send it as 'Authorization: Bearer KEY'", has_key=False)
    name = api_keys.name_of(key)
    if name is None:
        raise NoApiKeyError("the API key is unknown to this server", has_key=True)
    return name


async def refuse(refused: ApiError, scope: Scope, receive: Receive, send: Send) -> None:
    """Send an error in OpenAI's form; for a WebSocket, instead of its handshake."""
    if scope["type"] == "websocket":
        await receive()  # websocket.connect
    await JSONResponse(refused.body, refused.status, refused.headers)(scope, receive, send)
