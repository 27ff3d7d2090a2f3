"""The bytes of each message in VoxFleet's own protocol."""

from __future__ import annotations

import pytest
from voxfleet_inference.errors import InvalidFieldError, UnavailableError
from voxfleet_inference.server.live.server_messages import (
    Cancelled,
    SentenceStart,
    ServerMessage,
    SessionDone,
    SessionError,
    SessionStarted,
    message_json,
)

WRONG = InvalidFieldError("'text' must be a string", param="text", code="invalid")
FULL = UnavailableError("full", code="queue_full", retry_after_seconds=7)
CASES: tuple[tuple[ServerMessage, str], ...] = (
    (
        SessionStarted("0f", 7, "pcm", 24000),
        '{"type": "session.started", "session_id": "0f", "seed": 7, "response_format": "pcm", "sample_rate": 24000}',
    ),
    (
        SentenceStart(1, "下雨了。", 2.49),
        '{"type": "sentence.started", "index": 1, "text": "下雨了。", "at_seconds": 2.49}',
    ),
    (Cancelled(6.17), '{"type": "cancelled", "at_seconds": 6.17}'),
    (SessionDone({"total_tokens": 48}), '{"type": "session.done", "usage": {"total_tokens": 48}}'),
    (
        SessionError(WRONG),
        (
            '{"type": "error", "error": {"message": "\'text\' must be a string", "type": "invalid_request_error",'
            ' "param": "text", "code": "invalid"}}'
        ),
    ),
    (
        SessionError(FULL),
        (
            '{"type": "error", "error": {"message": "full", "type": "server_error", "param": null,'
            ' "code": "queue_full"}, "retry_after_seconds": 7}'
        ),
    ),
)


@pytest.mark.parametrize(("message", "expected"), CASES, ids=lambda case: getattr(case, "kind", ""))
def test_a_message_has_the_documented_bytes(message: ServerMessage, expected: str) -> None:
    assert message_json(message) == expected


def test_a_protocol_may_add_fields_at_the_end() -> None:
    sent = message_json(Cancelled(1.0), media_seconds=2.5)
    assert sent == '{"type": "cancelled", "at_seconds": 1.0, "media_seconds": 2.5}'
