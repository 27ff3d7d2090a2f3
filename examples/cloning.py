# ruff: noqa: INP001 -- a file to copy, not part of a package
"""Speak with a voice of your own: `pip install openai`, then `python cloning.py recording.wav "What it says."`.

VOXFLEET_URL is the URL of a speech server that stores voices (`--voices-dir`). Record 5 to 15 seconds without noise or
music, write an exact transcript, and obtain the speaker's consent: without it the server creates no voice.
"""

import os
import sys
from pathlib import Path

from openai import APIError, OpenAI

URL = os.environ.get("VOXFLEET_URL", "http://127.0.0.1:6006")
MODEL = os.environ.get("VOXFLEET_MODEL", "voxcpm-1.5")


def clone(recording: Path, transcript: str, text: str, destination: Path) -> str:
    """Create a voice from a recording and its transcript, synthesize `text` with it, and return the voice's id.

    The id is valid until the voice is deleted.
    """
    client = OpenAI(base_url=f"{URL}/v1", api_key=os.environ.get("VOXFLEET_API_KEY", "none"))
    voice = client.audio.voices.create(
        name=recording.stem,
        audio_sample=recording,
        consent="The speaker agreed in writing to be cloned for this example.",
        extra_body={"transcript": transcript},
    )
    with client.audio.speech.with_streaming_response.create(
        model=MODEL, voice={"id": voice.id}, input=text, response_format="wav"
    ) as response:
        response.stream_to_file(destination)
    return voice.id


if __name__ == "__main__":
    if len(sys.argv) != 3:  # noqa: PLR2004 - a recording and its transcript
        sys.exit('usage: python cloning.py recording.wav "What the recording says."')
    if not Path(sys.argv[1]).is_file():
        sys.exit(f"{sys.argv[1]}: no such file")
    try:
        voice_id = clone(Path(sys.argv[1]), sys.argv[2], "This is my voice, and I never said this.", Path("cloned.wav"))
    except APIError as error:
        sys.exit(f"{URL}: {error.message}")
    sys.stdout.write(f"cloned.wav: spoken by {voice_id}\n")
