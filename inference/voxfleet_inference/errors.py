"""Errors as OpenAI's clients expect them.

Knows: the form {"error": {"message", "type", "param", "code"}} and which status belongs to which trouble.
Does not know: which framework sends them.

ApiError
├── InvalidFieldError   400  a field is missing or out of bounds
├── NoApiKeyError       401  no API key, or none that is known
├── ForbiddenOriginError 403 a browser sent it for a website that may not use this server
├── UnknownModelError   404  no such model
├── UnknownVoiceError   404  no such voice
├── RequestTimeoutError 408  the body came too slowly
├── BodyTooLargeError   413  more bytes than are taken
├── UnsupportedMediaTypeError 415  a body of a kind that is not read
├── TooManyRequestsError 429  this tenant's share is full; Retry-After says when to come back
├── NotOfferedError     501  this server was not set up for it
├── StorageFullError    507  no room to keep a voice
├── UnavailableError    503  loading, draining, failed or full; Retry-After says when to come back
└── InternalError       500  the engine failed
"""

from __future__ import annotations

from typing import Any, ClassVar


class ApiError(Exception):
    """A request that is answered with an error."""

    status: ClassVar[int] = 500
    kind: ClassVar[str] = "server_error"

    def __init__(self, message: str, *, param: str | None = None, code: str | None = None) -> None:
        super().__init__(message)
        self.message = message
        self.param = param
        self.code = code

    @property
    def headers(self) -> dict[str, str]:
        """Headers that belong to the answer."""
        return {}

    @property
    def body(self) -> dict[str, Any]:
        """The answer's JSON."""
        return {"error": {"message": self.message, "type": self.kind, "param": self.param, "code": self.code}}


class InvalidFieldError(ApiError):
    """A field is missing or out of bounds."""

    status = 400
    kind = "invalid_request_error"


class NoApiKeyError(ApiError):
    """No API key, or none that is known."""

    status = 401
    kind = "invalid_request_error"

    def __init__(self, message: str, *, has_key: bool) -> None:
        super().__init__(message, code="invalid_api_key" if has_key else "missing_api_key")
        self._has_key = has_key

    @property
    def headers(self) -> dict[str, str]:
        """How to come in (RFC 6750: no error code for who presented nothing)."""
        challenge = 'Bearer realm="voxfleet"'
        return {"WWW-Authenticate": f'{challenge}, error="invalid_token"' if self._has_key else challenge}


class ForbiddenOriginError(ApiError):
    """A browser sent it for a website that may not use this server."""

    status = 403
    kind = "invalid_request_error"


class UnknownModelError(ApiError):
    """No such model here."""

    status = 404
    kind = "invalid_request_error"


class RequestTimeoutError(ApiError):
    """The body came too slowly."""

    status = 408
    kind = "invalid_request_error"


class BodyTooLargeError(ApiError):
    """More bytes than are taken."""

    status = 413
    kind = "invalid_request_error"


class UnknownVoiceError(ApiError):
    """No such voice here."""

    status = 404
    kind = "invalid_request_error"


class UnsupportedMediaTypeError(ApiError):
    """A body of a kind that is not read."""

    status = 415
    kind = "invalid_request_error"


class NotOfferedError(ApiError):
    """This server was not set up for it; another time will not help."""

    status = 501
    kind = "invalid_request_error"


class StorageFullError(ApiError):
    """No room to keep more."""

    status = 507


class UnavailableError(ApiError):
    """Not now; the same request may succeed later or elsewhere."""

    status = 503

    def __init__(self, message: str, *, code: str, retry_after_seconds: int) -> None:
        super().__init__(message, code=code)
        self.retry_after_seconds = retry_after_seconds

    @property
    def headers(self) -> dict[str, str]:
        """When to come back."""
        return {"Retry-After": str(self.retry_after_seconds)}


class TooManyRequestsError(ApiError):
    """This tenant has as much open as one tenant may; others are still served."""

    status = 429
    kind = "requests"

    def __init__(self, message: str, *, code: str, retry_after_seconds: int) -> None:
        super().__init__(message, code=code)
        self.retry_after_seconds = retry_after_seconds

    @property
    def headers(self) -> dict[str, str]:
        """When to come back."""
        return {"Retry-After": str(self.retry_after_seconds)}


class InternalError(ApiError):
    """The engine failed."""
