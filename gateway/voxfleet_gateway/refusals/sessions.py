"""What is refused of WebSocket and WebRTC sessions. Pure.

Does not know: the states of a session (server/live/), what a session's requests are refused for.
"""

from http import HTTPStatus

from voxfleet_gateway.errors import Refusal
from voxfleet_gateway.refusals.forms import BUSY_RETRY_AFTER_SECONDS, NAME_CHARACTERS, bad_request, unavailable


def no_upgrade() -> Refusal:
    """426: the path speaks WebSocket (RFC 9110, 15.5.22)."""
    message = "This path speaks WebSocket; send a handshake, or POST /v1/audio/speech."
    return Refusal(HTTPStatus.UPGRADE_REQUIRED, "upgrade_required", message)


def sessions_full(limit: int) -> Refusal:
    """503: this process has as many WebSocket sessions as it may have."""
    message = f"This gateway has {limit} sessions open, which is its limit; open the session again."
    return unavailable("sessions_full", message, BUSY_RETRY_AFTER_SECONDS)


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


def direct_audio_not_metered() -> Refusal:
    """501: the server keeps no account of a tenant's session: it, or its region's gateway, is of an earlier version."""
    message = (
        "WebRTC's audio passes no gateway, and the server that would speak keeps no account of it for this API key's "
        "tenant: it, or the gateway of its region, is of an earlier version; "
        "use POST /v1/audio/speech or the WebSocket."
    )
    return Refusal(HTTPStatus.NOT_IMPLEMENTED, "rtc_not_metered", message)


def session_not_found(name: str) -> Refusal:
    """404: this gateway has passed on no such session of the caller's, or its pod has none."""
    message = (
        f"No WebRTC session {name!r:.{NAME_CHARACTERS}} that this gateway passed on is open; closing its connection "
        "ends one."
    )
    return Refusal(HTTPStatus.NOT_FOUND, "session_not_found", message)
