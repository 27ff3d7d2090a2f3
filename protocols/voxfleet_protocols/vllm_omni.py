"""vLLM-Omni's messages on `/v1/audio/speech/stream`, the path that VoxFleet's own sessions have too.

The first message is `session.config`, by which the protocol is recognized; then `input.text`, `input.done` (a flush; a
connection stays open) and `session.close`. Back come audio.start, audio, audio.done, session.done (of a flush), error.
Source: vLLM-Omni's handler of streaming text input, commit 0131cb5.

Knows: that audio is one file per unit unless `stream_audio` is set, and JSON chunks with `word_timestamps`.
Does not know: sockets, voices.
"""

from __future__ import annotations

import base64
import json
import struct
from collections.abc import Mapping
from typing import Any, Final

from voxfleet_protocols.translation import Frame, Message, UnusableMessageError, json_object

CONFIG: Final = "session.config"
_FORMATS: Final = ("wav", "pcm")
_GRANULARITIES: Final = ("none", "sentence", "clause")
# Fields of session.config that a speech request has under the same name, and those under another.
_SAME: Final = ("voice", "speed", "seed", "instructions")
_RENAMED: Final = {"ref_audio": "reference_audio", "ref_text": "reference_text"}
_DATA_URL: Final = "base64,"
_MILLISECONDS: Final = 1000


def begins(text: str) -> bool:
    """Return whether a client's first message is of this protocol."""
    try:
        fields = json.loads(text)
    except (ValueError, RecursionError):
        return False
    return isinstance(fields, dict) and fields.get("type") == CONFIG


