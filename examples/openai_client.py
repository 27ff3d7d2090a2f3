# ruff: noqa: INP001 -- a file to copy, not part of a package
"""Speak through VoxFleet with OpenAI's own client: `pip install openai`, then `python openai_client.py`.

Knows: the gateway's address, from VOXFLEET_URL. Does not know: that the region may be asleep; the gateway holds the
request until it is awake, so all that differs is how long the client is willing to wait.
"""

import os
import sys
from pathlib import Path

from openai import APIStatusError, OpenAI

GATEWAY_URL = os.environ.get("VOXFLEET_URL", "http://127.0.0.1:6006")
WAKE_SECONDS = 120  # longer than a region takes to wake


def speak(text: str, destination: Path) -> None:
    """Write `text`, spoken, to `destination` as it arrives."""
    client = OpenAI(base_url=f"{GATEWAY_URL}/v1", api_key=os.environ.get("VOXFLEET_API_KEY", "none"))
    with client.audio.speech.with_streaming_response.create(
        model="narrator",
        voice="default",
        input=text,
        response_format="wav",
        timeout=WAKE_SECONDS,
    ) as response:
        response.stream_to_file(destination)
        sys.stdout.write(f"{destination}: spoken in {response.headers.get('voxfleet-region')}\n")


if __name__ == "__main__":
    try:
        speak(" ".join(sys.argv[1:]) or "Nobody was listening, so nothing was running.", Path("speech.wav"))
    except APIStatusError as error:
        sys.exit(f"{error.status_code}: {error.message}")
