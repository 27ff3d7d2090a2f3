"""The body of POST /v1/audio/voices: read within bounds, checked field by field.

Does not know: the fields and their bounds (voxfleet_protocols.voice_upload), where voices are stored, whether a
recording can be decoded: pods decide that.
"""

from aiohttp import web
from voxfleet_protocols.voice_upload import VoiceRequest, voice_request, with_own_names

from voxfleet_gateway.server.protocols.refused import as_refusal
from voxfleet_gateway.server.requests.request_body import Reservation
from voxfleet_gateway.server.voices.body_fields import read_fields


async def read_upload(request: web.Request, reservation: Reservation, max_bytes: int) -> VoiceRequest:
    """Return the checked upload. Raises RequestRefusedError: 400, 408, 413, 415, 503."""
    fields = with_own_names(await read_fields(request, reservation, max_bytes))
    with as_refusal():
        return voice_request(fields)
