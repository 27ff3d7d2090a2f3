"""Errors as OpenAI's clients expect them.

Knows: the form {"error": {"message", "type", "param", "code"}}, statuses (RFC 9110) and headers.
Does not know: which framework sends them.

ApiError
├── InvalidFieldError   400  a field is missing or out of bounds
├── NoApiKeyError       401  no API key, or an unknown one
├── ForbiddenOriginError 403 the page that sent it is of an origin that is not allowed
├── UnknownModelError   404  no such model
├── UnknownVoiceError   404  no such voice
├── UnknownSessionError 404  no such session
├── RequestTimeoutError 408  the body, or a session's next message, came too late
├── BodyTooLargeError   413  the body is over the limit
├── UnsupportedMediaTypeError 415  a body of a media type that is not accepted
│   └── UnsupportedEncodingError   a compressed body
├── TooManyRequestsError 429  this tenant's share is used up; Retry-After says when to try again
├── NotOfferedError     501  this server's settings do not offer it
├── StorageFullError    507  the limit of stored voices is reached
├── UnavailableError    503  loading, draining, failed or full; Retry-After says when to try again
├── GatewayRefusalError 503  the gateway of a session refused it or its text; the body is the gateway's
└── InternalError       500  the engine failed
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, ClassVar


def _retry_headers(seconds: int) -> dict[str, str]:
    """Return `Retry-After` (RFC 9110, 10.2.3), and what decides in OpenAI's clients, whatever the status is."""
    return {"Retry-After": str(seconds), "X-Should-Retry": "true"}


class ApiError(Exception):
    """An error that becomes the response to a request."""

    status: ClassVar[int] = 500
    kind: ClassVar[str] = "server_error"

    def __init__(self, message: str, *, param: str | None = None, code: str | None = None) -> None:
        super().__init__(message)
        self.message = message
        self.param = param
        self.code = code

    @property
    def headers(self) -> dict[str, str]:
        """The response's headers, besides its type and length."""
        return {}

    @property
    def body(self) -> dict[str, Any]:
        """The response's JSON."""
        return {"error": {"message": self.message, "type": self.kind, "param": self.param, "code": self.code}}


class InvalidFieldError(ApiError):
    """A field is missing or out of bounds."""

    status = 400
    kind = "invalid_request_error"


class NoApiKeyError(ApiError):
    """No API key, or an unknown one."""

    status = 401
    kind = "authentication_error"

    def __init__(self, message: str, *, has_key: bool) -> None:
        super().__init__(message, code="invalid_api_key" if has_key else "missing_api_key")
        self._has_key = has_key

    @property
    def headers(self) -> dict[str, str]:
        """The challenge (RFC 6750, 3.1: without an error code when the request had no key)."""
        challenge = 'Bearer realm="voxfleet"'
        return {"WWW-Authenticate": f'{challenge}, error="invalid_token"' if self._has_key else challenge}


class ForbiddenOriginError(ApiError):
    """A browser sent the request for a page whose origin is not allowed."""

    status = 403
    kind = "permission_error"


class UnknownModelError(ApiError):
    """No such model here."""

    status = 404
    kind = "invalid_request_error"


class RequestTimeoutError(ApiError):
    """The body, or a session's next message, came too late."""

    status = 408
    kind = "invalid_request_error"


class BodyTooLargeError(ApiError):
    """The body is over the limit."""

    status = 413
    kind = "invalid_request_error"


class UnknownSessionError(ApiError):
    """No such session here, or it has ended."""

    status = 404
    kind = "invalid_request_error"


class UnknownVoiceError(ApiError):
    """No such voice here."""

    status = 404
    kind = "invalid_request_error"


class UnsupportedMediaTypeError(ApiError):
    """A body of a media type that is not accepted."""

    status = 415
    kind = "invalid_request_error"


class UnsupportedEncodingError(UnsupportedMediaTypeError):
    """A body in a Content-Encoding that is not accepted."""

    @property
    def headers(self) -> dict[str, str]:
        """The encodings that are accepted (RFC 9110, 12.5.3)."""
        return {"Accept-Encoding": "identity"}


class NotOfferedError(ApiError):
    """This server's settings do not offer it; a retry does not help."""

    status = 501
    kind = "invalid_request_error"


class StorageFullError(ApiError):
    """The limit of stored voices is reached."""

    status = 507


class UnavailableError(ApiError):
    """The same request may succeed later, or on another server."""

    status = 503

    def __init__(self, message: str, *, code: str, retry_after_seconds: int) -> None:
        super().__init__(message, code=code)
        self.retry_after_seconds = retry_after_seconds

    @property
    def headers(self) -> dict[str, str]:
        """When to try again."""
        return _retry_headers(self.retry_after_seconds)


class TooManyRequestsError(ApiError):
    """This tenant has used up its share; requests of other tenants are admitted."""

    status = 429
    kind = "rate_limit_error"

    def __init__(self, message: str, *, code: str, retry_after_seconds: int) -> None:
        super().__init__(message, code=code)
        self.retry_after_seconds = retry_after_seconds

    @property
    def headers(self) -> dict[str, str]:
        """When to try again."""
        return _retry_headers(self.retry_after_seconds)


class GatewayRefusalError(ApiError):
    """The gateway that has passed a session on refuses it, or its text, in words of its own."""

    status = 503

    def __init__(self, event: Mapping[str, Any]) -> None:
        """Take the fields of the gateway's `error` event."""
        error = event.get("error")
        self._error: dict[str, Any] = error if isinstance(error, dict) else {}
        super().__init__(str(self._error.get("message", "the gateway has refused it")), code=self._error.get("code"))
        self._retry_after = event.get("retry_after_seconds")

    @property
    def headers(self) -> dict[str, str]:
        """`Retry-After`, where the gateway says it."""
        return {} if not isinstance(self._retry_after, int) else {"Retry-After": str(self._retry_after)}

    @property
    def body(self) -> dict[str, Any]:
        """The gateway's error."""
        return {"error": {**super().body["error"], **self._error}}


class InternalError(ApiError):
    """The engine failed, or another error that is no fault of the request."""
