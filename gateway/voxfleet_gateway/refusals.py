"""The table of what the gateway itself refuses: status, code, message, Retry-After. Pure.

Knows: the words of each refusal. Does not know: when a request is refused, how a refusal is written (server/responses).
"""

import math
from collections.abc import Iterable, Sequence
from http import HTTPStatus

from voxfleet_gateway.decisions.accounts.limits import Exceeded, LimitName
from voxfleet_gateway.decisions.caller import SMALL_BODY_BYTES
from voxfleet_gateway.decisions.hold.wake_estimate import RETRY_AFTER_MAX_SECONDS, retry_after_seconds
from voxfleet_gateway.decisions.routing import REFUSAL_BY_FILTER, Decision
from voxfleet_gateway.errors import Refusal

BUSY_RETRY_AFTER_SECONDS = 5  # a row or a restarted pod is likely free by then
NAME_CHARACTERS = 80  # of a client's value quoted in a message


def bad_request(message: str, param: str | None, code: str = "invalid_value") -> Refusal:
    """400: the request must be corrected before it is sent again."""
    return Refusal(HTTPStatus.BAD_REQUEST, code, message, param)


def unknown_framing() -> Refusal:
    """400: the body's framing is not understood (RFC 9112, 6.1)."""
    message = "Transfer-Encoding must be 'chunked', once, and in HTTP/1.1."
    return Refusal(HTTPStatus.BAD_REQUEST, "unknown_framing", message)


def foreign_page(origin: str) -> Refusal:
    """403: the browser's page is not this gateway's own."""
    message = (
        f"The page's origin, {origin!r:.{NAME_CHARACTERS}}, is neither this gateway's own nor allowed: name it "
        "in --allowed-origins (VOXFLEET_ALLOWED_ORIGINS), or serve the page under the gateway's name."
    )
    return Refusal(HTTPStatus.FORBIDDEN, "origin_forbidden", message)


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
    return Refusal(HTTPStatus.UNAUTHORIZED, "invalid_api_key", message)


def unknown_key() -> Refusal:
    """401: no such key, or one that was revoked."""
    return Refusal(HTTPStatus.UNAUTHORIZED, "invalid_api_key", "Incorrect API key provided; it may have been revoked.")


def expired_key(key_id: str) -> Refusal:
    """401: the key was valid once."""
    message = f"The API key {key_id} has expired; ask its administrator for a new one."
    return Refusal(HTTPStatus.UNAUTHORIZED, "invalid_api_key", message)


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


def gateway_starting() -> Refusal:
    """503: the models have not been read yet, so that none can be called unknown."""
    return _unavailable("gateway_starting", "This gateway has not read the models yet; send the request again.", 1)


def no_upgrade() -> Refusal:
    """426: the path speaks WebSocket (RFC 9110, 15.5.22)."""
    message = "This path speaks WebSocket; send a handshake, or POST /v1/audio/speech."
    return Refusal(HTTPStatus.UPGRADE_REQUIRED, "upgrade_required", message)


def sessions_full(limit: int) -> Refusal:
    """503: this process has as many WebSocket sessions as it may have."""
    message = f"This gateway has {limit} sessions open, which is its limit; open the session again."
    return _unavailable("sessions_full", message, BUSY_RETRY_AFTER_SECONDS)


def not_started() -> Refusal:
    """400: a session begins with session.start."""
    return bad_request("The first message must be session.start.", "type", "not_started")


def binary_message() -> Refusal:
    """400: the messages of a session's client are JSON in text frames."""
    return bad_request("A message must be JSON in a text frame, not a binary one.", None, "binary_message")


def backlog_full(messages: int, limit_bytes: int) -> Refusal:
    """400: too much of a session waits for its server; what was sent last was dropped."""
    message = (
        f"{messages} messages wait for a server; the limits are {messages} messages and {limit_bytes} bytes. This one "
        "was not taken: send it again later."
    )
    return bad_request(message, None, "too_long")


def session_idle(limit_seconds: float) -> Refusal:
    """408: the session was not started in time."""
    message = f"No session.start was received for {limit_seconds:.0f} s."
    return Refusal(HTTPStatus.REQUEST_TIMEOUT, "session_idle", message)


def body_too_slow(limit_seconds: float) -> Refusal:
    """408: the body did not arrive in time."""
    message = f"The request's body did not arrive in time; the limit is {limit_seconds:.0f} s."
    return Refusal(HTTPStatus.REQUEST_TIMEOUT, "request_timeout", message)


