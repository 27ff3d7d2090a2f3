"""Paths that a client asks for when its base URL is not the one that it needs.

Knows: the paths that clients append to a base URL, and that most programs want it with `/v1` at its end, some without,
some whole. Does not know: which of them a server has, or how it responds.
"""

from __future__ import annotations

from typing import Final

_PATHS: Final = (
    "/v1/audio/speech/stream",
    "/v1/audio/speech/rtc",
    "/v1/audio/voice_consents",
    "/v1/audio/voices",
    "/v1/audio/speech",
    "/v1/audio/models",
    "/v1/models",
    "/v1/speak",
    "/tts/websocket",
    "/tts/bytes",
)


def intended_path(path: str) -> str | None:
    """Return the path that a request for an unknown `path` was meant for, or None: `/v1/models` for `/models`."""
    asked = path.rstrip("/")
    return next((each for each in _PATHS if each != asked and asked.endswith(each.removeprefix("/v1"))), None)


def way_out(path: str) -> str:
    """Return what a client can do whose request was for an unknown path, as the end of an error's message."""
    intended = intended_path(path)
    return f"the path is {intended}: check the client's base URL" if intended else "GET /v1/ names the paths of speech"
