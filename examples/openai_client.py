# ruff: noqa: INP001 -- a file to copy, not part of a package
"""Synthesize speech with OpenAI's own client: `pip install openai`, then `python openai_client.py`.

VOXFLEET_URL is the URL of a gateway or a speech server. A gateway holds the request while its region wakes, so the
only difference from OpenAI's service is the client's longer time-out.
"""

import base64
import json
import os
import sys
from pathlib import Path
from typing import Any

from openai import APIError, OpenAI

URL = os.environ.get("VOXFLEET_URL", "http://127.0.0.1:6006")
MODEL = os.environ.get("VOXFLEET_MODEL", "narrator")
WAKE_SECONDS = 120  # longer than a region takes to wake


def client() -> OpenAI:
    """Return OpenAI's client with VoxFleet's URL."""
    api_key = os.environ.get("VOXFLEET_API_KEY", "none")
    return OpenAI(base_url=f"{URL}/v1", api_key=api_key, timeout=WAKE_SECONDS)


def speak(text: str, destination: Path) -> None:
    """Synthesize `text` and write the audio to `destination` as it arrives."""
    with client().audio.speech.with_streaming_response.create(
        model=MODEL, voice="default", input=text, response_format="wav"
    ) as response:
        response.stream_to_file(destination)
        spoken_by = response.headers.get("voxfleet-region", "a server without a region")
        sys.stdout.write(f"{destination}: spoken by {spoken_by}\n")


def speak_with_events(text: str, destination: Path) -> dict[str, Any]:
    """Synthesize as server-sent events; returns the last one, with the usage and each sentence's start time.

    Raises:
        RuntimeError: the server sent an error event, or the stream ended early.
    """
    with (
        client().audio.speech.with_streaming_response.create(
            model=MODEL, voice="default", input=text, response_format="mp3", stream_format="sse"
        ) as response,
        destination.open("wb") as file,
    ):
        for line in response.iter_lines():
            if not line.startswith("data: "):
                continue  # an empty line, a keep-alive comment, or an event's name
            event: dict[str, Any] = json.loads(line.removeprefix("data: "))
            if event["type"] == "speech.audio.delta":
                file.write(base64.b64decode(event["audio"]))
            elif event["type"] == "speech.audio.done":
                return event
            else:
                raise RuntimeError(event["error"]["message"])
    raise RuntimeError("the stream ended early")


if __name__ == "__main__":
    words = " ".join(sys.argv[1:]) or "Nobody was listening, so nothing was running."  # words: speech
    try:
        speak(words, Path("speech.wav"))
        done = speak_with_events(words, Path("speech.mp3"))
    except APIError as error:
        sys.exit(f"{URL}: {error.message}")
    for sentence in done["sentences"]:
        sys.stdout.write(f"{sentence['at_seconds']:7.2f} s  {sentence['text']}\n")