class VllmOmniSession:
    """A client's WebSocket; `default_model` is meant by a config without one."""

    def __init__(self, default_model: str) -> None:
        self._default_model = default_model
        self._config: Message = {}
        self._text = ""  # of the utterance, with split_granularity none
        self._utterance, self._sentence = 0, 0
        self._sample_rate = 0
        self._unit: str | None = None  # the text of the unit whose audio is sent
        self._unit_began_seconds = 0.0
        self._pcm: list[bytes] = []  # of the unit, where its audio is sent whole
        self._chunks = 0
        self._words: list[dict[str, Any]] = []

    def opened(self) -> list[Message]:
        """Return nothing: the config is the first message."""
        return []

    def received(self, text: str) -> list[Message]:
        """Return what a message stands for."""
        fields = json_object(text, "invalid_json")
        match fields.get("type"):
            case "session.config":
                return self._configured({name: value for name, value in fields.items() if name != "type"})
            case "input.text":
                return self._appended(fields.get("text", ""))
            case "input.done":
                text, self._text = self._text, ""
                return [*([{"type": "text.append", "text": text}] if text else []), {"type": "text.flush"}]
            case "session.close":
                return [{"type": "session.end"}]
        known = f"{CONFIG}, input.text, input.done or session.close"
        raise UnusableMessageError(f"'type' must be {known}; given {str(fields.get('type'))[:40]!r}")

    def event(self, event: Mapping[str, Any]) -> list[Frame]:
        """Return audio.start, audio.done, session.done or error."""
        match event.get("type"):
            case "session.started":
                self._sample_rate = int(event["sample_rate"])
            case "sentence.started":
                return self._sentence_started(str(event["text"]), float(event["at_seconds"]))
            case "sentence.timestamps":
                self._words += self._timed(event["words"])
            case "flushed":
                return self._flushed()
            case "error":
                return [_frame("error", message=str((event.get("error") or {}).get("message", "")))]
        return []

    def audio(self, data: bytes) -> list[Frame]:
        """Return a frame of a stream, or keep the audio for its unit's file."""
        if not self._config.get("stream_audio"):
            self._pcm.append(data)
            return []
        if not self._config.get("word_timestamps"):
            return [data]
        return [self._chunk(data, None)]

    def keep_alive(self) -> list[Frame]:
        """Return nothing: WebSocket's own pings are all that the protocol has."""
        return []

    def _configured(self, config: Message) -> list[Message]:
        if self._config:
            if config == self._config:
                return []
            raise UnusableMessageError("'session.config' can be sent once; open another connection for another config")
        response_format = config.get("response_format") or "wav"
        if response_format not in _FORMATS:
            raise UnusableMessageError(f"'response_format' must be wav or pcm; given {str(response_format)[:40]!r}")
        if (config.get("split_granularity") or "none") not in _GRANULARITIES:
            raise UnusableMessageError(f"'split_granularity' must be one of {', '.join(_GRANULARITIES)}")
        if config.get("word_timestamps") and not (config.get("stream_audio") and response_format == "pcm"):
            raise UnusableMessageError("'word_timestamps' needs 'stream_audio': true and 'response_format': 'pcm'")
        if config.get("stream_audio") and response_format == "wav":
            raise UnusableMessageError("'stream_audio' needs 'response_format': 'pcm'")
        self._config = config
        return [{"type": "session.start", "model": config.get("model") or self._default_model, **_speech(config)}]

    def _appended(self, text: Any) -> list[Message]:
        if not isinstance(text, str):
            raise UnusableMessageError("'text' must be a string")
        if not text:
            return []
        if self._is_whole:
            self._text += text
            return []
        return [{"type": "text.append", "text": text}]

    @property
    def _is_whole(self) -> bool:
        """Whether an utterance is one unit, whatever its sentences are."""
        return (self._config.get("split_granularity") or "none") == "none"

    def _sentence_started(self, text: str, at_seconds: float) -> list[Frame]:
        if self._unit is not None and self._is_whole:
            self._unit += f" {text}"
            return []
        ended = self._unit_ended()
        self._unit, self._unit_began_seconds, self._chunks = text, at_seconds, 0
        # A file's text is known when it is whole; a stream is announced before its first audio.
        return [*ended, self._start()] if self._config.get("stream_audio") else ended

    def _unit_ended(self) -> list[Frame]:
        if self._unit is None:
            return []
        frames: list[Frame] = []
        if not self._config.get("stream_audio"):
            frames += [self._start(), self._file(b"".join(self._pcm))]
        elif self._config.get("word_timestamps"):
            frames.append(self._chunk(b"", self._words))
        frames.append(_frame("audio.done", **self._place))
        self._unit, self._pcm, self._words = None, [], []
        self._sentence += 1
        return frames

    def _flushed(self) -> list[Frame]:
        frames = self._unit_ended()
        done = _frame("session.done", utterance_index=self._utterance, total_sentences=self._sentence)
        self._utterance, self._sentence = self._utterance + 1, 0
        return [*frames, done]

    def _start(self) -> Frame:
        response_format = self._config.get("response_format") or "wav"
        more: dict[str, Any] = {"word_timestamps": True} if self._config.get("word_timestamps") else {}
        if self._config.get("stream_audio"):
            more |= {"sample_rate": self._sample_rate, "channels": 1}
        return _frame("audio.start", **self._place, sentence_text=self._unit, format=response_format, **more)

    def _chunk(self, data: bytes, timestamps: list[dict[str, Any]] | None) -> Frame:
        self._chunks += 1
        audio = base64.b64encode(data).decode()
        return _frame("audio.chunk", **self._place, chunk_id=self._chunks - 1, audio_b64=audio, timestamps=timestamps)

    def _file(self, pcm: bytes) -> Frame:
        return pcm if self._config.get("response_format") == "pcm" else _wav(pcm, self._sample_rate)

    def _timed(self, words: list[dict[str, Any]]) -> list[dict[str, Any]]:
        """Return words with milliseconds from their unit's begin."""
        from_seconds = self._unit_began_seconds
        return [
            {
                "word": each["word"],
                "start_ms": round((each["start"] - from_seconds) * _MILLISECONDS),
                "end_ms": round((each["end"] - from_seconds) * _MILLISECONDS),
            }
            for each in words
        ]

    @property
    def _place(self) -> dict[str, int]:
        return {"utterance_index": self._utterance, "sentence_index": self._sentence}


def _speech(config: Message) -> Message:
    """Return the fields of a speech request in a config."""
    fields: Message = {"response_format": "pcm", "word_timestamps": bool(config.get("word_timestamps"))}
    fields |= {name: config[name] for name in _SAME if config.get(name) is not None}
    for theirs, ours in _RENAMED.items():
        if config.get(theirs):
            fields[ours] = str(config[theirs]).rpartition(_DATA_URL)[2]  # of a data: URL, its contents
    return fields


def _wav(pcm: bytes, sample_rate: int) -> bytes:
    """Return a WAV file of 16-bit mono samples (RIFF, "WAVE PCM")."""
    head = struct.pack("<4sI4s4sIHHIIHH", b"RIFF", 36 + len(pcm), b"WAVE", b"fmt ", 16, 1, 1, sample_rate,
                       2 * sample_rate, 2, 16)  # fmt: skip
    return head + struct.pack("<4sI", b"data", len(pcm)) + pcm


def _frame(kind: str, **fields: Any) -> str:
    return json.dumps({"type": kind, **fields}, ensure_ascii=False)
