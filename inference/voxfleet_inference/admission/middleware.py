"""ASGI middleware for the paths under /v1/ and /tts/: rejects pages of other origins, and unknown keys.

Knows: ASGI over HTTP and WebSocket, the headers in which a browser names the page, which requests have effects, and
where a key is sent (Authorization as in RFC 6750, Deepgram's and Cartesia's ways, or a WebSocket's subprotocols).
Health and the page are not guarded.
Does not know: which origins and keys are valid, what a request asks for, or whether the limits admit it.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Final, cast

from starlette.datastructures import Headers, QueryParams
from starlette.responses import JSONResponse
from starlette.types import ASGIApp, Receive, Scope, Send
from voxfleet_protocols.subprotocols import offered_key

from voxfleet_inference.admission.api_keys import ApiKeys
from voxfleet_inference.admission.callers import ANONYMOUS, Caller, CallerError, from_gateway_headers, with_voice_token
from voxfleet_inference.errors import ApiError, ForbiddenOriginError, InvalidFieldError, NoApiKeyError
from voxfleet_inference.origins import Visit, may_use, rejection_message

_CARTESIA_PATHS: Final = "/tts/"  # whose clients may send the key in the query too
_GUARDED_PATHS: Final = ("/v1/", _CARTESIA_PATHS)
_STATE_KEY: Final = "caller"
_KEY_SCHEMES: Final = frozenset({"bearer", "token"})  # the second is Deepgram's
_KEY_HEADER: Final = "x-api-key"  # Cartesia's
_CATALOG_PATHS: Final = frozenset({"/v1", "/v1/models", "/v1/audio/models", "/v1/audio/voices", "/v1/voices"})
_CATALOG_FOLDER: Final = "/v1/models/"
# Methods without effects, whose responses the browser hides from pages of other origins.
_FREE_METHODS: Final = frozenset({"GET", "HEAD"})


def caller_of(scope: Scope) -> Caller:
    """Return the caller that `ApiKeyMiddleware` stored; anonymous outside of /v1/."""
    return cast("Caller", scope.get("state", {}).get(_STATE_KEY, ANONYMOUS))


class OriginMiddleware:
    """Rejects requests of pages whose origin is not allowed; programs send neither `Origin` nor `Sec-Fetch-Site`."""

    def __init__(self, app: ASGIApp, allowed_origins: frozenset[str], on_rejection: Callable[[int], None]) -> None:
        self._app = app
        self._allowed_origins = allowed_origins
        self._on_rejection = on_rejection

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Pass the request on, or send its error."""
        origin = _forbidden_origin(scope, self._allowed_origins) if _is_guarded(scope) else None
        if origin is None:
            await self._app(scope, receive, send)
            return
        rejected = ForbiddenOriginError(rejection_message(origin), code="origin_not_allowed")
        self._on_rejection(rejected.status)
        await _reject(rejected, scope, receive, send)


def _is_guarded(scope: Scope) -> bool:
    if scope["type"] not in {"http", "websocket"} or not scope["path"].startswith(_GUARDED_PATHS):
        return False
    return scope["type"] == "websocket" or scope["method"] not in _FREE_METHODS


def _forbidden_origin(scope: Scope, allowed: frozenset[str]) -> str | None:
    headers = Headers(scope=scope)
    origin, site = headers.get("origin"), headers.get("sec-fetch-site", "")
    return None if may_use(Visit(origin, headers.get("host", ""), site), allowed) else origin or site


class ApiKeyMiddleware:
    """Stores the caller in the scope; rejects a request without a valid key, unless `api_keys` is None."""

    def __init__(
        self,
        app: ASGIApp,
        api_keys: ApiKeys | None,
        on_rejection: Callable[[int], None],
        *,
        trusts_gateway: bool,
        has_public_catalog: bool = False,
    ) -> None:
        self._app = app
        self._api_keys = api_keys
        self._on_rejection = on_rejection
        self._trusts_gateway = trusts_gateway
        self._has_public_catalog = has_public_catalog

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Pass the request on with its caller, or send its error."""
        if scope["type"] in {"http", "websocket"} and scope["path"].startswith(_GUARDED_PATHS):
            try:
                scope.setdefault("state", {})[_STATE_KEY] = self._caller(scope)
            except ApiError as rejected:
                self._on_rejection(rejected.status)
                await _reject(rejected, scope, receive, send)
                return
        await self._app(scope, receive, send)

    def _caller(self, scope: Scope) -> Caller:
        headers = Headers(scope=scope)
        caller, is_public = ANONYMOUS, self._has_public_catalog and _is_catalog(scope)
        if self._api_keys is not None and not is_public:
            key = _presented_key(scope, headers)
            caller = Caller(_key_name(self._api_keys, key), has_valid_key=self._api_keys.validity(key))
        caller = with_voice_token(caller, headers)
        if not self._trusts_gateway:
            return caller
        try:
            return from_gateway_headers(caller, headers)
        except CallerError as error:
            raise InvalidFieldError(str(error), code="invalid_header") from error


def _is_catalog(scope: Scope) -> bool:
    """Return whether a request lists models or voices."""
    if scope["type"] != "http" or scope["method"] not in _FREE_METHODS:
        return False
    path: str = scope["path"].rstrip("/")
    return path in _CATALOG_PATHS or path.startswith(_CATALOG_FOLDER)


def _presented_key(scope: Scope, headers: Headers) -> str:
    """Return the key in a request; empty when there is none."""
    scheme, _, key = headers.get("authorization", "").partition(" ")
    if scheme.lower() in _KEY_SCHEMES and key.strip():
        return key.strip()
    if named := headers.get(_KEY_HEADER, "").strip():
        return named
    if scope["path"].startswith(_CARTESIA_PATHS):
        return QueryParams(scope.get("query_string", b"")).get("api_key", "")
    return offered_key(scope.get("subprotocols", ()))  # of a WebSocket from a browser


def _key_name(api_keys: ApiKeys, key: str) -> str:
    if not key:
        raise NoApiKeyError("an API key is needed: send it as 'Authorization: Bearer KEY'", has_key=False)
    name = api_keys.name_of(key)
    if name is None:
        raise NoApiKeyError("the API key is unknown to this server", has_key=True)
    return name


async def _reject(rejected: ApiError, scope: Scope, receive: Receive, send: Send) -> None:
    """Send an error in OpenAI's form; for a WebSocket, instead of its handshake."""
    if scope["type"] == "websocket":
        await receive()  # websocket.connect
    await JSONResponse(rejected.body, rejected.status, rejected.headers)(scope, receive, send)
