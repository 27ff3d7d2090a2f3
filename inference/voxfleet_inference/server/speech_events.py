"""Speech as server-sent events, in OpenAI's form: `speech.audio.delta`, then `speech.audio.done`, or `error`.

`speech.audio.timestamps` is VoxFleet's, sent on request.

Knows: the bytes of each event, what usage counts, and where each sentence is in the sent audio.
Does not know: sockets, audio formats, or when an event is sent.
"""

from __future__ import annotations

import base64
import json
from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass, field
from typing import Any, Final

from voxfleet_inference.errors import ApiError
from voxfleet_inference.speech.events import SentenceEnded, SentenceStarted, SpeechAudio, SpeechEvent
from voxfleet_inference.speech.words.sentence_words import SentenceWords, WordFinder

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
    starts: list[dict[str, Any]] = field(default_factory=list)  # of sentences, since `take_starts`
    finder: WordFinder | None = None  # of the words, where they were asked for
    timestamps: list[SentenceWords] = field(default_factory=list)  # of sentences, since `take_timestamps`

    def take(self, event: SpeechEvent) -> None:
        """Count an event."""
        words = None if self.finder is None else self.finder.take(event)
        if words is not None:
            self.timestamps.append(words)
        match event:
            case SentenceStarted() if self.keeps_sentences:
                self.starts.append(self._start(event))
            case SpeechAudio():
                self.output_tokens += event.patches
            case SentenceEnded():
                self.input_tokens += event.text_tokens
                if self.keeps_sentences:
                    self.sentences.append(self._sentence(event))

    def take_starts(self) -> list[dict[str, Any]]:
        """Return the sentences that started since the last call, for the next event with audio."""
        starts, self.starts = self.starts, []
        return starts

    def take_timestamps(self) -> list[SentenceWords]:
        """Return the words of the sentences that ended since the last call."""
        timestamps, self.timestamps = self.timestamps, []
        return timestamps

    @property
    def tokens(self) -> dict[str, int]:
        """OpenAI's `usage`."""
        total_tokens = self.input_tokens + self.output_tokens
        return {"input_tokens": self.input_tokens, "output_tokens": self.output_tokens, "total_tokens": total_tokens}

    def played_at(self, seconds: float) -> float:
        """Convert a time in the speech to one in the sent audio, whose speed may differ; rounded to milliseconds."""
        return round(seconds / self.speed, _MILLISECONDS)

    def _start(self, sentence: SentenceStarted | SentenceEnded) -> dict[str, Any]:
        return {"index": sentence.index, "text": sentence.text, "at_seconds": self.played_at(sentence.at_seconds)}

    def _sentence(self, ended: SentenceEnded) -> dict[str, Any]:
        return {
            **self._start(ended),
            "until_seconds": self.played_at(ended.until_seconds),
            "is_truncated": ended.is_truncated,
        }


def delta_event(audio: bytes, starts: Sequence[Mapping[str, Any]] = ()) -> bytes:
    """Return the event with the next bytes of audio, and the sentences that start in them or soon after."""
    encoded = base64.b64encode(audio)
    if starts:
        return _event({"type": "speech.audio.delta", "audio": encoded.decode(), "sentence_starts": starts})
    # Formatted without json.dumps: base64 needs no escapes, and no other event is as frequent.
    return b'data: {"type": "speech.audio.delta", "audio": "%s"}\n\n' % encoded


def timestamps_event(sentence: SentenceWords) -> bytes:
    """Return the event with the words of a sentence; clients that do not know its type skip it."""
    return _event({"type": "speech.audio.timestamps", **asdict(sentence)})


def done_event(usage: SpeechUsage) -> bytes:
    """Return the last event of a complete speech."""
    return _event({"type": "speech.audio.done", "usage": usage.tokens, "sentences": usage.sentences})


def error_event(error: ApiError) -> bytes:
    """Return the last event of a speech that is not complete."""
    return b"event: error\n" + _event({"type": "error", **error.body})


def _event(data: Mapping[str, Any]) -> bytes:
    return f"data: {json.dumps(data)}\n\n".encode()
