"""What is refused of a request's head and body: path, method, framing, encoding, size, speed. Pure.

Does not know: what the values in a body mean (server/requests/speech_request.py).
"""

from collections.abc import Iterable
from http import HTTPStatus

from voxfleet_protocols.base_urls import way_out

from voxfleet_gateway.decisions.caller import SMALL_BODY_BYTES
from voxfleet_gateway.errors import Refusal
from voxfleet_gateway.refusals.forms import BUSY_RETRY_AFTER_SECONDS, NAME_CHARACTERS, unavailable


def no_route(method: str, path: str) -> Refusal:
    """404: there is no such path."""
    return Refusal(HTTPStatus.NOT_FOUND, "not_found", f"There is no {method} {path:.200}; {way_out(path)}.")


def no_method(method: str, path: str, methods: Iterable[str]) -> Refusal:
    """405: the path has other methods (RFC 9110, 15.5.6)."""
    allowed = ", ".join(sorted(methods))
    message = f"There is no {method} {path:.200}; the path has {allowed}."
    return Refusal(HTTPStatus.METHOD_NOT_ALLOWED, "method_not_allowed", message, headers=(("Allow", allowed),))


def unknown_framing() -> Refusal:
    """400: the body's framing is not understood (RFC 9112, 6.1)."""
    message = "Transfer-Encoding must be 'chunked', once, and in HTTP/1.1."
    return Refusal(HTTPStatus.BAD_REQUEST, "unknown_framing", message)


def unknown_expectation() -> Refusal:
    """417: `Expect` has another value than 100-continue."""
    return Refusal(HTTPStatus.EXPECTATION_FAILED, "expectation_failed", "The only Expect is 100-continue.")


def body_encoded(coding: str) -> Refusal:
    """415: the body is compressed; a small one could inflate to any size."""
    message = f"A request's body must not be encoded; its Content-Encoding is {coding!r:.{NAME_CHARACTERS}}."
    accepted = (("Accept-Encoding", "identity"),)  # RFC 9110, 12.5.3
    return Refusal(HTTPStatus.UNSUPPORTED_MEDIA_TYPE, "unsupported_encoding", message, headers=accepted)


def unsupported_media_type(given: str) -> Refusal:
    """415: a voice is neither a form nor JSON."""
    message = f"A voice is sent as multipart/form-data or application/json; given {given!r:.{NAME_CHARACTERS}}."
    return Refusal(HTTPStatus.UNSUPPORTED_MEDIA_TYPE, "unsupported_media_type", message)


def body_too_slow(limit_seconds: float) -> Refusal:
    """408: the body did not arrive in time."""
    message = f"The request's body did not arrive in time; the limit is {limit_seconds:.0f} s."
    return Refusal(HTTPStatus.REQUEST_TIMEOUT, "request_timeout", message)


def body_too_large(limit_bytes: int) -> Refusal:
    """413: the body, declared or read so far, is larger than this caller's may be."""
    reason = "this API key may not upload recordings" if limit_bytes == SMALL_BODY_BYTES else "VOXFLEET_MAX_BODY_BYTES"
    message = f"The request's body is too large; the limit is {limit_bytes} bytes ({reason})."
    return Refusal(HTTPStatus.REQUEST_ENTITY_TOO_LARGE, "body_too_large", message)


def too_many_values(limit: int) -> Refusal:
    """413: the JSON has more values than a speech request has."""
    message = f"The request's JSON has too many values; the limit is {limit}, commas in its texts included."
    return Refusal(HTTPStatus.REQUEST_ENTITY_TOO_LARGE, "too_many_values", message)


def bodies_full(limit_bytes: int) -> Refusal:
    """503: open and held requests keep as many bytes of bodies as this process may hold."""
    message = f"This gateway holds {limit_bytes} bytes of request bodies, which is its limit; send the request again."
    return unavailable("bodies_full", message, BUSY_RETRY_AFTER_SECONDS)


def report_too_large(limit_bytes: int) -> Refusal:
    """413: a report of round trips is longer than any client needs."""
    message = f"A report has a Content-Length of at most {limit_bytes} bytes."
    return Refusal(HTTPStatus.REQUEST_ENTITY_TOO_LARGE, "report_too_large", message)


def too_many_reports() -> Refusal:
    """429: clients report more round trips than this gateway takes."""
    message = "Too many clients report round trips at once."
    return Refusal(HTTPStatus.TOO_MANY_REQUESTS, "too_many_reports", message, retry_after_seconds=1)