def body_too_large(limit_bytes: int) -> Refusal:
    """413: the body, declared or read so far, is larger than this caller's may be."""
    reason = "this API key may not upload recordings" if limit_bytes == SMALL_BODY_BYTES else "VOXFLEET_MAX_BODY_BYTES"
    message = f"The request's body is too large; the limit is {limit_bytes} bytes ({reason})."
    return Refusal(HTTPStatus.REQUEST_ENTITY_TOO_LARGE, "request_entity_too_large", message)


def too_many_values(limit: int) -> Refusal:
    """413: the JSON has more values than a speech request has."""
    message = f"The request's JSON has too many values; the limit is {limit}, commas in its texts included."
    return Refusal(HTTPStatus.REQUEST_ENTITY_TOO_LARGE, "too_many_values", message)


def unsupported_media_type(given: str) -> Refusal:
    """415: a voice is neither a form nor JSON."""
    message = f"A voice is sent as multipart/form-data or application/json; given {given!r:.{NAME_CHARACTERS}}."
    return Refusal(HTTPStatus.UNSUPPORTED_MEDIA_TYPE, "unsupported_media_type", message)


def unknown_voice(name: str) -> Refusal:
    """404: the caller has no voice of this id."""
    message = f"There is no voice {name!r:.{NAME_CHARACTERS}}; GET /v1/audio/voices lists yours."
    return Refusal(HTTPStatus.NOT_FOUND, "voice_not_found", message, "voice_id")


def voice_of_request_not_found(name: str) -> Refusal:
    """400: a speech request names a stored voice that its caller does not have."""
    message = (
        f"'voice' must be default, random, an alias or the id of one of your stored voices (GET /v1/audio/voices lists "
        f"them); given {name!r:.{NAME_CHARACTERS}}."
    )
    return Refusal(HTTPStatus.BAD_REQUEST, "voice_not_found", message, "voice")


def unusable_voice(field: str, reason: str) -> Refusal:
    """400: a server has found that the recording, uploaded now or before, cannot be a voice."""
    return bad_request(f"'{field}' cannot be used: {reason}", field, "invalid")


def model_needed(usable: Sequence[str]) -> Refusal:
    """400: a voice by a seed is one of a model's, and the caller may use several, or none."""
    named = ", ".join(usable[:10]) or "you may use none at present"
    return bad_request(f"'model' is missing; it must be the model that draws the voice: {named}.", "model", "missing")


def voices_not_designed() -> Refusal:
    """501: the model's servers are of a version that draws no voices for gateways."""
    message = (
        "The servers of this model are too old to draw voices for a gateway; update their image, or send 'voice': "
        "'random' with the seed in each speech request."
    )
    return Refusal(HTTPStatus.NOT_IMPLEMENTED, "voices_not_designed", message, "seed")


def voices_not_kept() -> Refusal:
    """501: this gateway has no folder for voices."""
    message = "This gateway stores no voices; start it with --voices-dir (in the chart: gateway.voices.enabled)."
    return Refusal(HTTPStatus.NOT_IMPLEMENTED, "voices_not_kept", message)


def voices_full(reason: str) -> Refusal:
    """507: a limit on voices is reached, or the disk is full."""
    return Refusal(HTTPStatus.INSUFFICIENT_STORAGE, "voices_full", f"The voice cannot be stored: {reason}.")


def voices_unavailable(reason: str) -> Refusal:
    """503: the folder of voices cannot be used now."""
    return _unavailable("voices_unavailable", f"The voices cannot be used now: {reason}.", BUSY_RETRY_AFTER_SECONDS)


def body_encoded(coding: str) -> Refusal:
    """415: the body is compressed; a small one could inflate to any size."""
    message = f"A request's body must not be encoded; its Content-Encoding is {coding!r:.{NAME_CHARACTERS}}."
    return Refusal(HTTPStatus.UNSUPPORTED_MEDIA_TYPE, "unsupported_encoding", message)


def unknown_expectation() -> Refusal:
    """417: `Expect` has another value than 100-continue."""
    return Refusal(HTTPStatus.EXPECTATION_FAILED, "expectation_failed", "The only Expect is 100-continue.")


