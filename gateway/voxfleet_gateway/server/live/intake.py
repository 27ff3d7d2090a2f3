"""A client's messages as they arrive: checked, charged to their tenant, and put in order for a pod.

Knows: that a refused message has changed nothing. Does not know: sockets; what a pod does with a message.
"""

import json
from dataclasses import dataclass
from typing import Any

from voxfleet_gateway.errors import RequestRefusedError
from voxfleet_gateway.refusals import backlog_full, body_too_large
from voxfleet_gateway.regions import ModelEntry
from voxfleet_gateway.request_context import RequestContext
from voxfleet_gateway.server.live.backlog import Backlog
from voxfleet_gateway.server.live.messages import START, added_text, parse_client_message
from voxfleet_gateway.server.requests.speech_request import estimated_audio_seconds, named_voice
from voxfleet_gateway.server.speech import Speech


@dataclass(slots=True)
class Intake:
    """The messages of one session, up to the backlog."""

    speech: Speech
    context: RequestContext
    backlog: Backlog
    default_model: str = ""  # of the query; for a session.start that names none

    async def take(self, text: str) -> None:
        """Append one message. Raises RequestRefusedError: 400, 413, 429, or 503."""
        limit_bytes = self.context.caller.max_body_bytes
        if len(text.encode()) > limit_bytes:  # a recording, with a key that may send none
            raise RequestRefusedError(body_too_large(limit_bytes))
        fields = parse_client_message(text)
        if fields.get("type") == START:  # each one: a pod may have refused the first
            text = await self._with_voice(fields, text)
        if not self.backlog.offer(text):
            raise RequestRefusedError(backlog_full(len(self.backlog.waiting), self.backlog.max_bytes))
        try:
            self._charge(added_text(fields))
        except RequestRefusedError:
            self.backlog.withdraw()
            raise

    async def _with_voice(self, fields: dict[str, Any], text: str) -> str:
        """Return a session.start with the voice that its name means. Raises RequestRefusedError (400)."""
        requested = named_voice(fields)
        model = self._model(fields)
        if model is None:  # the session refuses the message for its model
            return text
        voice = await self.speech.voice_of(requested, model, self.context)
        return text if voice == requested else json.dumps({**fields, "voice": voice})

    def _model(self, fields: dict[str, Any]) -> ModelEntry | None:
        name = self.context.asked_model or fields.get("model") or self.default_model
        return self.speech.dispatcher.fleet.registry().resolve(name) if isinstance(name, str) else None

    def give_back(self, fields: dict[str, Any]) -> None:
        """Count a message's text no longer: no pod gets it."""
        added = added_text(fields)
        self.context.input_characters -= len(added)
        self.context.estimated_audio_seconds -= estimated_audio_seconds(added)

    def _charge(self, added: str) -> None:
        if added:
            self.speech.accounts.charge_audio(self.context, estimated_audio_seconds(added))
        self.context.input_characters += len(added)
