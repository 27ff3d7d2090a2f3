"""Every message in every phase, and the idle time's bound."""

from __future__ import annotations

import pytest
from voxfleet_inference.errors import InvalidFieldError, RequestTimeoutError
from voxfleet_inference.server.live.client_messages import (
    Cancel,
    ClientMessage,
    SessionEnd,
    SessionStart,
    TextAppend,
    TextFlush,
)
from voxfleet_inference.server.live.message_order import SessionPhase, check_active, check_allowed

MESSAGES: tuple[ClientMessage, ...] = (
    SessionStart(model="m"),
    TextAppend(text="a"),
    TextFlush(),
    Cancel(),
    SessionEnd(),
)
ALLOWED = {
    SessionPhase.NEW: {SessionStart, SessionEnd},
    SessionPhase.OPEN: {TextAppend, TextFlush, Cancel, SessionEnd},
    SessionPhase.ENDED: {Cancel, SessionEnd},
}
CODES = {SessionPhase.NEW: "not_started", SessionPhase.OPEN: "already_started", SessionPhase.ENDED: "ended"}


@pytest.mark.parametrize("phase", SessionPhase)
@pytest.mark.parametrize("message", MESSAGES, ids=lambda message: type(message).__name__)
def test_a_message_is_allowed_in_its_phases_and_rejected_in_the_others(
    phase: SessionPhase, message: ClientMessage
) -> None:
    if type(message) in ALLOWED[phase]:
        check_allowed(phase, message)
        return
    with pytest.raises(InvalidFieldError) as rejected:
        check_allowed(phase, message)
    assert rejected.value.code == CODES[phase]
    assert rejected.value.param == "type"


def test_a_session_may_be_idle_for_the_allowed_time_and_no_longer() -> None:
    check_active(60.0, 60.0)
    with pytest.raises(RequestTimeoutError, match="for 60 s") as late:
        check_active(60.1, 60.0)
    assert late.value.code == "session_idle"
