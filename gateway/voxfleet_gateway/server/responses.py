"""Refusals as HTTP responses in OpenAI's error form.

Knows: error types, Retry-After and what OpenAI's clients read beside it, the wake estimate's header.
Does not know: what is refused (refusals.py).
"""

from http import HTTPStatus
from typing import Any

from aiohttp import web

from voxfleet_gateway.errors import Refusal
from voxfleet_gateway.request_context import RequestContext

WAKE_ESTIMATE_HEADER = "Voxfleet-Wake-Estimate"
SHOULD_RETRY_HEADER = "X-Should-Retry"  # OpenAI's clients let it decide, whatever the status is

ERROR_TYPES = {
    HTTPStatus.UNAUTHORIZED: "authentication_error",
    HTTPStatus.FORBIDDEN: "permission_error",
    HTTPStatus.TOO_MANY_REQUESTS: "rate_limit_error",
}


def refuse(context: RequestContext, refusal: Refusal) -> web.Response:
    """Return the refusal of a request as its response, and count it."""
    context.record_refusal(refusal.code)
    return error_response(refusal)


def error_body(refusal: Refusal) -> dict[str, Any]:
    """Return the refusal in OpenAI's form."""
    server_fault = refusal.status >= HTTPStatus.INTERNAL_SERVER_ERROR
    kind = ERROR_TYPES.get(HTTPStatus(refusal.status), "server_error" if server_fault else "invalid_request_error")
    return {"error": {"message": refusal.message, "type": kind, "param": refusal.param, "code": refusal.code}}


def error_response(refusal: Refusal) -> web.Response:
    """Return the refusal as a response."""
    headers = {}
    if refusal.retry_after_seconds is not None:
        headers["Retry-After"] = str(refusal.retry_after_seconds)
        headers[SHOULD_RETRY_HEADER] = "true"
    if refusal.status == HTTPStatus.UNAUTHORIZED:
        headers["WWW-Authenticate"] = "Bearer"  # RFC 6750, 3
    if refusal.is_final:  # also with Retry-After, which such a client would not wait for
        headers[SHOULD_RETRY_HEADER] = "false"
    if refusal.wake_estimate_seconds is not None:
        headers[WAKE_ESTIMATE_HEADER] = f"{refusal.wake_estimate_seconds:.1f}"
    return web.json_response(error_body(refusal), status=refusal.status, headers=headers)
