"""The body of an offer, checked: SDP alone, or JSON with the client's first messages.

Knows: both forms, and which of SDP's lines the server leaves unread: the client's candidates. It answers checks that
come in, from whatever address, and by itself sends nothing to an address that a client has written down.
Does not know: HTTP, or how an answer is made.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any, Final, Literal

from pydantic import BaseModel, ConfigDict, Field

from voxfleet_inference.errors import InvalidFieldError, UnsupportedMediaTypeError
from voxfleet_inference.request_fields import Text
from voxfleet_inference.requests import json_object, validated
from voxfleet_inference.server.live.client_messages import ClientMessage, parse_fields

SDP_TYPE: Final = "application/sdp"
JSON_TYPE: Final = "application/json"
_MOST_MESSAGES: Final = 16
_CANDIDATE_LINES: Final = ("a=candidate:", "a=end-of-candidates")


class _OfferBody(BaseModel):
    model_config = ConfigDict(frozen=True, extra="ignore")

    type: Literal["offer"] = Field("offer", description="offer")
    sdp: Text = Field(description="a string, the SDP of an offer")
    messages: list[dict[str, Any]] = Field(
        [], max_length=_MOST_MESSAGES, description=f"a list of at most {_MOST_MESSAGES} messages of a client"
    )


@dataclass(frozen=True, slots=True)
class Offer:
    """What the client offers."""

    sdp: str  # without candidates
    messages: tuple[ClientMessage, ...] = ()  # before those of the data channel


def parse_offer(body: bytes, media_type: str) -> Offer:
    """Parse an offer.

    Raises:
        UnsupportedMediaTypeError: neither SDP nor JSON.
        InvalidFieldError: naming the field, what was given and what it must be.
    """
    kind = media_type.partition(";")[0].strip().lower()
    if kind == SDP_TYPE:
        return Offer(_checked(body.decode("utf-8", "replace")))
    if kind != JSON_TYPE:
        message = f"an offer must be {SDP_TYPE} or {JSON_TYPE}; given {kind[:40]!r}"
        raise UnsupportedMediaTypeError(message, code="unsupported_media_type")
    fields = validated(_OfferBody, json_object(body))
    return Offer(_checked(fields.sdp), tuple(parse_fields(each) for each in fields.messages))


def _checked(sdp: str) -> str:
    lines = sdp.replace("\r\n", "\n").split("\n")
    for wanted, what in (("v=0", "SDP"), ("m=audio ", "audio section"), ("m=application ", "data channel")):
        if not any(line.startswith(wanted) for line in lines):
            message = f"the offer must be SDP with an audio section and a data channel; it has no {what}"
            raise InvalidFieldError(message, param="sdp", code="invalid_sdp")
    return "\r\n".join(line for line in lines if not line.startswith(_CANDIDATE_LINES))
