"""Speech as server-sent events, in OpenAI's form: `speech.audio.delta`, then `speech.audio.done`, or `error`.

Knows: the bytes of each event, what usage counts, and where each sentence is in the sent audio.
Does not know: sockets, audio formats, or when an event is sent.
"""

from __future__ import annotations

import base64
import json
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any, Final

from voxfleet_inference.errors import ApiError
from voxfleet_inference.speech.events import SentenceEnded, SpeechAudio, SpeechEvent

MEDIA_TYPE: Final = "text/event-stream; charset=utf-8"
KEEP_ALIVE: Final = b": keep-alive\n\n"  # a comment: clients skip it, and proxies do not time the connection out
_MILLISECONDS: Final = 3  # digits of a second


@dataclass(slots=True)
class SpeechUsage:
    """Tokens and sentences of the speech so far."""

    speed: float = 1.0
    keeps_sentences: bool = True  # off in sessions, whose number of sentences has no bound
    input_tokens: int = 0  # of the text, as the model tokenized it
    output_tokens: int = 0  # patches of audio
    sentences: list[dict[str, Any]] = field(default_factory=list)

    def take(self, event: SpeechEvent) -> None:
        """Count an event."""
        match event:
            case SpeechAudio():
                self.output_tokens += event.patches
            case SentenceEnded():
                self.input_tokens += event.text_tokens
                if self.keeps_sentences:
                    self.sentences.append(self._sentence(event))

    @property
    def tokens(self) -> dict[str, int]:
        """OpenAI's `usage`."""
        total_tokens = self.input_tokens + self.output_tokens
        return {"input_tokens": self.input_tokens, "output_tokens": self.output_tokens, "total_tokens": total_tokens}

    def played_at(self, seconds: float) -> float:
        """Convert a time in the speech to one in the sent audio, whose speed may differ; rounded to milliseconds."""
        return round(seconds / self.speed, _MILLISECONDS)

    def _sentence(self, ended: SentenceEnded) -> dict[str, Any]:
        return {
            "index": ended.index,
            "text": ended.text,
            "at_seconds": self.played_at(ended.at_seconds),
            "until_seconds": self.played_at(ended.until_seconds),
            "is_truncated": ended.is_truncated,
        }


def delta_event(audio: bytes) -> bytes:
    """Return the event with the next bytes of audio."""
    # Formatted without json.dumps: base64 needs no escapes, and no other event is as frequent.
    return b'data: {"type": "speech.audio.delta", "audio": "%s"}\n\n' % base64.b64encode(audio)


def done_event(usage: SpeechUsage) -> bytes:
    """Return the last event of a complete speech."""
    return _event({"type": "speech.audio.done", "usage": usage.tokens, "sentences": usage.sentences})


def error_event(error: ApiError) -> bytes:
    """Return the last event of a speech that is not complete."""
    return b"event: error\n" + _event({"type": "error", **error.body})


def _event(data: Mapping[str, Any]) -> bytes:
    return f"data: {json.dumps(data)}\n\n".encode()
