"""What refusals of all kinds are built of: statuses and forms that many have, the bounds of their messages. Pure.

Does not know: any single refusal.
"""

from http import HTTPStatus

from voxfleet_gateway.errors import Refusal

BUSY_RETRY_AFTER_SECONDS = 5  # a row or a restarted pod is likely free by then
NAME_CHARACTERS = 80  # of a client's value quoted in a message


def bad_request(message: str, param: str | None, code: str = "invalid_value") -> Refusal:
    """400: the request must be corrected before it is sent again."""
    return Refusal(HTTPStatus.BAD_REQUEST, code, message, param)


def missing_field(name: str, wanted: str) -> Refusal:
    """400: a field that a request needs, with the code that a server gives."""
    return bad_request(f"'{name}' is missing; it must be {wanted}.", name, "missing")


def wrong_field(name: str, wanted: str, given: str, code: str = "invalid") -> Refusal:
    """400: a field is out of bounds, with the code that a server gives."""
    return bad_request(f"'{name}' must be {wanted}; given {given:.{NAME_CHARACTERS}}.", name, code)


def unavailable(code: str, message: str, retry_after_seconds: int) -> Refusal:
    """503: the same request may be served in so many seconds."""
    return Refusal(HTTPStatus.SERVICE_UNAVAILABLE, code, message, retry_after_seconds=retry_after_seconds)
