"""What is refused because of the caller: its key, its rights, its limits, its page, its certificate. Pure.

Does not know: how a key or a limit is checked (accounts/), what a region can serve (refusals/regions.py).
"""

import math
from collections.abc import Iterable
from http import HTTPStatus

from voxfleet_gateway.decisions.accounts.limits import Exceeded, LimitName
from voxfleet_gateway.decisions.hold.wake_estimate import RETRY_AFTER_MAX_SECONDS
from voxfleet_gateway.errors import Refusal
from voxfleet_gateway.refusals.forms import NAME_CHARACTERS, bad_request

CHALLENGE = 'Bearer realm="voxfleet"'


def foreign_page(origin: str) -> Refusal:
    """403: the browser's page is not this gateway's own."""
    message = (
        f"The page's origin, {origin!r:.{NAME_CHARACTERS}}, is neither this gateway's own nor allowed: name it "
        "in --allowed-origins (VOXFLEET_ALLOWED_ORIGINS), or serve the page under the gateway's name."
    )
    return Refusal(HTTPStatus.FORBIDDEN, "origin_not_allowed", message)


def unknown_peer(reason: str) -> Refusal:
    """403: the certificate is of the peers' authority, and of no region that this gateway knows."""
    return Refusal(HTTPStatus.FORBIDDEN, "unknown_peer", f"This port is for gateways of known regions: {reason}.")


def peer_headers_refused(reason: str) -> Refusal:
    """400: another gateway has sent what it must not, as a request that came through a third one."""
    return bad_request(f"The request of this region is refused: {reason}.", None, "invalid_spill")


def unknown_model(name: str, known: Iterable[str]) -> Refusal:
    """404: no resource declares the model; `known` are some names that the caller may use."""
    there_are = f"known models: {', '.join(sorted(known))}" if known else "no model is deployed"
    message = f"The model {name!r:.{NAME_CHARACTERS}} does not exist or you do not have access to it; {there_are}."
    return Refusal(HTTPStatus.NOT_FOUND, "model_not_found", message, "model")


def model_forbidden(name: str) -> Refusal:
    """403: the model is public, and this key may not use it."""
    message = f"This API key may not use the model {name!r:.{NAME_CHARACTERS}}; ask its administrator for access."
    return Refusal(HTTPStatus.FORBIDDEN, "model_forbidden", message, "model")


def missing_key() -> Refusal:
    """401: no key."""
    message = "This request has no API key; send it as 'Authorization: Bearer KEY'."
    return Refusal(HTTPStatus.UNAUTHORIZED, "missing_api_key", message, headers=(("WWW-Authenticate", CHALLENGE),))


def unknown_key() -> Refusal:
    """401: no such key, or one that was revoked."""
    return _invalid_key("Incorrect API key provided; it may have been revoked.")


def expired_key(key_id: str) -> Refusal:
    """401: the key was valid once."""
    return _invalid_key(f"The API key {key_id} has expired; ask its administrator for a new one.")


def _invalid_key(message: str) -> Refusal:
    # RFC 6750, 3.1: the error code is for requests that have a key.
    challenge = f'{CHALLENGE}, error="invalid_token"'
    return Refusal(HTTPStatus.UNAUTHORIZED, "invalid_api_key", message, headers=(("WWW-Authenticate", challenge),))


def limit_exceeded(exceeded: Exceeded) -> Refusal:
    """429: the tenant has used up one of its limits."""
    wait_seconds = exceeded.retry_after_seconds
    code = "wake_budget_exceeded" if exceeded.name is LimitName.WAKES else "rate_limit_exceeded"
    return Refusal(
        status=HTTPStatus.TOO_MANY_REQUESTS,
        code=code,
        message=f"Limit {exceeded.name} is reached: {exceeded.message}.",
        retry_after_seconds=None if wait_seconds is None else max(1, math.ceil(wait_seconds)),
        is_final=wait_seconds is None or wait_seconds > RETRY_AFTER_MAX_SECONDS,
    )


def operation_forbidden(key_id: str) -> Refusal:
    """403: the caller may use the model, and not operate its regions."""
    remedy = "make one with 'voxfleet keys create --may-operate'" if key_id else "set VOXFLEET_OPERATE_WITHOUT_KEY"
    message = f"This request may neither name the region to wake nor put one to sleep; {remedy}."
    return Refusal(HTTPStatus.FORBIDDEN, "operation_forbidden", message)
