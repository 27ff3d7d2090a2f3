"""Speech as server-sent events, in OpenAI's form: `speech.audio.delta`, then `speech.audio.done`, or `error`.

Knows: the bytes of each event, what usage counts, and when each sentence is heard.
Does not know: sockets, audio formats, or when an event is due.
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
KEEP_ALIVE: Final = b": keep-alive\n\n"  # a comment: clients skip it, proxies see that the connection lives
_MILLISECONDS: Final = 3  # digits of a second


@dataclass(slots=True)
class SpeechUsage:
    """What has been spoken so far."""

    speed: float = 1.0
    keeps_sentences: bool = True  # a session has no end of them
    input_tokens: int = 0  # of the text, as the model read it
    output_tokens: int = 0  # patches of audio
    sentences: list[dict[str, Any]] = field(default_factory=list)

    def take(self, event: SpeechEvent) -> None:
        """Count what happened."""
        match event:
            case SpeechAudio():
                self.output_tokens += event.patches
            case SentenceEnded():
                self.input_tokens += event.text_tokens
                if self.keeps_sentences:
                    self.sentences.append(self._sentence(event))

    @property
    def tokens(self) -> dict[str, int]:
        """OpenAI's three numbers."""
        total_tokens = self.input_tokens + self.output_tokens
        return {"input_tokens": self.input_tokens, "output_tokens": self.output_tokens, "total_tokens": total_tokens}

    def heard_at(self, seconds: float) -> float:
        """When something is heard, once the speed has been changed."""
        return round(seconds / self.speed, _MILLISECONDS)

    def _sentence(self, ended: SentenceEnded) -> dict[str, Any]:
        return {
            "index": ended.index,
            "text": ended.text,
            "at_seconds": self.heard_at(ended.at_seconds),
            "until_seconds": self.heard_at(ended.until_seconds),
            "is_truncated": ended.is_truncated,
        }


def delta_event(audio: bytes) -> bytes:
    """The next bytes of the audio."""
    # Written by hand: base64 needs no escapes, and this is the one event that comes often.
    return b'data: {"type": "speech.audio.delta", "audio": "%s"}\n\n' % base64.b64encode(audio)


def done_event(usage: SpeechUsage) -> bytes:
    """All of it has been sent."""
    return _event({"type": "speech.audio.done", "usage": usage.tokens, "sentences": usage.sentences})


def error_event(error: ApiError) -> bytes:
    """Nothing more will come, and it is not complete."""
    return b"event: error\n" + _event({"type": "error", **error.body})


def _event(data: Mapping[str, Any]) -> bytes:
    return f"data: {json.dumps(data)}\n\n".encode()
