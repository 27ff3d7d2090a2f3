"""Refusals as HTTP responses: in OpenAI's error form, on paths of other protocols in theirs.

Knows: error types, Retry-After and what OpenAI's clients read beside it, the wake estimate's header.
Does not know: what is refused (refusals/), the forms of other protocols (voxfleet_protocols.errors).
"""

from http import HTTPStatus
from typing import Any

from aiohttp import web
from voxfleet_protocols.errors import form_of, in_form

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


def use_client_form(response: web.StreamResponse, context: RequestContext) -> None:
    """Write an error, this gateway's or a pod's, anew in the form of its path's protocol; change nothing else."""
    form = form_of(context.path)
    if form is None or response.status < HTTPStatus.BAD_REQUEST or not isinstance(response, web.Response):
        return
    response.body = in_form(form, bytes(response.body or b""), context.request_id)  # type: ignore[arg-type]
    response.content_type = "application/json"
    if form.request_id_header:
        response.headers[form.request_id_header] = context.request_id


def refusal_event(refusal: Refusal) -> dict[str, Any]:
    """Return the refusal as the `error` event of a session."""
    retry_after = refusal.retry_after_seconds
    more = {} if retry_after is None else {"retry_after_seconds": retry_after}
    return {"type": "error", **error_body(refusal), **more}


def error_body(refusal: Refusal) -> dict[str, Any]:
    """Return the refusal in OpenAI's form."""
    server_fault = refusal.status >= HTTPStatus.INTERNAL_SERVER_ERROR
    kind = ERROR_TYPES.get(HTTPStatus(refusal.status), "server_error" if server_fault else "invalid_request_error")
    return {"error": {"message": refusal.message, "type": kind, "param": refusal.param, "code": refusal.code}}


def error_response(refusal: Refusal) -> web.Response:
    """Return the refusal as a response."""
    headers = dict(refusal.headers)
    if refusal.retry_after_seconds is not None:
        headers["Retry-After"] = str(refusal.retry_after_seconds)
        headers[SHOULD_RETRY_HEADER] = "true"
    if refusal.is_final:  # also with Retry-After, which such a client would not wait for
        headers[SHOULD_RETRY_HEADER] = "false"
    if refusal.wake_estimate_seconds is not None:
        headers[WAKE_ESTIMATE_HEADER] = f"{refusal.wake_estimate_seconds:.1f}"
    return web.json_response(error_body(refusal), status=refusal.status, headers=headers)
