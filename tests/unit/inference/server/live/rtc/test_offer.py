from __future__ import annotations

import json
from typing import Any

import pytest
from voxfleet_inference.errors import ApiError
from voxfleet_inference.server.live.client_messages import SessionStart, TextFlush
from voxfleet_inference.server.live.rtc.offer import JSON_TYPE, SDP_TYPE, parse_offer

SDP = "v=0\r\nm=audio 9 UDP/TLS/RTP/SAVPF 111\r\na=candidate:1 1 udp 1 10.0.0.8 9 typ host\r\n"
SDP += "a=end-of-candidates\r\nm=application 9 UDP/DTLS/SCTP webrtc-datachannel\r\na=mid:1\r\n"


def test_candidates_are_left_unread() -> None:
    offer = parse_offer(SDP.encode(), SDP_TYPE + "; charset=utf-8")
    kept = "v=0\r\nm=audio 9 UDP/TLS/RTP/SAVPF 111\r\nm=application 9 UDP/DTLS/SCTP webrtc-datachannel\r\na=mid:1\r\n"
    assert (offer.sdp, offer.messages) == (kept, ())


def test_the_first_messages_come_with_the_offer() -> None:
    messages = [{"type": "session.start", "model": "m", "seed": 3, "input": "Hi."}, {"type": "text.flush"}]
    offer = parse_offer(json.dumps({"type": "offer", "sdp": SDP, "messages": messages}).encode(), JSON_TYPE)
    start, flush = offer.messages
    assert isinstance(start, SessionStart)
    assert (start.seed, start.input, flush) == (3, "Hi.", TextFlush())


@pytest.mark.parametrize(
    ("body", "media_type", "status", "said"),
    [
        (SDP, "text/plain", 415, "application/sdp or application/json; given 'text/plain'"),
        ("hello", SDP_TYPE, 400, "has no SDP"),
        ("v=0\nm=video 9", SDP_TYPE, 400, "has no audio section"),
        ("v=0\nm=audio 9", SDP_TYPE, 400, "has no data channel"),
        ({"type": "offer"}, JSON_TYPE, 400, "'sdp' is missing"),
        ({"type": "answer", "sdp": SDP}, JSON_TYPE, 400, "'type' must be offer; given 'answer'"),
        ({"sdp": SDP, "messages": [{"type": "sing"}]}, JSON_TYPE, 400, "'type' must be one of session.start"),
        ({"sdp": SDP, "messages": [{"type": "session.start"}]}, JSON_TYPE, 400, "'model' is missing"),
        ({"sdp": SDP, "messages": [{"type": "text.flush"}] * 17}, JSON_TYPE, 400, "a list of at most 16 messages"),
    ],
)
def test_what_is_wrong_is_named(body: str | dict[str, Any], media_type: str, status: int, said: str) -> None:
    sent = body if isinstance(body, str) else json.dumps(body)
    with pytest.raises(ApiError) as rejected:
        parse_offer(sent.encode(), media_type)
    assert rejected.value.status == status
    assert said in rejected.value.message