def bodies_full(limit_bytes: int) -> Refusal:
    """503: open and held requests keep as many bytes of bodies as this process may hold."""
    message = f"This gateway holds {limit_bytes} bytes of request bodies, which is its limit; send the request again."
    return _unavailable("bodies_full", message, BUSY_RETRY_AFTER_SECONDS)


def refused_by_decision(decision: Decision) -> Refusal:
    """403 or 503: no region can serve, and none can be waited for."""
    forbidden = decision.route == "forbidden"
    return Refusal(
        status=HTTPStatus.FORBIDDEN if forbidden else HTTPStatus.SERVICE_UNAVAILABLE,
        code=REFUSAL_BY_FILTER.get(decision.route, "no_region"),
        message=decision.message,
        # A country does not change, so a client must not be asked to try again.
        retry_after_seconds=None if forbidden else decision.retry_after_seconds or RETRY_AFTER_MAX_SECONDS,
        wake_estimate_seconds=decision.wake_estimate_seconds,
    )


def still_waking(region: str, held_seconds: float, estimated_seconds: float) -> Refusal:
    """503: the request was held as long as it may be, and its region is not awake yet."""
    return Refusal(
        status=HTTPStatus.SERVICE_UNAVAILABLE,
        code="region_waking",
        message=f"Region {region} is still waking after {held_seconds:.0f} s; the wake continues. Send the request "
        "again, or send 'Prefer: wait=N' to wait longer.",
        retry_after_seconds=retry_after_seconds(estimated_seconds),
        wake_estimate_seconds=estimated_seconds,
    )


def too_many_waiting(region: str, estimated_seconds: float) -> Refusal:
    """503: the places of the model, of its tenant, or of this process are taken."""
    return Refusal(
        status=HTTPStatus.SERVICE_UNAVAILABLE,
        code="too_many_waiting",
        message=f"No further request of this size and tenant can wait for region {region}.",
        retry_after_seconds=retry_after_seconds(estimated_seconds),
        wake_estimate_seconds=estimated_seconds,
    )


def still_full(region: str, held_seconds: float, estimated_seconds: float) -> Refusal:
    """503: the request was held as long as it may be, and its region has had no capacity for it."""
    message = f"Region {region} had no capacity for this request within {held_seconds:.0f} s."
    return _unavailable("region_full", message, retry_after_seconds(estimated_seconds))


def gateway_draining() -> Refusal:
    """503: this replica is shutting down; another one serves the next request."""
    return _unavailable("gateway_draining", "This gateway is shutting down; send the request again.", 1)


def no_pod_responded(region: str, reason: str) -> Refusal:
    """503: all attempts failed before any audio."""
    return _unavailable(
        "upstream_failed", f"No server in region {region} responded: {reason}.", BUSY_RETRY_AFTER_SECONDS
    )


def region_failing(region: str, estimated_seconds: float) -> Refusal:
    """503: every server of the region fails, so that none was asked until the deadline."""
    message = f"The servers in region {region} have failed one after another, and it is left alone for a time."
    return _unavailable("upstream_failed", message, retry_after_seconds(estimated_seconds))


def broke_off(region: str) -> Refusal:
    """502: the pod broke the connection after the first byte; only an event stream can still report it."""
    message = f"The server in region {region} broke off before everything was spoken."
    return Refusal(HTTPStatus.BAD_GATEWAY, "upstream_broke_off", message)


def report_too_large(limit_bytes: int) -> Refusal:
    """413: a report of round trips is longer than any client needs."""
    message = f"A report has a Content-Length of at most {limit_bytes} bytes."
    return Refusal(HTTPStatus.REQUEST_ENTITY_TOO_LARGE, "report_too_large", message)


def too_many_reports() -> Refusal:
    """429: clients report more round trips than this gateway takes."""
    message = "Too many clients report round trips at once."
    return Refusal(HTTPStatus.TOO_MANY_REQUESTS, "too_many_reports", message, retry_after_seconds=1)


def internal_error() -> Refusal:
    """500: a mistake in the gateway."""
    message = "The gateway failed; its log has the reason."
    return Refusal(HTTPStatus.INTERNAL_SERVER_ERROR, "internal_error", message)


def _unavailable(code: str, message: str, retry_after_seconds: int) -> Refusal:
    return Refusal(HTTPStatus.SERVICE_UNAVAILABLE, code, message, retry_after_seconds=retry_after_seconds)
