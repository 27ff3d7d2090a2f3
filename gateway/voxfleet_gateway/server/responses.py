"""Errors in OpenAI's form, and the table of what the gateway itself refuses.

Knows: types, codes, Retry-After. Does not know: when a request is refused.
"""

import math
from http import HTTPStatus

from aiohttp import web

from voxfleet_gateway.decisions.routing import REFUSAL_BY_FILTER, RETRY_AFTER_MAX_SECONDS, Decision
from voxfleet_gateway.errors import Refusal

WAKE_ESTIMATE_HEADER = "Voxfleet-Wake-Estimate"

ERROR_TYPES = {
    HTTPStatus.UNAUTHORIZED: "authentication_error",
    HTTPStatus.FORBIDDEN: "permission_error",
    HTTPStatus.TOO_MANY_REQUESTS: "rate_limit_error",
}


def error_response(refusal: Refusal) -> web.Response:
    """The refusal as an HTTP answer."""
    server_fault = refusal.status >= HTTPStatus.INTERNAL_SERVER_ERROR
    kind = ERROR_TYPES.get(HTTPStatus(refusal.status), "server_error" if server_fault else "invalid_request_error")
    body = {"error": {"message": refusal.message, "type": kind, "param": refusal.param, "code": refusal.code}}
    headers = {}
    if refusal.retry_after_seconds is not None:
        headers["Retry-After"] = str(refusal.retry_after_seconds)
    if refusal.wake_estimate_seconds is not None:
        headers[WAKE_ESTIMATE_HEADER] = f"{refusal.wake_estimate_seconds:.1f}"
    return web.json_response(body, status=refusal.status, headers=headers)


def bad_request(message: str, param: str | None, code: str = "invalid_value") -> Refusal:
    """The client's to correct."""
    return Refusal(HTTPStatus.BAD_REQUEST, code, message, param)


def unknown_model(name: str, known: tuple[str, ...]) -> Refusal:
    """A name that no resource declares."""
    there_are = f"known models: {', '.join(known)}" if known else "no model is deployed"
    return Refusal(
        HTTPStatus.NOT_FOUND, "model_not_found", f"The model {name!r:.80} does not exist; {there_are}.", "model"
    )


def refused_by_decision(decision: Decision) -> Refusal:
    """No region can serve, and no region can be waited for."""
    forbidden = decision.route == "forbidden"
    return Refusal(
        status=HTTPStatus.FORBIDDEN if forbidden else HTTPStatus.SERVICE_UNAVAILABLE,
        code=REFUSAL_BY_FILTER.get(decision.route, "no_region"),
        message=decision.message,
        retry_after_seconds=None if forbidden else decision.retry_after_seconds or RETRY_AFTER_MAX_SECONDS,
        wake_estimate_seconds=decision.wake_estimate_seconds,
    )


def still_waking(region: str, held_seconds: float, estimate_seconds: float) -> Refusal:
    """Held as long as this request may be."""
    return Refusal(
        status=HTTPStatus.SERVICE_UNAVAILABLE,
        code="region_waking",
        message=f"Region {region} is still waking after {held_seconds:.0f} s; it goes on waking. Ask again, "
        "or send 'Prefer: wait=N' to wait longer.",
        retry_after_seconds=max(1, min(RETRY_AFTER_MAX_SECONDS, math.ceil(estimate_seconds))),
        wake_estimate_seconds=estimate_seconds,
    )


def still_full(region: str, held_seconds: float) -> Refusal:
    """Awake, and without a place for this request as long as it may wait."""
    message = f"Region {region} had no place for this request within {held_seconds:.0f} s."
    return Refusal(HTTPStatus.SERVICE_UNAVAILABLE, "region_full", message, retry_after_seconds=5)


def gateway_ending() -> Refusal:
    """This replica is being stopped; another one answers."""
    message = "This gateway is shutting down; ask again."
    return Refusal(HTTPStatus.SERVICE_UNAVAILABLE, "gateway_draining", message, retry_after_seconds=1)


def no_pod_answered(region: str, reason: str) -> Refusal:
    """All attempts failed before any audio."""
    message = f"No server in region {region} answered: {reason}."
    return Refusal(HTTPStatus.SERVICE_UNAVAILABLE, "upstream_failed", message, retry_after_seconds=5)


def broke_off(region: str) -> Refusal:
    """After the first byte nothing is repeated; said where an answer still can be, in a stream of events."""
    message = f"The server in region {region} broke off before everything was spoken."
    return Refusal(HTTPStatus.BAD_GATEWAY, "upstream_broke_off", message)
