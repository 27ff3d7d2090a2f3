"""Requests of other servers' HTTP forms: a whole text, answered with its audio while it is made.

Does not know: any protocol (voxfleet_protocols).
"""

from __future__ import annotations

import json

from voxfleet_protocols.translation import Message

from voxfleet_inference.requests import parse_speech_request
from voxfleet_inference.server.responses.output_format import output_format
from voxfleet_inference.server.service import SpeechService
from voxfleet_inference.server.speech_response import SpeechResponse


def speech_response(service: SpeechService, fields: Message, received_at: float) -> SpeechResponse:
    """Return the response to the fields of a speech request.

    Raises:
        InvalidFieldError: naming the field, what was given and what it must be.
        UnavailableError: the server is not ready.
    """
    asked = parse_speech_request(json.dumps(fields).encode(), service.settings.max_input_characters)
    service.supervisor.check_ready()
    output = output_format(asked, service.supervisor.model_info.sample_rate)
    return SpeechResponse(service, asked, output, received_at)
