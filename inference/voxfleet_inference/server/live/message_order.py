"""Which message of a client is allowed when, and when a session without messages ends.

Knows: the phases of a session.
Does not know: clocks (the time is an argument), connections, or what a message does.
"""

from __future__ import annotations

import enum
from collections.abc import Mapping
from typing import Final

from voxfleet_inference.errors import InvalidFieldError, RequestTimeoutError
from voxfleet_inference.server.live.client_messages import (
    Cancel,
    ClientMessage,
    SessionStart,
    TextAppend,
    TextFlush,
)


class SessionPhase(enum.Enum):
    """What a session has received."""

    NEW = enum.auto()  # no valid session.start
    OPEN = enum.auto()
    ENDED = enum.auto()  # session.end, or the server drains; its last text is spoken


_NOT_STARTED: Final = ("the first message must be session.start", "not_started")
_STARTED: Final = ("the session has started already", "already_started")
_ENDED: Final = ("the session has been ended; only cancel may follow", "ended")
# Message and code of the error for what is not allowed; what is not listed is.
_REJECTED: Final[Mapping[SessionPhase, Mapping[type[ClientMessage], tuple[str, str]]]] = {
    SessionPhase.NEW: dict.fromkeys((TextAppend, TextFlush, Cancel), _NOT_STARTED),
    SessionPhase.OPEN: {SessionStart: _STARTED},
    SessionPhase.ENDED: dict.fromkeys((SessionStart, TextAppend, TextFlush), _ENDED),
}


def check_allowed(phase: SessionPhase, message: ClientMessage) -> None:
    """Check that a message may come in this phase; session.end always may.

    Raises:
        InvalidFieldError: it may not; the session continues.
    """
    rejected = _REJECTED[phase].get(type(message))
    if rejected is not None:
        text, code = rejected
        raise InvalidFieldError(text, param="type", code=code)


def check_active(idle_seconds: float, allowed_seconds: float) -> None:
    """Check that a session has not been idle for too long.

    Raises:
        RequestTimeoutError: no message, no speech and no audio left to play for more than `allowed_seconds`.
    """
    if idle_seconds > allowed_seconds:
        raise RequestTimeoutError(f"no message and no speech for {allowed_seconds:g} s", code="session_idle")
