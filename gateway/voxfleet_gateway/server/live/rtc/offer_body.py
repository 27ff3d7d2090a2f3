"""The body of a WebRTC offer, as far as the gateway reads it. Pure.

Knows: that the offer's messages begin with a session.start, which names the model that the offer is routed by.
Does not know: SDP, which pods check; HTTP; voices.
"""

import json
from dataclasses import dataclass
from http import HTTPStatus
from typing import Any

from voxfleet_gateway.errors import Refusal, RequestRefusedError
from voxfleet_gateway.refusals import bad_request
from voxfleet_gateway.server.live.messages import START, SessionStart, added_text, parse_start
from voxfleet_gateway.server.requests.speech_request import KeptBody, parse_object

JSON_TYPE = "application/json"


@dataclass(frozen=True, slots=True)
class Offer:
    """An offer whose first message passed the checks here; a pod may refuse it for others, or for its SDP."""

    start: SessionStart
    fields: dict[str, Any]

    @property
    def added_text(self) -> str:
        """The text of its messages; what follows over the data channel never comes here."""
        return "".join(added_text(each) for each in self.fields["messages"])

    def named(self, served_model: str, voice: str) -> KeptBody:
        """Return the body with the model's name that the server serves, and the voice that the start's name means."""
        start = {**self.start.fields, "model": served_model} | ({"voice": voice} if voice else {})
        return KeptBody(json.dumps({**self.fields, "messages": [start, *self.fields["messages"][1:]]}).encode())


def parse_offer(body: bytes, media_type: str, default_model: str = "") -> Offer:
    """Return the offer. Raises RequestRefusedError: 415 for another form than JSON, 400, or 413."""
    kind = media_type.partition(";")[0].strip().lower()
    if kind != JSON_TYPE:
        message = (
            f"An offer through a gateway must be {JSON_TYPE}, not {kind!r:.40}: its messages name the model that it is "
            "routed by."
        )
        raise RequestRefusedError(Refusal(HTTPStatus.UNSUPPORTED_MEDIA_TYPE, "unsupported_media_type", message))
    fields = parse_object(body)
    if not isinstance(fields.get("sdp"), str):
        raise RequestRefusedError(bad_request("'sdp' must be a string, the SDP of an offer.", "sdp"))
    messages = fields.get("messages")
    if not isinstance(messages, list) or not messages or not all(isinstance(each, dict) for each in messages):
        message = f"'messages' must be a list that begins with {START}, whose model the offer is routed by."
        raise RequestRefusedError(bad_request(message, "messages"))
    return Offer(parse_start(messages[0], default_model), fields)
